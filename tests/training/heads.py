"""Made-up heads whose symmetry and tumors are known, for tests."""

import numpy as np
from scipy import ndimage

from braintumor.taxonomy import NO_TUMOR
from braintumor.training.counterfactuals import Example

SIDE = 96


def head(size=SIDE, axis=None, seed=0, *, alike=True):
    """A textured ellipse on black; with ``alike`` its halves are mirror images about the column ``axis``."""
    axis = size / 2 if axis is None else axis
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] + 0.5
    texture = ndimage.gaussian_filter(random.normal(size=(size, 2 * size)), size / 24)
    texture = texture / texture.std() * 25
    across = np.abs(x - axis) if alike else x - axis + size
    shades = 110 + ndimage.map_coordinates(texture, [y, across], order=1, mode="nearest")
    inside = ((x - axis) / (0.36 * size)) ** 2 + ((y - size / 2) / (0.46 * size)) ** 2 <= 1
    return np.where(inside, np.clip(shades, 60, 180), 0).astype(np.uint8)


def disc(size, row, column, radius):
    y, x = np.mgrid[:size, :size] + 0.5
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def example(column=0.3, row=0.45, radius=0.08, size=SIDE, axis=None, label="glioma", seed=0, **options):
    """A head with a white disc as its tumor; places and radius as shares of the side."""
    tumor = disc(size, row * size, column * size, radius * size)
    picture = np.where(tumor, 250, head(size, axis, seed, **options)).astype(np.uint8)
    return Example(picture, np.where(tumor, 255, 0).astype(np.uint8), label)


def clear(size=SIDE, seed=5):
    return Example(head(size, seed=seed), np.zeros((size, size), np.uint8), NO_TUMOR)
