"""From a map of tumor probabilities to a mask on the scan, and the mask as a file."""
# mypy: allow-untyped-calls
# nibabel annotates few of its functions.

import gzip
import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from braintumor.scans import Placement, Prepared, in_file_axes, place_on_scan

# The square is about as long as the head, so this is a patch of some 4 mm a side: less than one cell of a map of
# 44 x 44, and too little to tell a lesion from noise in the map.
_SMALLEST_REGION = 0.0005
# Below it a map that is sure of nothing would be drawn over half the head.
_LEAST_THRESHOLD, _HIGHEST_THRESHOLD = 0.1, 0.5
_EIGHT_NEIGHBORS = np.ones((3, 3), dtype=bool)
_LONGEST_NIFTI_AXIS = 32_767
_NO_EXTENSION = bytes(4)


def dice_threshold(tumor_map: NDArray[np.float32]) -> float:
    """Give the probability at which to cut a map for the highest Dice that the map itself leads one to expect.

    ``tumor_map`` is (h, w), 0 to 1. Cells are added from the likeliest down while twice the tumor expected among them,
    over their number and all tumor expected, grows; that ends near half of the Dice reached, so a faint lesion is cut
    lower than a clear one (Lipton et al., Optimal Thresholding of Classifiers to Maximize F1, ECML 2014; Dai and Li,
    RankSEG, JMLR 24, 2023; here the ratio of expectations stands for the expectation of the ratio). From 0.1 to 0.5.
    """
    ranked = np.sort(tumor_map, axis=None)[::-1].astype(np.float64)
    held = np.cumsum(ranked)
    expected = 2 * held / (np.arange(1, len(ranked) + 1) + held[-1])
    return float(np.clip(ranked[expected.argmax()], _LEAST_THRESHOLD, _HIGHEST_THRESHOLD))


def tumor_mask(
    tumor_map: NDArray[np.float32], prepared: Prepared, shape: tuple[int, int], threshold: float
) -> NDArray[np.bool_]:
    """Lay a map of tumor probabilities back on its slice and keep what reaches the threshold.

    ``tumor_map`` is (h, w) of any size, 0 to 1, over the square that ``prepared`` names; ``shape`` is the slice's
    height and width in pixels. Gives bool (height, width), False outside the square. Regions (8-connected) of less
    than 0.05 % of the square's area are dropped. Raises ``ValueError`` for a threshold that is not between 0 and 1.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold}; it must be above 0 and below 1")
    reached = place_on_scan(tumor_map, prepared, shape) >= threshold
    rows, columns = (np.flatnonzero(reached.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return reached
    # Labels take four bytes a pixel and most of the time here, and most of a slice is empty.
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    regions, _ = ndimage.label(reached[box], _EIGHT_NEIGHBORS)
    kept = np.bincount(regions.ravel()) >= _SMALLEST_REGION * prepared.side * prepared.width
    kept[0] = False
    reached[box] = kept[regions]
    return reached


def mask_png(mask: NDArray[np.bool_]) -> bytes:
    """Write a mask, bool (height, width), as an 8-bit gray PNG of the same size: 255 inside, 0 outside."""
    file = io.BytesIO()
    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(file, "PNG")
    return file.getvalue()


def mask_nifti(mask: NDArray[np.bool_], placement: Placement | None = None) -> bytes:
    """Write a mask, bool (slices, height, width), as a gzipped NIfTI file (.nii.gz) of uint8, 1 inside.

    With the ``placement`` of its scan it is laid out as the scan's file, voxel by voxel: of the same shape, and with
    the same voxel size, matrix, quaternion and codes, so that what the file leaves unknown stays unknown. Without one
    its axes are slice, row and column, of no known size or place. The same mask gives the same bytes. Raises
    ``ValueError`` for a mask of another shape than three axes, or than its placement's, or longer than 32767 along one.
    """
    if mask.ndim != 3 or (placement is None and max(mask.shape) > _LONGEST_NIFTI_AXIS):
        raise ValueError(f"the mask has shape {mask.shape}; expected three axes of {_LONGEST_NIFTI_AXIS} at most")
    # Only who downloads a mask waits for nibabel to load.
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    voxels, header = mask, Nifti1Header()
    if placement is None:
        header.set_data_shape(mask.shape)
    else:
        voxels = in_file_axes(mask, placement.turn)
        is_second = len(placement.header) == Nifti2Header.sizeof_hdr
        header = (Nifti2Header if is_second else Nifti1Header)(placement.header, check=False)
        if math.prod(header.get_data_shape()) != voxels.size:
            raise ValueError(f"the mask has shape {mask.shape}, another than its scan's file")
    header.set_data_dtype(np.uint8)
    header["vox_offset"] = header.single_vox_offset
    # Written by hand: nibabel would mend what the scan leaves unknown.
    content = header.binaryblock + _NO_EXTENSION + voxels.astype(np.uint8).tobytes(order="F")
    # A time stamp would make every download differ.
    return gzip.compress(content, mtime=0)
