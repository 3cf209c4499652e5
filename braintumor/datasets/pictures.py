"""Many pictures at once, prepared the way the networks see them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from braintumor.scans import Scan, ScanError, prepare, read

_WORKERS = 4


def load_pictures(root: Path, paths: Sequence[str], size: int) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Read and prepare pictures: uint8 (n, size, size) in the order given, and {path: reason} for those that failed.

    A picture that cannot be read is all black in the array.
    """
    return map_pictures(root, paths, lambda scan: prepare(scan.pixels[0], size).image, (size, size), np.uint8)


def map_pictures(
    root: Path, paths: Sequence[str], work: Callable[[Scan], NDArray[Any]], shape: tuple[int, ...], dtype: Any
) -> tuple[NDArray[Any], dict[str, str]]:
    """Read every picture and put ``work``'s result, of the given shape and type, in a row of one array.

    Rows whose picture cannot be read stay zero; their reasons come back as {path: reason}.
    """
    out = np.zeros((len(paths), *shape), dtype)
    failed: dict[str, str] = {}

    def one(row: int) -> None:
        try:
            out[row] = work(read((root / paths[row]).read_bytes(), paths[row]))
        except (ScanError, OSError) as error:
            failed[paths[row]] = str(error)

    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in tqdm(pool.map(one, range(len(paths))), total=len(paths), desc="Reading pictures", unit=""):
            pass
    return out, failed
