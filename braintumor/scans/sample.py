"""A made-up scan for who has none at hand."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# After the Shepp–Logan head phantom (Shepp & Logan 1974): added gray value, half axes a and b, center x and y, tilt in
# degrees. Scalp, skull and brain come first; what lies inside the brain is theirs, with contrasts after Toft 1996.
_ELLIPSES = (
    (0.80, 0.690, 0.920, 0.00, 0.000, 0),
    (-0.72, 0.6486, 0.8648, 0.00, 0.000, 0),
    (0.34, 0.5934, 0.7912, 0.00, -0.010, 0),
    (-0.24, 0.110, 0.310, 0.22, 0.000, -18),
    (-0.24, 0.160, 0.410, -0.22, 0.000, 18),
    (0.10, 0.210, 0.250, 0.00, 0.350, 0),
    (0.10, 0.046, 0.046, 0.00, 0.100, 0),
    (0.10, 0.046, 0.046, 0.00, -0.100, 0),
    (0.10, 0.046, 0.023, -0.08, -0.605, 0),
    (0.10, 0.023, 0.023, 0.00, -0.605, 0),
    (0.10, 0.023, 0.046, 0.06, -0.605, 0),
)
_BRAIN = _ELLIPSES[2][1:]


def phantom(size: int = 256, *, tumor: bool = True, seed: int = 0) -> NDArray[np.uint8]:
    """Draw a synthetic head, (size, size) uint8, with or without a bright mass; it is no patient.

    The head follows the Shepp–Logan phantom (Shepp & Logan, IEEE Trans. Nucl. Sci. 21, 1974), in a bright scalp and a
    dark skull as T1-weighted slices have them, with smooth tissue noise and dark folds laid over it, without which it
    would be no brain to a network; the mass is an ellipse with a brighter rim.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[1 : -1 : size * 1j, -1 : 1 : size * 1j]
    head = np.zeros((size, size))
    for value, *ellipse in _ELLIPSES:
        head[_radius(x, y, *ellipse) <= 1] += value
    tissue = head > 0.05
    texture = ndimage.gaussian_filter(random.normal(size=head.shape), size / 60)
    head[tissue] += 0.05 * (texture / texture.std())[tissue]
    # Lines where a smooth random field changes its sign wind like the furrows of a cortex.
    field = ndimage.gaussian_filter(random.normal(size=head.shape), size / 100)
    field += 0.8 * field[:, ::-1]
    brain = _radius(x, y, *_BRAIN) <= 1
    head[brain] -= 0.25 * np.exp(-((field / field.std() / 0.2) ** 2))[brain]
    if tumor:
        mass = _radius(x, y, 0.17, 0.14, 0.30, 0.30, 25)
        head[mass <= 1] = 0.75
        head[(mass > 0.7) & (mass <= 1)] = 0.95
    smooth = ndimage.gaussian_filter(np.clip(head, 0, 1), size / 256)
    return np.asarray(np.rint(smooth * 255), dtype=np.uint8)


def _radius(
    x: NDArray[np.float64], y: NDArray[np.float64], a: float, b: float, cx: float, cy: float, tilt: float
) -> NDArray[np.float64]:
    angle = np.deg2rad(tilt)
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    return np.asarray((along / a) ** 2 + (across / b) ** 2)
