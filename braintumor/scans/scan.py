"""What a file becomes once it is read, and what is said when it cannot be."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

_NAME_LENGTH = 120


class ScanError(Exception):
    """A file that cannot be used: ``reason`` is one sentence, ``hint`` says what to do next."""

    def __init__(self, reason: str, hint: str, source: str = "") -> None:
        super().__init__(f"{reason} {hint}")
        self.reason = reason
        self.hint = hint
        self.source = source


@dataclass(frozen=True)
class Scan:
    """One picture or volume as it was stored.

    ``pixels`` is float32 of shape (slices, height, width), in the file's own grey values; a flat picture has one
    slice. ``spacing`` is (slice, row, column) in millimeters, or None when the file does not say. ``modality`` is
    the DICOM code ("MR") or None. ``facts`` holds what else the file tells (format, bits, color). ``source`` is a
    name safe to show; ``sha256`` identifies the bytes. ``affine`` is the 4 × 4 matrix, row by row, that takes
    (slice, row, column, 1) to the patient's space in millimeters (RAS+: to the right, to the front, up), or None where
    the file does not place its pixels. ``turn`` is nibabel's orientation, (axis, direction) for each axis of the file,
    that made (slice, row, column) of a file's own axes, or None where they are as they were. Raises ``ValueError`` for
    pixels of another shape, of another type or not finite, and for an affine that is no finite 4 × 4 matrix.
    """

    pixels: NDArray[np.float32]
    source: str
    sha256: str
    spacing: tuple[float, float, float] | None = None
    modality: str | None = None
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    affine: tuple[tuple[float, ...], ...] | None = None
    turn: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or 0 in self.pixels.shape:
            raise ValueError(f"pixels have shape {self.pixels.shape}; expected (slices, height, width)")
        if self.pixels.dtype != np.float32:
            raise ValueError(f"pixels are {self.pixels.dtype}; expected float32")
        if not np.isfinite(self.pixels).all():
            raise ValueError("pixels hold values that are not finite")
        if self.spacing is not None and not all(0 < value < np.inf for value in self.spacing):
            raise ValueError(f"spacing is {self.spacing}; every value must be above 0 mm")
        if self.affine is not None and [len(row) for row in self.affine] != [4] * 4:
            raise ValueError("affine has another shape than 4 × 4")
        if self.affine is not None and not np.isfinite(self.affine).all():
            raise ValueError("affine holds values that are not finite")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, height and width in pixels."""
        slices, height, width = self.pixels.shape
        return slices, height, width


def safe_name(name: str) -> str:
    """Give a file's name a form that can be shown: no control or direction-changing characters, 120 at most."""
    visible = "".join(sign for sign in name if not unicodedata.category(sign).startswith(("C", "Zl", "Zp")))
    visible = visible.replace("\\", "/").strip()
    if len(visible) > _NAME_LENGTH:
        suffix = PurePosixPath(visible).suffix[:10]
        visible = visible[: _NAME_LENGTH - len(suffix) - 1] + "…" + suffix
    return visible or "unnamed"
