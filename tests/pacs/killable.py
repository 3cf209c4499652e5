"""A node and its worker in one process that starts at once: what it needs is imported by the server that forks it."""

import multiprocessing
import threading
from datetime import timedelta

from braintumor.database import open_database
from braintumor.pacs.node import Node
from braintumor.pacs.peers import read_peers
from braintumor.pacs.results import Sender
from braintumor.pacs.status import Counts
from braintumor.pacs.worker import work
from braintumor.records.arrivals import Intake
from braintumor.records.vault import open_vault

_QUIET = timedelta(milliseconds=50)


def serve(settings):
    """Take objects, and answer each study as soon as it is there, until the process is killed."""
    intake = Intake(open_database(settings), open_vault(settings, "patients"), _QUIET)
    Node(settings, read_peers(settings.pacs_peers), intake, Sender(settings), Counts()).start()
    work(settings, threading.Event())


def context():
    """Give the way in which such processes are started."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([__name__])
    return found
