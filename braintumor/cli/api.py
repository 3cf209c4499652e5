"""``braintumor api``: the API for programs, and who may use it."""

import sys
from typing import TYPE_CHECKING

from braintumor import settings
from braintumor.cli.app import OK, group

if TYPE_CHECKING:
    from braintumor.accounts.clients import Clients

api = group("api", "Let programs send scans and fetch answers, see docs/api.md.")


@api.command
def serve(*, host: str = "127.0.0.1", port: int = 8600) -> int:
    """Serve the API until it is stopped; put a proxy with TLS before it to let other machines in."""
    import uvicorn

    from braintumor.api.app import make_app
    from braintumor.pacs.logs import log_own
    from braintumor.pacs.serve import Workers
    from braintumor.pacs.status import Counts

    log_own("api")
    workers = Workers(Counts())
    server = uvicorn.Server(uvicorn.Config(make_app(settings.load()), host=host, port=port, log_config=None))
    workers.start()
    try:
        server.run()
    finally:
        workers.stop()
    return OK


@api.command
def add(name: str, /, *, scopes: list[str] | None = None) -> int:
    """Let a program in and print its token, which cannot be shown again; scopes are send and read (default: both)."""
    from braintumor.accounts.clients import SCOPES

    sys.stdout.write(f"{_clients().add(name, scopes or SCOPES)}\n")
    return OK


@api.command
def revoke(name: str, /) -> int:
    """Let a program's token open nothing any more."""
    _clients().revoke(name)
    sys.stdout.write(f"The token of {name} is revoked.\n")
    return OK


@api.command(name="list")
def list_clients() -> int:
    """List the programs and what they may do."""
    for client in _clients().everybody():
        state = "revoked" if client.is_revoked else ", ".join(sorted(client.scopes))
        sys.stdout.write(f"{client.name}: {state}\n")
    return OK


def _clients() -> "Clients":
    from braintumor.accounts.clients import Clients
    from braintumor.database import open_database

    return Clients(open_database(settings.load()))
