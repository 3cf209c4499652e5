"""The DICOM node: the time that it takes for objects beside dcmtk's storescp, and its memory over 5,000 of them."""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.result import Result
from scripts.app_process import ServerProcess
from tests.pacs.nodes import TITLE, Hospital, archive, free_port, needed
from tests.scans.dicom_files import ROOT, dicom

_OBJECTS, _ROUNDS, _SIDE = 100, 3, 512
_MANY, _AT_ONCE = 5000, 500


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        # No study is complete before the end, so that nothing is answered meanwhile.
        hospital = Hospital(folder, "SCANNER@127.0.0.1", results="", quiet=7200)
        with archive(folder / "archive", port), hospital.running() as node:
            return [_speed(folder, hospital.port, port), *_memory(folder, hospital.port, ServerProcess(node.pid))]


def _speed(folder: Path, node: int, other: int) -> Result:
    pixels = np.random.default_rng(5).integers(0, 4096, (_SIDE, _SIDE), np.uint16)
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS + 1):
        files = _written(folder / f"round-{number}", f"80.{number}", pixels, _OBJECTS)
        for seconds, (title, port) in zip(taken, ((TITLE, node), ("ARCHIVE", other)), strict=True):
            seconds.append(_sent(files, title, port))
    # The first round warms both up.
    ours, theirs = (statistics.median(seconds[1:]) for seconds in taken)
    size = _OBJECTS * pixels.nbytes / 1e6
    detail = (
        f"{size / ours:.0f} MB/s, encrypted, synced and in the table, against {size / theirs:.0f} MB/s as plain files; "
        f"median of {_ROUNDS} times {_OBJECTS} objects of {_SIDE} × {_SIDE}"
    )
    return Result("objects taken by the DICOM node", ours / theirs, 2, "× storescp's time", detail, at_most=True)


def _memory(folder: Path, port: int, node: ServerProcess) -> list[Result]:
    pixels, readings = np.zeros((32, 32), np.uint16), []
    for start in range(0, _MANY, _AT_ONCE):
        _sent(_written(folder / f"many-{start}", f"81.{start}", pixels, _AT_ONCE), TITLE, port)
        readings.append(node.resident_megabytes)
    detail = f"{readings[0]:.0f} MB after {_AT_ONCE} objects, {readings[-1]:.0f} MB after {_MANY}"
    growth = 100 * (readings[-1] / readings[0] - 1)
    return [Result(f"growth of the node over {_MANY:,} objects", growth, 5, "%", detail, at_most=True)]


def _written(folder: Path, number: str, pixels: np.ndarray, count: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{place}.dcm" for place in range(count)]
    for place, path in enumerate(paths):
        said = {"StudyInstanceUID": f"{ROOT}{number}", "SeriesInstanceUID": f"{ROOT}{number}.1"}
        path.write_bytes(dicom(pixels, SOPInstanceUID=f"{ROOT}{number}.2.{place}", InstanceNumber=place, **said))
    return paths


def _sent(files: list[Path], title: str, port: int) -> float:
    called = [needed("storescu"), "-aet", "SCANNER", "-aec", title, "127.0.0.1", str(port), *map(str, files)]
    started = time.perf_counter()
    subprocess.run(called, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    for result in run():
        print(result)
