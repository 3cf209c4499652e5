"""Random changes of a training picture that leave its meaning as it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage


@dataclass(frozen=True)
class Augmentation:
    """How far pictures are changed, each amount drawn evenly up to the bound given.

    ``rotation`` in degrees; ``scaling`` and ``shift`` as shares of the side; ``crop`` the largest share of the side
    cut away; ``brightness`` as a share of 255; ``contrast`` and ``gamma`` as exponents of two; ``noise`` as a
    standard deviation in grey values; ``blur`` as a Gaussian's sigma in pixels. Flips and quarter turns happen
    with the probabilities given.
    """

    rotation: float = 20.0
    scaling: float = 0.15
    shift: float = 0.06
    crop: float = 0.12
    brightness: float = 0.12
    contrast: float = 0.35
    gamma: float = 0.5
    noise: float = 6.0
    blur: float = 1.0
    flip: float = 0.5
    upside_down: float = 0.2
    quarter_turn: float = 0.15

    def apply(self, picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Change one picture, uint8 (size, size); gives the same shape and type."""
        return self._recolor(self._move(picture, random), random)

    def _move(self, picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        if random.random() < self.quarter_turn:
            picture = np.rot90(picture, int(random.integers(1, 4)))
        mirror_x = -1 if random.random() < self.flip else 1
        mirror_y = -1 if random.random() < self.upside_down else 1
        side = len(picture)
        angle = np.deg2rad(random.uniform(-self.rotation, self.rotation))
        zoom = (1 + random.uniform(-self.scaling, self.scaling)) * (1 - random.uniform(0, self.crop))
        cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
        matrix = np.array([[cosine * mirror_x, sine * mirror_y], [-sine * mirror_x, cosine * mirror_y]])
        # Pillow's coordinates are those of pixel corners.
        center = np.full(2, side / 2)
        shift = center - matrix @ center + random.uniform(-self.shift, self.shift, 2) * side
        affine = (*matrix[0], shift[0], *matrix[1], shift[1])
        moved = Image.fromarray(np.ascontiguousarray(picture)).transform(
            (side, side), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
        return np.asarray(moved)

    def _recolor(self, picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        grey = picture.astype(np.float32) / 255
        grey = grey ** np.float32(2 ** random.uniform(-self.gamma, self.gamma))
        contrast = np.float32(2 ** random.uniform(-self.contrast, self.contrast))
        grey = (grey - grey.mean()) * contrast + grey.mean()
        grey += np.float32(random.uniform(-self.brightness, self.brightness))
        if random.random() < 0.3:
            grey = ndimage.gaussian_filter(grey, random.uniform(0, self.blur))
        if random.random() < 0.5:
            grey += random.standard_normal(grey.shape, np.float32) * np.float32(random.uniform(0, self.noise) / 255)
        return np.asarray(np.clip(grey * 255, 0, 255), dtype=np.uint8)
