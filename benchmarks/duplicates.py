"""Near-duplicates among 20,000 pictures, reading included, against comparing every pair at full detail."""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.result import Result
from braintumor.datasets import near_duplicates, signatures
from braintumor.datasets.duplicates import CORRELATION, SIDE

_PICTURES = 20_000
_DISTINCT = 2_000
_COMPARED = 4_000


def run() -> Result:
    with tempfile.TemporaryDirectory() as folder:
        names = _draw(Path(folder))
        paths = [names[number % _DISTINCT] for number in range(_PICTURES)]
        started = time.perf_counter()
        marks, _ = signatures(Path(folder), paths)
        pairs = near_duplicates(marks)
        taken = time.perf_counter() - started
    copies = _PICTURES // _DISTINCT
    assert len(pairs) >= _DISTINCT * copies * (copies - 1) // 2
    fast, slow = _seconds(near_duplicates, marks[:_COMPARED]), _seconds(_every_pair, marks[:_COMPARED])
    detail = f"comparing {_COMPARED} takes 1/{slow / fast:.1f} of the time of every pair at {SIDE} × {SIDE}"
    return Result("near-duplicates among 20,000 pictures", taken, 120, "s", detail, at_most=True)


def _draw(folder: Path) -> list[str]:
    random = np.random.default_rng(0)
    for number in range(_DISTINCT):
        rough = Image.fromarray(random.integers(0, 256, (7, 7), dtype=np.uint8))
        file = io.BytesIO()
        rough.resize((256, 256), Image.Resampling.BICUBIC).save(file, "JPEG")
        (folder / f"{number}.jpg").write_bytes(file.getvalue())
    return [f"{number}.jpg" for number in range(_DISTINCT)]


def _every_pair(marks: NDArray[np.float32]) -> int:
    flat = marks.reshape(len(marks), -1)
    found = 0
    for turn in range(8):
        turned = np.rot90(marks, turn % 4, axes=(1, 2))
        turned = turned if turn < 4 else turned[:, :, ::-1]
        found += int((flat @ turned.reshape(len(marks), -1).T > CORRELATION).sum())
    return found


def _seconds(work: Callable[[NDArray[np.float32]], object], marks: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    work(marks)
    return time.perf_counter() - started
