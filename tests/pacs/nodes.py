"""A node as a process of its own with everything that it needs, and the tools of dcmtk that talk to it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from braintumor.settings import Settings
from tests.conftest import ROOT, SHIPPED
from tests.database.servers import SITE_KEY
from tests.records import clinic as clinics
from tests.scans.dicom_files import slices

TITLE = "BRAINTUMOR"


def needed(program):
    """Give a program of dcmtk, or skip the test where it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: apt-get install dcmtk)")
    return found


def run(program, *arguments):
    """Run a program of dcmtk, and give its exit status and what it said."""
    done = subprocess.run([needed(program), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(found, seconds=120):
    """Wait until something is there, and give it."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
    return result


@dataclass
class Hospital:
    """A node's folder and settings, and the clinic that its studies are filed in."""

    folder: Path
    peers: str
    results: str = "ARCHIVE"
    quiet: int = 1

    def __post_init__(self):
        self.port, self.status_port = free_port(), free_port()
        self.log = self.folder / "node.log"

    @property
    def settings(self):
        return Settings(
            data_dir=self.folder / "data",
            site_key=SITE_KEY.decode(),
            models_dir=SHIPPED.parent,
            pacs_port=self.port,
            pacs_status_port=self.status_port,
            pacs_peers=self.peers,
            pacs_results=self.results,
            pacs_account="bob",
            pacs_quiet_seconds=self.quiet,
        )

    @cached_property
    def clinic(self):
        return clinics.made(self.settings.database, self.settings.data_dir)

    @contextmanager
    def running(self):
        """Run ``braintumor pacs serve``, and give the process."""
        assert self.clinic
        configured = self.settings
        given = ("data_dir", "site_key", "models_dir", *(name for name in vars(configured) if name.startswith("pacs_")))
        environment = {f"BRAINTUMOR_{name.upper()}": str(getattr(configured, name)) for name in given}
        with self.log.open("a") as log:
            node = subprocess.Popen(
                [sys.executable, "-m", "braintumor", "pacs", "serve"],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )
        try:
            until(lambda: self._listens(node))
            yield node
        finally:
            node.terminate()
            node.wait(60)

    def status(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/{path}", timeout=30) as answer:
            return answer.read().decode()

    def states(self):
        """Give how many studies are in which state, without those of which there are none."""
        lines = [line for line in self.status("metrics").splitlines() if line.startswith("braintumor_pacs_studies{")]
        found = {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}
        return {state: number for state, number in found.items() if number}

    def _listens(self, node):
        assert node.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def archive(folder, port):
    """Run dcmtk's storescp, which keeps what it is sent in a folder."""
    folder.mkdir()
    server = subprocess.Popen([needed("storescp"), "-aet", "ARCHIVE", "+xa", "-od", str(folder), str(port)])
    try:
        yield folder
    finally:
        server.terminate()
        server.wait(10)


def series(folder, **elements):
    """Write a small series as files, and give their paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, data in enumerate(slices(**elements)):
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(data)
    return paths
