"""What ``Home.py`` hands to ``st.App``: the middleware around every request, and what runs beside the pages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.middleware import Middleware
from streamlit import net_util
from streamlit.runtime import Runtime
from streamlit.starlette import App

from braintumor.dashboard.server.headers import SecurityHeaders
from braintumor.dashboard.server.sessions import close_abandoned
from braintumor.dashboard.server.uploads import UploadGuard

MIDDLEWARE = [Middleware(SecurityHeaders), Middleware(UploadGuard)]


@asynccontextmanager
async def lifespan(_app: App) -> AsyncIterator[None]:
    """Close abandoned sessions for as long as the server runs."""
    sweeper = asyncio.create_task(close_abandoned(Runtime.instance()))
    yield
    sweeper.cancel()
    with suppress(asyncio.CancelledError):
        await sweeper


def _unknown_address() -> None:
    """Stand in for Streamlit's look-up of this machine's own address."""


# For every websocket request whose Origin is not its Host, Streamlit would ask an outside server for this machine's
# address, inside the event loop. This app asks the internet nothing; who serves it under several names lists them in
# server.corsAllowedOrigins.
net_util.get_external_ip = net_util.get_internal_ip = _unknown_address
