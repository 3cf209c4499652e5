"""The worker as a process of its own, which ends when whoever started it does."""

import os
import signal
import sys
import threading

from braintumor import settings
from braintumor.pacs.logs import log_own
from braintumor.pacs.worker import work


def main() -> int:
    """Work until the standard input ends, which it does with the node, however that dies."""
    log_own("worker")
    # Ctrl-C goes to the node, which tells its worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        sys.stdin.buffer.read()
        # What it was at is taken up by the next one.
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
    work(settings.load(), threading.Event())
    return 0


if __name__ == "__main__":
    sys.exit(main())
