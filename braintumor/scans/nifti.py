"""Header of NIfTI volumes, of either version, and what it says."""
# mypy: allow-untyped-calls
# nibabel annotates few of its functions.

import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braintumor.scans.layout import Layout, checked
from braintumor.scans.scan import ScanError

SUFFIXES = frozenset({".nii", ".nii.gz"})

_MILLIMETERS = {1: 1000.0, 2: 1.0, 3: 0.001}  # by code of `xyzt_units`: meter, millimeter, micrometer

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLORS = (128, 2304)
_COMPLEX = (32, 1792, 2048)
_HEADER_SIZES = {b"n+1": 348, b"n+2": 540}
_ANALYZE_SIZES = ((348).to_bytes(4, "little"), (348).to_bytes(4, "big"))
_LONGEST_OFFSET = 16 * 2**20
_PLACED = (
    *("dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
)

_quiet = logging.getLogger(__name__)
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def is_known(start: bytes) -> bool:
    """Tell by its first bytes whether a file is NIfTI or the header of a pair."""
    return _magic(start) is not None


def layout(start: bytes) -> Layout:
    """Read a header from the first bytes of a file.

    The affine is that of sform, else qform, else of the voxels' size alone (nibabel's ``get_best_affine``): then the
    orientation is assumed. Leading axes of length 1 are left out, and the orientation is assumed there too. Raises
    ``ScanError`` for what is not a single gray volume, and nibabel's errors for what makes no sense.
    """
    magic = _magic(start) or b""
    if magic not in _HEADER_SIZES:
        raise ScanError(
            "This is the header of a NIfTI or Analyze pair.", "Convert the pair to one NIfTI file and try again."
        )
    header = _header(start[: _HEADER_SIZES[magic]], magic)
    dtype = _dtype(header)
    # Checking the header puts 1 mm where a size is missing.
    sized, placed = _is_sized(header), _placed(header)
    header.check_fix(logger=_quiet, error_level=40)
    if not np.isfinite(header["scl_inter"]):
        header["scl_inter"] = 0
    shape, is_whole = _shape(header)
    offset = max(header.get_data_offset(), header.single_vox_offset)
    if offset > _LONGEST_OFFSET:
        raise ValueError
    slope, intercept = header.get_slope_inter()
    return Layout(
        "NIfTI",
        shape,
        dtype,
        offset,
        _affine(header),
        oriented=bool(header["sform_code"] or header["qform_code"]) and is_whole,
        sized=sized,
        placed=placed,
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
    )


def _placed(header: Any) -> bytes:
    """Copy what a header says of shape and place, and nothing that may name a patient."""
    copied = type(header)()
    for name in _PLACED:
        copied[name] = header[name]
    return bytes(copied.binaryblock)


def _is_sized(header: Any) -> bool:
    """Tell whether a header gives the voxels' size, by its matrix or its pixel dimensions."""
    given = np.abs(header["pixdim"][1:4].astype(np.float64))
    return bool(header["sform_code"]) or bool((np.isfinite(given) & (given > 0)).all())


def _header(block: bytes, magic: bytes) -> Any:
    # Loading nibabel takes a while, and the login page needs none of it.
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    return (Nifti1Header if magic == b"n+1" else Nifti2Header)(block, check=False)


def _shape(header: Any) -> tuple[tuple[int, int, int], bool]:
    """Give the volume's shape, and whether its axes are the header's first three: leading ones of length 1 are not."""
    if not 1 <= int(header["dim"][0]) <= 7:
        raise ValueError
    sizes = tuple(int(size) for size in header.get_data_shape())
    if len(sizes) < 2 or min(sizes) < 1:
        raise ScanError("This NIfTI file holds no volume.", "Check that the right file was chosen.")
    given = sizes
    while len(sizes) > 3 and sizes[0] == 1:
        sizes = sizes[1:]
    if (count := math.prod(sizes[3:])) > 1:
        raise ScanError(
            f"This file holds {count} volumes.", "Save one volume of it as a file of its own and try again."
        )
    width, height, depth = (*sizes, 1)[:3]
    return (width, height, depth), sizes is given


def _dtype(header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code in _COLORS:
        raise ScanError("This volume holds colors, not gray values.", "Save it in shades of gray and try again.")
    if code in _COMPLEX:
        raise ScanError("This volume holds complex numbers.", "Save their magnitude and try again.")
    if code not in _TYPES:
        raise ScanError("The type of this volume's values cannot be read.", "Save it as 32-bit floats and try again.")
    return np.dtype(_TYPES[code]).newbyteorder(header.endianness)


def _affine(header: Any) -> NDArray[np.float64]:
    scale = _MILLIMETERS.get(int(header["xyzt_units"]) % 8, 1.0)
    with np.errstate(all="ignore"):
        affine = np.asarray(np.diag([scale, scale, scale, 1.0]) @ _best_affine(header), dtype=np.float64)
    return checked(affine)


def _best_affine(header: Any) -> Any:
    """Give sform, else qform, else what only the voxels' size says; a sform of no volume counts as none."""
    try:
        if header["sform_code"] and header["qform_code"] and not np.linalg.det(header.get_sform()[:3, :3]):
            return header.get_qform()
        return header.get_best_affine()
    except ValueError:
        raise ScanError(
            "This volume's orientation is given by a quaternion that is not of unit length.",
            "Write its qform again, or remove it, and try once more.",
        ) from None


def _magic(start: bytes) -> bytes | None:
    """Give the format's mark: n and the version for a single file, "ni" and the version (Analyze: 0) for a pair."""
    if start[344:347] in (b"n+1", b"ni1"):
        return start[344:347]
    if start[4:7] in (b"n+2", b"ni2"):
        return start[4:7]
    return b"ni0" if len(start) == 348 and start.startswith(_ANALYZE_SIZES) else None
