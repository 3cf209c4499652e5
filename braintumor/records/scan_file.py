"""A scan as it is kept: its values and where they lie, and nothing that its file said of anybody."""

import gzip
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def scan_file(
    pixels: NDArray[np.float32],
    affine: Sequence[Sequence[float]] | None = None,
    spacing: tuple[float, float, float] | None = None,
) -> bytes:
    """Write a scan, (slices, height, width), as a gzipped NIfTI file whose header holds no text.

    ``affine`` takes (slice, row, column, 1) to the patient's space in millimeters, RAS+; without one the file says no
    more than the ``spacing`` of slices, rows and columns in millimeters. Whole numbers of 16 bits are stored as such,
    other values as they are, so that all come back exactly. The same scan gives the same bytes. Text that is part of
    the picture stays in it.
    """
    import nibabel as nib

    small = pixels.astype(np.int16) if np.abs(pixels).max(initial=0) <= np.iinfo(np.int16).max else pixels
    values = small if np.array_equal(small, pixels) else pixels
    placed = None if affine is None else np.asarray(affine, np.float64)
    image = nib.Nifti1Image(values, placed)  # type: ignore[no-untyped-call]
    if affine is None:
        image.header.set_zooms(spacing or (1.0, 1.0, 1.0))  # type: ignore[no-untyped-call]
    unit = "mm" if affine is not None or spacing is not None else "unknown"
    image.header.set_xyzt_units(unit)  # type: ignore[no-untyped-call]
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
