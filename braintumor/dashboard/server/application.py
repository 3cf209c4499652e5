"""What ``Home.py`` hands to ``st.App``: the middleware around every request, and what runs beside the pages."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.middleware import Middleware
from streamlit import net_util
from streamlit.runtime import Runtime
from streamlit.starlette import App

from braintumor import settings
from braintumor.dashboard.server.headers import SecurityHeaders
from braintumor.dashboard.server.sessions import close_abandoned
from braintumor.dashboard.server.uploads import UploadGuard
from braintumor.errors import InputError
from braintumor.records import sweep_patients

_LOG = logging.getLogger(__name__)
_SWEEP_SECONDS = 3600

MIDDLEWARE = [Middleware(SecurityHeaders), Middleware(UploadGuard)]


@asynccontextmanager
async def lifespan(_app: App) -> AsyncIterator[None]:
    """Close abandoned sessions and sweep desks and the vault, for as long as the server runs."""
    tasks = [asyncio.create_task(close_abandoned(Runtime.instance())), asyncio.create_task(_sweep())]
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep() -> None:
    # Not above: it stands on this package. Nothing that shows a page may be imported here: a component that is declared
    # before the server runs is never served.
    from braintumor.dashboard import desk

    while True:
        try:
            await asyncio.to_thread(desk.sweep)
            await asyncio.to_thread(sweep_patients, settings.load())
        except InputError as error:
            _LOG.warning("The vault was not swept: %s", error)
        await asyncio.sleep(_SWEEP_SECONDS)


def _unknown_address() -> None:
    """Stand in for Streamlit's look-up of this machine's own address."""


# For every websocket request whose Origin is not its Host, Streamlit would ask an outside server for this machine's
# address, inside the event loop. This app asks the internet nothing; who serves it under several names lists them in
# server.corsAllowedOrigins.
net_util.get_external_ip = net_util.get_internal_ip = _unknown_address
