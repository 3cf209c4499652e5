"""Near-duplicate pictures, found through rotations and mirror images, and the groups they make."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from braintumor.datasets.pictures import map_pictures
from braintumor.datasets.volumes import VOLUME_GROUP
from braintumor.scans import Scan

SIDE = 32
CORRELATION = 0.985
"""Two pictures are near-duplicates when their 32 × 32 gray versions correlate above this."""

_COARSE_SIDE = 16
_COARSE_CORRELATION = 0.965
_BLOCK = 2048
_CHENG_BLOCK = 60
"""The figshare set has about 13 consecutive slices a patient; blocks of 60 cut few patients in two."""


def signatures(root: Path, paths: Sequence[str]) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Shrink pictures to (n, 32, 32) gray, each of mean 0 and norm 1, and tell which could not be read."""
    gray, failed = map_pictures(root, paths, lambda scan, _: _shrink(scan), (SIDE, SIDE), np.float32)
    return _standardize(gray), failed


def near_duplicates(marks: NDArray[np.float32], correlation: float = CORRELATION) -> NDArray[np.int64]:
    """Find all pairs of pictures that are alike under some rotation by 90° or mirror image.

    ``marks`` come from ``signatures``; gives (pairs, 2) row numbers, the first the smaller. A 16 × 16 version
    proposes candidates, which keeps 20,000 pictures within seconds; the 32 × 32 one decides.
    """
    count = len(marks)
    if count == 0:
        return np.empty((0, 2), np.int64)
    coarse = _standardize(marks.reshape(count, _COARSE_SIDE, 2, _COARSE_SIDE, 2).mean(axis=(2, 4)))
    found = []
    for turn in range(8):
        flat, turned = coarse.reshape(count, -1), _turn(coarse, turn).reshape(count, -1)
        exact, exact_turned = marks.reshape(count, -1), _turn(marks, turn).reshape(count, -1)
        for start in range(0, count, _BLOCK):
            alike = flat[start : start + _BLOCK] @ turned[start:].T
            first, second = np.nonzero(alike > _COARSE_CORRELATION)
            keep = first < second
            first, second = first[keep] + start, second[keep] + start
            found.append(_confirm(first, second, exact, exact_turned, correlation))
    return np.unique(np.concatenate(found), axis=0)


def assign_groups(index: pd.DataFrame, pairs: NDArray[np.int64]) -> pd.DataFrame:
    """Add to an index what must stay together: ``picture`` (copies of one picture) and ``group``.

    Slices of one volume are neighbors, however alike, and no copies.
    A group joins near-duplicates, rows that share a given group, and figshare slices of one block of 60
    consecutive numbers when no group is given for them; and all that is linked through others.
    """
    known = [given or _slice_block(path, dataset) for path, dataset, given in _rows(index)]
    volume = np.array([name if name.startswith(VOLUME_GROUP) else "" for name in known], dtype=object)
    first, second = pairs.T
    pairs = pairs[(volume[first] == "") | (volume[first] != volume[second])]
    edges = [pairs]
    rows = pd.Series(range(len(index)))
    for name, members in rows.groupby(known):
        if name:
            numbers = members.to_numpy()
            edges.append(np.column_stack([np.full(len(numbers) - 1, numbers[0]), numbers[1:]]))
    pictures = _components(len(index), pairs)
    groups = _components(len(index), np.concatenate(edges))
    return index.assign(picture=[f"p{n:05d}" for n in pictures], group=[f"g{n:05d}" for n in groups])


def _shrink(scan: Scan) -> NDArray[np.float32]:
    small = Image.fromarray(scan.pixels[0]).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def _standardize(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    centered = gray - gray.mean(axis=(1, 2), keepdims=True)
    norm = np.sqrt((centered**2).sum(axis=(1, 2), keepdims=True))
    # A flat picture, or one that could not be read, is like no other; rounding leaves it a trace of its gray value.
    trace = 1e-5 * np.abs(gray).max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(centered, norm, out=np.zeros_like(centered), where=norm > np.maximum(trace, 1e-6)))


def _turn(marks: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    rotated = np.rot90(marks, turn % 4, axes=(1, 2))
    return rotated if turn < 4 else rotated[:, :, ::-1]


def _confirm(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    exact: NDArray[np.float32],
    turned: NDArray[np.float32],
    correlation: float,
) -> NDArray[np.int64]:
    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(first), 4 * _BLOCK):
        a, b = first[start : start + 4 * _BLOCK], second[start : start + 4 * _BLOCK]
        alike = np.einsum("ij,ij->i", exact[a], turned[b])
        kept.append(np.column_stack([a, b])[alike > correlation])
    return np.concatenate(kept)


def _rows(index: pd.DataFrame) -> zip:  # type: ignore[type-arg]
    return zip(index["path"], index["dataset"], index["group"], strict=True)


def _slice_block(path: str, dataset: str) -> str:
    number = re.fullmatch(r"0*(\d+)", PurePosixPath(path).stem)
    if dataset != "cheng" or number is None:
        return ""
    return f"cheng-block-{(int(number[1]) - 1) // _CHENG_BLOCK}"


def _components(count: int, edges: NDArray[np.int64]) -> NDArray[np.int32]:
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    return np.asarray(component, dtype=np.int32)
