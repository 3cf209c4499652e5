"""The app in a process of its own and a browser to look at it; for screenshots and browser tests."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).resolve().parent.parent

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_START_SECONDS = 90
_STOP_SECONDS = 10


class AppProcessError(RuntimeError):
    """The app did not start; the message ends with what it printed."""


@contextmanager
def running_app(environment: Mapping[str, str]) -> Iterator[str]:
    """Run the app with this interpreter on a free port of the loopback address, and give its URL once it is healthy.

    ``environment`` is laid over this process's own. Unless it says otherwise, the app writes to an empty folder that is
    removed afterwards. Raises ``AppProcessError`` when the app does not become healthy in time.
    """
    with tempfile.TemporaryDirectory(prefix="braintumor-app-") as folder:
        # A database named in the shell or the secrets file may be a real one, and must not be written to from here.
        data = {"BRAINTUMOR_DATA_DIR": str(Path(folder) / "data"), "BRAINTUMOR_DATABASE_URL": ""}
        apart = {**data, "STREAMLIT_SERVER_ADDRESS": "127.0.0.1"}
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        log = Path(folder) / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "streamlit", "run", "Home.py"),
                    *("--server.port", str(port), "--server.headless", "true"),
                ],
                cwd=ROOT,
                env={**os.environ, **apart, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_healthy(process, url, log)
            yield url
        finally:
            _stop(process)


@dataclass(frozen=True)
class ServerProcess:
    """What the kernel says of a server's process (Linux only)."""

    pid: int

    @property
    def resident_megabytes(self) -> float:
        return self._status("VmRSS")

    @property
    def cpu_seconds(self) -> float:
        """Time of all cores together, in the process itself and in the system for it."""
        # The name in parentheses may hold spaces; user and system time are the 14th and 15th fields.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1000


def server_process(url: str) -> ServerProcess:
    """Find the server that listens at ``url`` (Linux only); raises ``AppProcessError`` where there is none."""
    port = url.rsplit(":", 1)[1]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if "streamlit" in words and port in words:
            return ServerProcess(int(process.name))
    raise AppProcessError(f"no server found at {url}")


def launch_browser(playwright: Playwright) -> Browser:
    """Start the system's Chromium or Chrome without a window, or the one that Playwright has downloaded itself."""
    installed = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    # Chromium refuses to run as root, as in a container, unless its sandbox is off.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"] if is_root else [])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(url):
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise AppProcessError(f"The app did not start (exit status {process.poll()}). It printed:\n{said}")
        time.sleep(0.1)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
