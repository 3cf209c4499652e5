"""``braintumor pacs``: the DICOM node."""

import signal
import sys
import threading

from braintumor import settings
from braintumor.cli.app import OK, group

pacs = group("pacs", "Take studies from scanners and archives, answer them, and send the results back.")


@pacs.command
def serve() -> int:
    """Serve until it is stopped; `BRAINTUMOR_PACS_...` say who may call and where results go, see docs/pacs.md."""
    from braintumor.pacs.logs import log_own
    from braintumor.pacs.serve import serve as serve_node

    log_own("node")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    serve_node(settings.load(), stop)
    return OK


@pacs.command
def retry() -> int:
    """Let studies that failed be tried again, once their cause is gone."""
    from braintumor.database import open_database
    from braintumor.records.arrivals import Jobs
    from braintumor.records.vault import open_vault

    configured = settings.load()
    count = Jobs(open_database(configured), open_vault(configured, "patients")).retry()
    sys.stdout.write(f"{count} studies are tried again.\n")
    return OK
