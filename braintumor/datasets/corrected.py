"""Cases that readers corrected, as pictures and masks with a list that training reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.datasets.index import INDEX_COLUMNS, INDEX_FILE, DatasetError, write_index
from braintumor.datasets.slice_files import write_mask, write_picture
from braintumor.taxonomy import NO_TUMOR

DATASET = "corrected"


@dataclass(frozen=True)
class CorrectedCase:
    """A scan, (slices, height, width), with what a reader says it shows.

    ``mask`` is a reader's outline, bool of the scan's shape. ``shown`` are slices that show what ``label`` says, where
    there is no such outline. ``group`` tells patients apart and names nobody. Raises ``ValueError`` for another shape.
    """

    group: str
    label: str
    sequence: str
    modality: str
    pixels: NDArray[np.int16] | NDArray[np.float32]
    mask: NDArray[np.bool_] | None
    shown: Sequence[int]

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.shape != self.pixels.shape:
            raise ValueError(f"the mask has shape {self.mask.shape} and the scan {self.pixels.shape}")


def write_corrected(folder: Path, cases: Iterable[CorrectedCase]) -> int:
    """Write the slices of cases to a new folder, 16-bit PNG with masks of 0 and 255, and give how many there are.

    Of a case with an outline all slices are written, those outside of it as without a tumor. Holds one case at a time.
    Raises ``DatasetError`` where the folder exists.
    """
    if folder.exists():
        raise DatasetError(f"{folder} exists already; name a new folder.")
    folder.mkdir(mode=0o700, parents=True)
    rows: list[dict[str, str]] = []
    for number, case in enumerate(cases):
        low, high = float(case.pixels.min()), float(case.pixels.max())
        for at in case.shown if case.mask is None else range(len(case.pixels)):
            if np.ptp(case.pixels[at]):
                rows.append(_write_slice(folder, f"{number:05}-{at:03}.png", case, at, low, high))
    write_index(pd.DataFrame(rows, columns=list(INDEX_COLUMNS)).fillna(""), folder / INDEX_FILE)
    return len(rows)


def _write_slice(folder: Path, name: str, case: CorrectedCase, at: int, low: float, high: float) -> dict[str, str]:
    write_picture(folder / "images" / name, case.pixels[at], low, high)
    outline = None if case.mask is None else case.mask[at]
    has_mask = outline is not None and bool(outline.any())
    if outline is not None and has_mask:
        write_mask(folder / "masks" / name, outline)
    return {
        "path": f"images/{name}",
        "dataset": DATASET,
        "label": NO_TUMOR if outline is not None and not has_mask else case.label,
        "group": case.group,
        "mask": f"masks/{name}" if has_mask else "",
        "sequence": case.sequence,
        "modality": case.modality,
    }
