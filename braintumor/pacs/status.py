"""What a watcher of the node reads, on this machine only: whether it is well, and its counts. No patient is in them."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Metric, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from braintumor.database import BusyError
from braintumor.records.arrivals import Jobs

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_LEAST_FREE_BYTES = 200 * 2**20
HOST = "127.0.0.1"


class Counts:
    """What the node counts while it runs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prefix = "braintumor_pacs"
        self.associations = Counter(
            f"{prefix}_associations", "Associations by outcome.", ["outcome"], registry=self.registry
        )
        self.objects = Counter(f"{prefix}_objects", "Objects by outcome.", ["outcome"], registry=self.registry)
        self.bytes = Counter(f"{prefix}_bytes", "Bytes of accepted objects.", registry=self.registry)
        self.restarts = Counter(
            f"{prefix}_worker_restarts", "Workers that ended by themselves.", registry=self.registry
        )


class _Arrivals(Collector):
    """Reads from the database, whenever it is asked, what a worker in another process has done."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterable[Metric]:
        try:
            counts, overdue = self._jobs.counts(), self._jobs.overdue()
        except BusyError:
            return
        states = GaugeMetricFamily("braintumor_pacs_studies", "Studies by state.", labels=["state"])
        for state, number in counts.items():
            states.add_metric([state], number)
        yield states
        waiting = "Seconds for which the first study whose time has come waits."
        yield GaugeMetricFamily("braintumor_pacs_overdue_seconds", waiting, overdue.total_seconds())


class Status:
    """Serves ``/health`` and ``/metrics`` at a port of the loopback address."""

    def __init__(self, counts: Counts, jobs: Jobs, folder: Path, is_working: Callable[[], bool]) -> None:
        """Watch the database, the disk of ``folder`` and the worker."""
        counts.registry.register(_Arrivals(jobs))
        self._metrics = make_wsgi_app(counts.registry)
        self._jobs, self._folder, self._is_working = jobs, folder, is_working

    def start(self, port: int) -> Callable[[], None]:
        """Begin to answer, and give what ends it; raises ``OSError`` where the port is taken."""
        server = make_server(HOST, port, self._answer, _Server, _Silent)
        Thread(target=server.serve_forever, daemon=True).start()
        return server.shutdown

    def faults(self) -> list[str]:
        """Name what is not well, by codes."""
        found = [] if self._is_working() else ["worker"]
        if shutil.disk_usage(self._folder).free < _LEAST_FREE_BYTES:
            found.append("disk")
        try:
            self._jobs.counts()
        except BusyError:
            found.append("database")
        return found

    def _answer(self, environment: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environment.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environment, start)
            return answer
        if path != "/health":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Ask for /health or /metrics.\n"]
        faults = self.faults()
        start("503 Service Unavailable" if faults else "200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"status": "unwell" if faults else "well", "faults": faults}).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    timeout = 10

    def log_message(self, *words: Any) -> None:
        """Keep probes out of the log."""
