"""From a map of tumor probabilities to a mask on the scan, and the mask as a file."""

import gzip
import io

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from braintumor.scans import Prepared, place_on_scan

# The square is about as long as the head, so this is a patch of some 4 mm a side: less than one cell of a map of
# 44 x 44, and too little to tell a lesion from noise in the map.
_SMALLEST_REGION = 0.0005
# Below it a map that is sure of nothing would be drawn over half the head.
_LEAST_THRESHOLD, _HIGHEST_THRESHOLD = 0.1, 0.5
_EIGHT_NEIGHBORS = np.ones((3, 3), dtype=bool)
_LONGEST_NIFTI_AXIS = 32_767


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
    kept = np.bincount(regions.ravel()) >= _SMALLEST_REGION * prepared.side**2
    kept[0] = False
    reached[box] = kept[regions]
    return reached


def mask_png(mask: NDArray[np.bool_]) -> bytes:
    """Write a mask, bool (height, width), as an 8-bit gray PNG of the same size: 255 inside, 0 outside."""
    file = io.BytesIO()
    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(file, "PNG")
    return file.getvalue()


def mask_nifti(
    mask: NDArray[np.bool_],
    affine: npt.ArrayLike | None = None,
    spacing: tuple[float, float, float] | None = None,
    turn: npt.ArrayLike | None = None,
) -> bytes:
    """Write a mask, bool (slices, height, width), as a gzipped NIfTI-1 file (.nii.gz) of uint8, 1 inside.

    The file's axes are slice, row and column, as in the array, or those of the volume that ``turn``, nibabel's
    orientation (3, 2), made them of: then it has the volume's own shape and place, voxel by voxel. ``affine`` (4, 4)
    takes an index of the array to millimeters, right, anterior and superior; without one ``spacing``, (slice, row,
    column) in millimeters, is laid along the axes, or 1 mm where that is None too. The same mask gives the same bytes.
    Raises ``ValueError`` for a mask of another shape or longer than 32767 along an axis, and for an affine that cannot
    be inverted.
    """
    if mask.ndim != 3 or max(mask.shape) > _LONGEST_NIFTI_AXIS:
        raise ValueError(f"the mask has shape {mask.shape}; expected three axes of {_LONGEST_NIFTI_AXIS} at most")
    to_space = np.diag([*(spacing or (1.0, 1.0, 1.0)), 1.0]) if affine is None else np.asarray(affine, np.float64)
    _check_affine(to_space)
    # Only who downloads a mask waits for nibabel to load.
    import nibabel
    from nibabel.orientations import apply_orientation, inv_ornt_aff

    voxels = mask.astype(np.uint8)
    if turn is not None:
        axes, directions = np.asarray(turn, int).T
        back = np.stack([np.argsort(axes), directions[np.argsort(axes)]], axis=1)
        to_space = to_space @ inv_ornt_aff(back, mask.shape)  # type: ignore[no-untyped-call]
        voxels = apply_orientation(voxels, back)  # type: ignore[no-untyped-call]
    image = nibabel.Nifti1Image(voxels, to_space)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    # A time stamp would make every download differ.
    return gzip.compress(image.to_bytes(), mtime=0)


def _check_affine(affine: NDArray[np.float64]) -> None:
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], (0, 0, 0, 1)):
        raise ValueError("the affine must be 4 x 4 finite numbers with 0 0 0 1 below")
    if np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise ValueError("the affine cannot be inverted")
