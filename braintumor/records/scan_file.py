"""A scan as it is kept: its values and where they lie, and nothing that its file said of anybody."""

import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braintumor.records.vault import VaultError

_LARGEST_BYTES = 512 * 2**20
"""Of a scan that is read: twice the largest volume that the app accepts, as 32-bit values."""


@dataclass(frozen=True)
class StoredScan:
    """A scan, or a mask, as it is kept: ``pixels`` are (slices, height, width) in the type that it was stored as.

    ``spacing`` is (slice, row, column) in millimeters, and ``affine`` takes (slice, row, column, 1) to the patient's
    space, RAS+; each is None where unknown.
    """

    pixels: NDArray[np.int16] | NDArray[np.float32]
    spacing: tuple[float, float, float] | None
    affine: NDArray[np.float64] | None


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


def mask_file(
    mask: NDArray[np.bool_],
    affine: Sequence[Sequence[float]] | None = None,
    spacing: tuple[float, float, float] | None = None,
) -> bytes:
    """Write a mask, bool (slices, height, width), voxel by voxel as ``scan_file`` writes its scan: 1 inside."""
    return scan_file(mask.astype(np.float32), affine, spacing)


def read_scan_file(content: bytes) -> StoredScan:
    """Read what ``scan_file`` or ``mask_file`` wrote; raises ``VaultError`` for anything else."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    unreadable = (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError, WrapStructError)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            plain = file.read(_LARGEST_BYTES + 1)
        if len(plain) > _LARGEST_BYTES:
            raise ValueError("too large")
        image = nib.Nifti1Image.from_bytes(plain)
        pixels = np.asarray(image.dataobj)
        header = image.header
        if pixels.ndim != 3 or pixels.dtype not in (np.int16, np.float32):
            raise ValueError("another kind of file")
    except unreadable as error:
        raise VaultError("A stored scan is of another kind than this app keeps; file it again.") from error
    is_placed = int(header["sform_code"]) > 0
    is_sized = header.get_xyzt_units()[0] == "mm"  # type: ignore[no-untyped-call]
    slices, rows, columns = (float(value) for value in header.get_zooms())  # type: ignore[no-untyped-call]
    return StoredScan(
        pixels,
        (slices, rows, columns) if is_sized else None,
        np.asarray(image.affine, np.float64) if is_placed else None,
    )
