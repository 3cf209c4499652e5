"""Many pictures at once, prepared the way the networks see them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from braintumor.scans import Prepared, Scan, ScanError, prepare, prepare_outline, read, restore

_WORKERS = 4


def load_pictures(root: Path, paths: Sequence[str], size: int) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Read and prepare pictures: uint8 (n, size, size) in the order given, and {path: reason} for those that failed.

    What viewers did to the gray values is undone as where scans are answered. A picture that cannot be read is all
    black in the array.
    """
    return map_pictures(root, paths, lambda scan, _: _prepared(scan, size).image, (size, size), np.uint8)


def load_outlines(
    root: Path, paths: Sequence[str], masks: Sequence[str], size: int
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Prepare the masks of pictures as the pictures themselves are: uint8 (n, size, size) from 0 to 255, and failures.

    ``masks`` names the file of each picture's mask. A mask of another size than its picture counts as failed.
    """

    def cut(scan: Scan, row: int) -> NDArray[np.uint8]:
        mask = _read(root, masks[row])
        if mask.shape != scan.shape:
            raise ScanError(
                f"The mask {masks[row]} has another size than its picture.", "Draw it on the picture itself."
            )
        return prepare_outline(mask.pixels[0], _prepared(scan, size), size)

    return map_pictures(root, paths, cut, (size, size), np.uint8)


def map_pictures(
    root: Path, paths: Sequence[str], work: Callable[[Scan, int], NDArray[Any]], shape: tuple[int, ...], dtype: Any
) -> tuple[NDArray[Any], dict[str, str]]:
    """Read every picture and put what ``work`` makes of it and its number, of the given shape, in a row of an array.

    Rows whose picture cannot be read stay zero; their reasons come back as {path: reason}.
    """
    out = np.zeros((len(paths), *shape), dtype)
    failed: dict[str, str] = {}

    def one(row: int) -> None:
        try:
            out[row] = work(_read(root, paths[row]), row)
        except (ScanError, OSError) as error:
            failed[paths[row]] = str(error)

    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in tqdm(pool.map(one, range(len(paths))), total=len(paths), desc="Reading pictures", unit=""):
            pass
    return out, failed


def _prepared(scan: Scan, size: int) -> Prepared:
    return prepare(restore(scan.pixels).layer(0), size, scan.pixel_aspect)


def _read(root: Path, path: str) -> Scan:
    return read((root / path).read_bytes(), path)
