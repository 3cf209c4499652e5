"""Header of FreeSurfer's volumes: MGH, and MGZ, which is MGH packed with gzip."""
# mypy: allow-untyped-calls
# nibabel annotates few of its functions.

import numpy as np

from braintumor.scans.layout import Layout, checked, nifti_header
from braintumor.scans.scan import ScanError

SUFFIXES = frozenset({".mgh", ".mgz"})

_VERSION = (1).to_bytes(4, "big")
_SIZE = 284
_TYPES = (0, 1, 3, 4)  # uint8, int32, float32, int16
_TYPE_AT, _IS_PLACED_AT = slice(20, 24), slice(28, 30)


def is_known(start: bytes) -> bool:
    """Tell by its first bytes whether a file is MGH, which has no mark but its version and type of values."""
    return start.startswith(_VERSION) and int.from_bytes(start[_TYPE_AT], "big") in _TYPES and len(start) >= _SIZE


def layout(start: bytes) -> Layout:
    """Read a header from the first bytes of a file.

    Where it has no coordinates FreeSurfer takes voxels of 1 mm in coronal slices; this counts as assumed. Raises
    ``ScanError`` for several volumes in one file, and nibabel's errors for what makes no sense.
    """
    # Loading nibabel takes a while, and the login page needs none of it.
    from nibabel.freesurfer.mghformat import MGHHeader

    # Without coordinates nibabel puts FreeSurfer's own, and that it has them.
    is_placed = any(start[_IS_PLACED_AT])
    header = MGHHeader(start[:_SIZE])
    width, height, depth, count = (int(size) for size in header["dims"])
    if count > 1:
        raise ScanError(
            f"This file holds {count} volumes.", "Save one volume of it as a file of its own and try again."
        )
    if min(width, height, depth) < 1:
        raise ValueError
    affine = checked(np.asarray(header.get_affine(), dtype=np.float64))
    return Layout(
        "MGH",
        (width, height, depth),
        header.get_data_dtype(),
        header.get_data_offset(),
        affine,
        oriented=is_placed,
        sized=is_placed,
        placed=nifti_header((width, height, depth), affine if is_placed else None),
    )
