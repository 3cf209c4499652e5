"""What the header of a volume says, whatever its format."""

# mypy: allow-untyped-calls
# nibabel annotates few of its functions.

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braintumor.scans.scan import ScanError

EXPORT = "Export it again as NIfTI and try once more."
_SCANNER = 1  # NIfTI's code for the scanner's own coordinates
_LONGEST_NIFTI1_AXIS = 32_767
_FLATTEST = 0.01  # volume of a voxel whose edges are made 1; below this it is flat, and no true scan

_UPRIGHT = 0.999
"""Volume of a voxel, as a share of the product of its edges, below which it is sheared: 2.6 degrees."""


@dataclass(frozen=True)
class Layout:
    """What a header says: where the voxels are, how to read them and where they lie in space (RAS+, millimeters).

    ``oriented`` is False where the orientation is assumed, ``sized`` where the voxels' size is. ``placed`` is the
    header of a ``Placement``.
    """

    format: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    affine: NDArray[np.float64]
    oriented: bool
    sized: bool
    placed: bytes
    slope: float = 1.0
    intercept: float = 0.0


def checked(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give an affine, (4, 4), back; raises ``ScanError`` for one that takes a volume to no volume."""
    with np.errstate(all="ignore"):
        sizes = voxel_sizes(affine)
        spread = abs(np.linalg.det(affine[:3, :3] / sizes))
    if not np.isfinite([*affine.flat, *sizes, spread]).all() or spread < _FLATTEST:
        raise ScanError("This volume does not say how it lies in space.", EXPORT)
    return affine


def nifti_header(shape: tuple[int, int, int], affine: NDArray[np.float64] | None) -> bytes:
    """Give the NIfTI header for a ``Placement`` of voxels with this shape and place; without a place it has none."""
    # Loading nibabel takes a while, and the login page needs none of it.
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    header = (Nifti1Header if max(shape) <= _LONGEST_NIFTI1_AXIS else Nifti2Header)()
    header.set_data_shape(shape)
    if affine is not None:
        header.set_xyzt_units("mm")
        header.set_zooms(voxel_sizes(affine))
        header.set_sform(affine, _SCANNER)
    return bytes(header.binaryblock)


def slice_sizes(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Give the distance between slices and the height and width of their pixels, for an affine of (slice, row, column).

    Slices that are shifted against each other are as far apart as they are along their normal.
    """
    slices, row, column = (float(size) for size in voxel_sizes(affine))
    volume = abs(float(np.linalg.det(affine[:3, :3])))
    is_sheared = volume < _UPRIGHT * slices * row * column
    return (volume / (row * column) if is_sheared else slices), row, column


def voxel_sizes(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the lengths of a voxel's edges, (3,), in the affine's unit."""
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0), dtype=np.float64)
