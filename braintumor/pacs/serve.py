"""The node with all that belongs to it: what listens, the worker in a process of its own, and what tells of both."""

import logging
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import timedelta

from braintumor.database import open_database
from braintumor.pacs.errors import PacsError
from braintumor.pacs.node import Node
from braintumor.pacs.peers import read_peers
from braintumor.pacs.results import Sender
from braintumor.pacs.status import Counts, Status
from braintumor.pacs.stow import StowSender
from braintumor.records.arrivals import Intake, Jobs, filer
from braintumor.records.vault import open_vault
from braintumor.settings import Settings

_LOG = logging.getLogger(__name__)
_SECONDS_TO_RESTART = 1.0


class Workers:
    """Keeps one worker running in a process of its own: what makes a decoder crash ends it, and not the node."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Start the first one."""
        self._thread.start()

    def is_working(self) -> bool:
        """Tell whether there is one now."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it; what it was at is taken up by the next one."""
        self._stop.set()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._thread.join()

    def _keep(self) -> None:
        while not self._stop.is_set():
            # It multiplies matrices beside a node that must stay quick.
            environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ}
            command = [sys.executable, "-m", "braintumor.pacs"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)  # noqa: S603
            self._process.wait()
            if not self._stop.wait(_SECONDS_TO_RESTART):
                self._counts.restarts.inc()
                _LOG.warning("The worker ended and is started again.")


def serve(settings: Settings, stop: threading.Event) -> None:
    """Serve until it is asked to stop.

    Raises ``PacsError`` and ``PatientError`` where the node is not set up, ``VaultError`` and ``BusyError`` where its
    storage cannot be opened, and ``OSError`` where a port is taken.
    """
    peers = read_peers(settings.pacs_peers)
    if not peers.all:
        raise PacsError("BRAINTUMOR_PACS_PEERS names nobody who may call; see docs/pacs.md.")
    if settings.pacs_results and peers.receiver(settings.pacs_results) is None:
        raise PacsError("BRAINTUMOR_PACS_RESULTS names no peer that has a port; add it to BRAINTUMOR_PACS_PEERS.")
    if settings.pacs_stow:
        StowSender(settings)
    engine, vault = open_database(settings), open_vault(settings, "patients")
    filer(engine, settings.pacs_account)
    counts, sender = Counts(), Sender(settings)
    intake = Intake(engine, vault, timedelta(seconds=settings.pacs_quiet_seconds))
    workers = Workers(counts)
    with ExitStack() as ending:
        ending.callback(engine.dispose)
        status = Status(counts, Jobs(engine, vault), settings.data_dir, workers.is_working)
        ending.callback(status.start(settings.pacs_status_port))
        ending.callback(Node(settings, peers, intake, sender, counts).start())
        workers.start()
        ending.callback(workers.stop)
        _LOG.info("%s listens at %s:%d.", settings.pacs_title, settings.pacs_host, settings.pacs_port)
        stop.wait()
