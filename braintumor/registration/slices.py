"""A slice of one scan as another scan shows it that lies on it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.registration.rigid import Matrix


def slice_through(
    pixels: NDArray[np.uint8] | NDArray[np.int16] | NDArray[np.float32],
    affine: Matrix,
    matrix: Matrix,
    target: Matrix,
    number: int,
    shape: tuple[int, int],
    order: Literal[0, 1] = 1,
) -> NDArray[np.float32]:
    """Cut a volume, (slices, height, width), where slice ``number`` of another scan lies: float32 of ``shape``.

    ``affine`` and ``target`` place the voxels of the volume and of the other scan, ``matrix`` takes points of the
    other's space to the volume's. Between voxels it is interpolated, with ``order`` 0 the nearest counts; 0 outside.
    """
    there = np.linalg.inv(affine) @ matrix @ target
    step = np.zeros((3, 3))
    step[:, 1:] = there[:3, 1:3]
    start = there[:3, 0] * number + there[:3, 3]
    cut = ndimage.affine_transform(
        pixels, step, start, (1, *shape), output=np.float32, order=order, mode="constant", prefilter=False
    )
    return np.asarray(cut[0])
