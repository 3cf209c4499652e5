"""A DICOM study of three series of 160 slices on a desk of the server: to the first answer, and to that for the study.

Beside it stand the bare passes of 480 slices through the network, with the threads that a desk answers with.
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks.result import Result
from braintumor import settings
from braintumor.bundles import GRAPH_FILE
from braintumor.inference import Graph, Predictors
from braintumor.scans import phantom

_SLICES = 160
_SIDE = 256
_KINDS = ("t1_mprage_tra_km", "t2_flair_tra", "t2_tse_tra")
_PASSES = 100
_THREADS = 2


def run() -> list[Result]:
    child = subprocess.run([sys.executable, "-m", "benchmarks.study"], capture_output=True, text=True, check=True)
    taken = json.loads(child.stdout)
    bare = _bare_pass() * _SLICES * len(_KINDS)
    detail = f"{bare:.1f} s for bare passes of its slices"
    return [
        Result("first answer for a study of 480 slices", taken["first"], 3, "s", detail, at_most=True),
        Result("answer for all of it", taken["whole"], 15, "s", detail, at_most=True),
        Result("the same, in bare passes of its slices", taken["whole"] / bare, 3, "×", detail, at_most=True),
        Result("memory of the server meanwhile", taken["megabytes"], 600, "MB", "resident, at most", at_most=True),
    ]


def _bare_pass() -> float:
    """Give the seconds that one slice takes through the network alone."""
    configured = settings.load()
    graph = Graph(configured.models_dir / configured.model / GRAPH_FILE, threads=_THREADS)
    image = np.zeros((1, 256, 256), np.uint8)
    graph.run(image)
    started = time.perf_counter()
    for _ in range(_PASSES):
        graph.run(image)
    return (time.perf_counter() - started) / _PASSES


def study() -> list[tuple[str, bytes]]:
    """Make the files of the study: heads that differ from slice to slice."""
    from tests.scans.dicom_files import dicom

    heads = [phantom(_SIDE, tumor=number % 2 == 0, seed=number).astype(np.uint16) * 8 for number in range(8)]
    return [
        (
            f"{series}-{number}",
            dicom(
                heads[number % len(heads)] + np.uint16(number),
                SeriesInstanceUID=f"1.2.{series}",
                SeriesNumber=series,
                SeriesDescription=kind,
                ImagePositionPatient=[0, 0, float(number)],
                SliceThickness=1,
                InstanceNumber=number + 1,
            ),
        )
        for series, kind in enumerate(_KINDS, 1)
        for number in range(_SLICES)
    ]


def _answer() -> None:
    """Answer the study on a guest's desk, as the server does, and print what it took."""
    from braintumor.dashboard.desk.desk import Bounds, Desk
    from braintumor.dashboard.desk.shelves import MemoryShelf

    configured = settings.load()
    files = study()
    predictors = Predictors(configured.models_dir / configured.model, _THREADS)
    desk = Desk(MemoryShelf(), Bounds(configured.max_files, configured.max_session_mb * 2**20, is_guest=True))
    started = time.perf_counter()
    desk.take(files)
    desk.start(predictors)
    first = None
    while desk.progress is not None:
        if first is None and any(case.outcome for case in desk.cases):
            first = time.perf_counter() - started
        time.sleep(0.02)
    whole = time.perf_counter() - started
    assert [case.answer is not None for case in desk.cases] == [True] * len(_KINDS)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"first": first or whole, "whole": whole, "megabytes": most}))


if __name__ == "__main__":
    _answer()
