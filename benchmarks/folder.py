"""``python -m braintumor predict``: a folder of 500 scans, start-up included, and one scan.

Beside it stand the bare passes through the network of as many processes, with nothing read, prepared or measured.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.pictures import pngs
from benchmarks.result import Result
from braintumor import settings
from braintumor.bundles import GRAPH_FILE
from braintumor.processes import default_processes

_SCANS = 500
_PASSES = 200
_SECONDS_BETWEEN = 0.05


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, data in enumerate(pngs(_SCANS)):
            (folder / f"{number:03}.png").write_bytes(data)
        one = _predict([folder / "000.png"])[0]
        seconds, megabytes = _predict([folder])
    processes = default_processes()
    bare = bare_passes(processes)
    detail = f"{bare:.0f} bare passes/s of the same {processes} processes"
    return [
        Result("folder of 500 scans through predict", _SCANS / seconds, 85, "scans/s", detail),
        Result("its memory", megabytes, 900, "MB", "proportional set size of all processes", at_most=True),
        Result("one scan through predict", one, 1, "s", "start-up included", at_most=True),
    ]


def bare_passes(processes: int) -> float:
    """Give the passes a second of so many processes, each of which sends one slice after another through a graph."""
    with get_context("spawn").Pool(processes) as pool:
        return float(sum(pool.map(_passes, range(processes), chunksize=1)))


def _passes(_: int) -> float:
    from braintumor.inference import Graph

    configured = settings.load()
    graph = Graph(configured.models_dir / configured.model / GRAPH_FILE, threads=1)
    image = np.zeros((1, 256, 256), np.uint8)
    graph.run(image)
    started = time.perf_counter()
    for _ in range(_PASSES):
        graph.run(image)
    return _PASSES / (time.perf_counter() - started)


def _predict(paths: Sequence[Path]) -> tuple[float, float]:
    """Give the seconds that the command takes and the most megabytes that it and its processes held."""
    command = [sys.executable, "-m", "braintumor", "predict", *map(str, paths), "--json"]
    most = 0.0
    with tempfile.TemporaryFile() as out:
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL) as running:
            while running.poll() is None:
                most = max(most, sum(map(_megabytes, _family(running.pid))))
                time.sleep(_SECONDS_BETWEEN)
        seconds = time.perf_counter() - started
        out.seek(0)
        rows = len(out.read().splitlines())
    assert running.returncode == 0
    assert rows == (_SCANS if paths[0].is_dir() else 1)
    return seconds, most


def _family(process: int) -> list[int]:
    """List a process and all that it started."""
    try:
        children = (Path("/proc") / str(process) / "task" / str(process) / "children").read_text().split()
    except OSError:
        return []
    return [process, *(one for child in children for one in _family(int(child)))]


def _megabytes(process: int) -> float:
    try:
        lines = (Path("/proc") / str(process) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


if __name__ == "__main__":
    for result in run():
        print(result)
