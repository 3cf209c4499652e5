"""What a file becomes once it is read, and what is said when it cannot be."""

import copyreg
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braintumor.scans.series import Series, Weighting

_NAME_LENGTH = 120
_SQUARE = 0.01
"""Part by which a pixel's width and height may differ and count as equal: less than two of a head's pixels."""
_NARROWEST = 1 / 16
"""Sides of a pixel beyond whose ratio its size is nonsense; a slice across thick slices has 1 to 10."""
STATED = "weighting"
"""The fact that tells what kind of images a volume holds, as its file's name says."""

PIXEL_ASPECT = "pixel_aspect"
"""The fact that tells how wide a pixel is for its height where nothing tells its size in millimeters."""


class ScanError(Exception):
    """A file that cannot be used: ``reason`` is one sentence, ``hint`` says what to do next.

    ``series`` holds the facts of a DICOM series that failed as a whole, as far as they are known.
    """

    series: Series | None = None

    def __init__(self, reason: str, hint: str, source: str = "") -> None:
        super().__init__(f"{reason} {hint}")
        self.reason = reason
        self.hint = hint
        self.source = source

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel between processes, which an exception that is made from other arguments does not by itself."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class LeftOutError(ScanError):
    """What of an archive or an upload was left out for its number."""


@dataclass(frozen=True)
class Placement:
    """How a volume's file lays out its voxels, for a mask to be laid out alike.

    ``header`` is a NIfTI header, of version 1 or 2, with the file's shape, voxel size and place in space, each as far
    as the file gives it, and nothing else. ``turn`` is nibabel's orientation, (axis, direction) for each axis of the
    file, that made (slice, row, column) of them.
    """

    header: bytes
    turn: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Scan:
    """One picture or volume as it was stored.

    ``pixels`` is float32 of shape (slices, height, width), in the file's own gray values; a flat picture has one
    slice. ``spacing`` is (slice, row, column) in millimeters, or None when the file does not say. ``modality`` is
    the DICOM code ("MR") or None. ``facts`` holds what else the file tells (format, bits, color). ``source`` is a
    name safe to show; ``sha256`` identifies the bytes. ``affine`` is the 4 × 4 matrix, row by row, that takes
    (slice, row, column, 1) to the patient's space in millimeters (RAS+: to the right, to the front, up), or None where
    the file does not place its pixels. ``placement`` is how a volume's file lays them out, None of pictures.
    ``series`` holds the facts of a DICOM series. Raises ``ValueError`` for
    pixels of another shape, of another type or not finite, and for an affine that is not a finite 4 × 4 matrix.
    """

    pixels: NDArray[np.float32]
    source: str
    sha256: str
    spacing: tuple[float, float, float] | None = None
    modality: str | None = None
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    affine: tuple[tuple[float, ...], ...] | None = None
    placement: Placement | None = None
    series: Series | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or 0 in self.pixels.shape:
            raise ValueError(f"pixels have shape {self.pixels.shape}; expected (slices, height, width)")
        if self.pixels.dtype != np.float32:
            raise ValueError(f"pixels are {self.pixels.dtype}; expected float32")
        # Slice by slice, since a mask of all would add a quarter to the memory of a volume.
        if not all(np.isfinite(layer).all() for layer in self.pixels):
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

    @property
    def weighting(self) -> Weighting:
        """What kind of images these are, as the series' tags or the name of the volume's file say."""
        return self.series.weighting if self.series else Weighting(str(self.facts.get(STATED, Weighting.UNKNOWN)))

    @property
    def pixel_aspect(self) -> float:
        """The width of a pixel in heights of one, 1.0 for a square one and where the file does not say."""
        aspect = self.spacing[2] / self.spacing[1] if self.spacing else float(self.facts.get(PIXEL_ASPECT, 1.0))
        return aspect if _NARROWEST <= aspect <= 1 / _NARROWEST and abs(aspect - 1) > _SQUARE else 1.0


def fill_missing(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the lowest value there is where pixels, (slices, height, width), are not finite, in place; give them back.

    Raises ``ScanError`` where none is finite.
    """
    lowest = min(float(np.min(layer, where=np.isfinite(layer), initial=np.inf)) for layer in pixels)
    if lowest == np.inf:
        raise ScanError("This file holds no values that are numbers.", "Export it again and try once more.")
    for layer in pixels:
        layer[~np.isfinite(layer)] = lowest
    return pixels


def safe_name(name: str) -> str:
    """Give a file's name a form that can be shown: no control or direction-changing characters, 120 at most."""
    visible = "".join(sign for sign in name if not unicodedata.category(sign).startswith(("C", "Zl", "Zp")))
    visible = visible.replace("\\", "/").strip()
    if len(visible) > _NAME_LENGTH:
        suffix = PurePosixPath(visible).suffix[:10]
        visible = visible[: _NAME_LENGTH - len(suffix) - 1] + "…" + suffix
    return visible or "unnamed"
