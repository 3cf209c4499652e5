"""Three hospitals from nothing to a served model: every step of docs/federated.md, as processes over TLS."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from braintumor.bundles import load_bundle
from braintumor.federated.records import ANSWERED, read_rounds
from braintumor.settings import ROOT

DOCUMENT = ROOT / "docs" / "federated.md"
SERVICES = ("flower-superlink", "flower-supernode")
SCRIPTS = Path(sys.executable).parent
LONGEST = 540
"""Seconds that a step may take before the test gives up."""


def steps():
    return re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def service(step, environment, folder):
    """Run a step that is left running, with all that it starts, until the test is over."""
    name = "-".join([step.split()[0], *re.findall(r"private-key keys/(\w+)", step)])
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {step}"], env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def waited_for(port):
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    pytest.fail("the server did not start")


@pytest.mark.deployment
def test_three_hospitals_train_a_model_that_loads(picture_folder, tmp_path):
    given = {"8000": free_port(), "9501": free_port(), "9502": free_port(), "9503": free_port()}
    for name in ("north", "south", "west", "coordinator"):
        shutil.copytree(picture_folder, tmp_path / "scans" / name)
    environment = {
        **os.environ,
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FLWR_HOME": str(tmp_path / "flower"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "BRAINTUMOR_MODELS_DIR": str(tmp_path / "models"),
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
    }
    with ExitStack() as running:
        for step in steps():
            step = step.replace("/scans/", f"{tmp_path}/scans/").strip()
            for port, free in given.items():
                step = step.replace(port, str(free))
            if step.startswith(SERVICES):
                running.enter_context(service(step, environment, tmp_path))
                if step.startswith(SERVICES[0]):
                    waited_for(given["8000"])
                continue
            done = subprocess.run(
                ["bash", "-ec", step], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST
            )
            assert done.returncode == 0, done.stdout + done.stderr
    (one,) = read_rounds(tmp_path / "run" / "rounds.json").rounds
    assert {name: site.status for name, site in one.sites.items()} == {
        f"site {number}": ANSWERED for number in (1, 2, 3)
    }
    card = load_bundle(tmp_path / "models" / "together").card
    assert set(card.federated.sites) == {"site 1", "site 2", "site 3"}
