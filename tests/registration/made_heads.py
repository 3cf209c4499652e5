"""Heads drawn in three dimensions, and scans of them that lie anywhere."""

from functools import cache

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from braintumor.registration import Volume

SIDE = 1.25
"""Millimeters of a voxel of a drawn head."""
SHAPE = (136, 164, 156)
RADII = (70.0, 90.0, 85.0)


@cache
def head(seed=0):
    """Draw a head, (x, y, z) about its middle: scalp, skull, and a brain with folds and ventricles."""
    random = np.random.default_rng(seed)
    x, y, z = mesh()
    drawn = np.zeros(SHAPE, np.float32)
    drawn[_ball(x, y, z, 72, 92, 88) < 1] = 900
    drawn[_ball(x, y, z, 67, 87, 83) < 1] = 150
    brain = _ball(x, y, z, 63, 83, 78) < 1
    folds = ndimage.gaussian_filter(random.normal(size=SHAPE).astype(np.float32), 3.2)
    drawn[brain] = 500 + 90 * (folds / folds.std())[brain]
    for side in (-14, 14):
        drawn[_ball(x - side, y, z - 8, 10, 28, 14) < 1] = 150
    return drawn


def mesh():
    """Give the places of a head's voxels in millimeters."""
    return np.meshgrid(*[SIDE * (np.arange(size) - (size - 1) / 2) for size in SHAPE], indexing="ij", sparse=True)


def ball(middle, radii):
    """Draw a lesion into a head's voxels: bool."""
    places = (part - at for part, at in zip(mesh(), middle, strict=True))
    return _ball(*places, *radii) < 1


def motion(turn_degrees, shift):
    """Give the 4 × 4 matrix of a turn about the middle of the head and a shift in millimeters."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(turn_degrees)).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def any_motion(random, degrees, millimeters):
    """Turn by so many degrees about any axis, and shift by so many millimeters anywhere."""
    axes = random.normal(size=(2, 3))
    turn, shift = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    return motion(degrees * turn, millimeters * shift)


def scan(drawn, spacing, moved=None, noise=0.0, random=None, reach=(190.0, 220.0, 220.0)):
    """Scan a drawn head after it has moved: axial slices as thick as they are apart, (slice, row, column)."""
    random = random or np.random.default_rng(0)
    shape = tuple(int(size / step) for size, step in zip(reach, spacing, strict=True))
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag(spacing[::-1]))
    affine[:3, 3] = random.uniform(-3, 3, 3) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    voxels = np.diag([SIDE, SIDE, SIDE, 1.0])
    voxels[:3, 3] = -SIDE * (np.array(SHAPE) - 1) / 2
    there = np.linalg.inv(voxels) @ np.linalg.inv(np.eye(4) if moved is None else moved) @ affine
    layers = np.arange(-0.5, 0.5, SIDE / max(SIDE, spacing[0])) if spacing[0] > SIDE else [0.0]
    layers = np.asarray(layers) - np.mean(layers)
    pixels = sum(
        ndimage.affine_transform(drawn, there[:3, :3], there[:3, 3] + layer * there[:3, 0], output_shape=shape, order=1)
        for layer in layers
    ) / len(layers)
    return Volume((pixels + noise * random.normal(size=shape)).astype(np.float32), affine)


def head_points(random, count=2_000):
    """Give points anywhere in the head, in millimeters."""
    points = random.uniform(-1, 1, (3 * count, 3))
    return points[(points**2).sum(axis=1) < 1][:count] * RADII


def _ball(x, y, z, a, b, c):
    return (x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2
