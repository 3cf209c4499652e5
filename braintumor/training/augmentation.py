"""Random changes of a training picture, and of its outline with it, that leave its meaning as it is."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from braintumor.datasets import draw_marks

_FIELD_CELLS = 4
_WARP_CELLS = 4
_CURVE_KNOTS = 7
_HEAD_LEVEL = 30


@dataclass(frozen=True)
class Augmentation:
    """How far pictures are changed, each amount drawn evenly up to the bound given.

    ``rotation`` in degrees; ``scaling`` and ``shift`` as shares of the side; ``crop`` the largest share of the side
    cut away; ``warp`` the share of the side by which places move apart from one another (Simard et al., ICDAR 2003,
    section 2); ``brightness`` as a share of 255; ``contrast``, ``gamma`` and ``bias_field`` (a smooth change of
    brightness across the picture) as exponents of two; ``noise`` as a standard deviation in gray values; ``blur`` as a
    Gaussian's sigma in pixels; ``coarseness`` as the exponent of two by which pixels are made larger. Flips, quarter
    turns and JPEG compression happen with the probabilities given; so do ``remap``, a smooth random curve through the
    gray values that keeps black black (as the random contrasts of SynthSeg, Billot et al., Medical Image Analysis
    2023), ``strip``, by which only what lies deep in the head stays, as where the skull was removed, and ``marks``, see
    ``marks.mark``.
    """

    rotation: float = 20.0
    scaling: float = 0.15
    shift: float = 0.06
    crop: float = 0.12
    warp: float = 0.0
    brightness: float = 0.12
    contrast: float = 0.35
    gamma: float = 0.5
    bias_field: float = 0.0
    noise: float = 6.0
    blur: float = 1.0
    coarseness: float = 0.0
    jpeg: float = 0.0
    flip: float = 0.5
    upside_down: float = 0.2
    quarter_turn: float = 0.15
    remap: float = 0.0
    strip: float = 0.0
    marks: float = 0.0

    def apply(
        self, picture: NDArray[np.uint8], random: np.random.Generator, outline: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """Change one picture, uint8 (size, size), and move its outline, of the same shape, along with it."""
        # What is never done draws nothing, so that recipes without it give the pictures that they gave before.
        if self.strip and random.random() < self.strip:
            picture, outline = stripped(picture, outline, random)
        moved, drawn = self._move(picture, outline, random)
        if self.remap and random.random() < self.remap:
            moved = remapped(moved, random)
        if self.marks and random.random() < self.marks:
            moved = draw_marks(moved, random).picture
        return self._recolor(moved, random), drawn

    def _move(
        self, picture: NDArray[np.uint8], outline: NDArray[np.uint8] | None, random: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        turns = int(random.integers(1, 4)) if random.random() < self.quarter_turn else 0
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
        nodes = np.unique(np.rint(np.linspace(0, side, _WARP_CELLS + 1)).astype(int))
        grid = np.stack(np.meshgrid(nodes, nodes), axis=-1) @ matrix.T + shift
        grid += random.uniform(-1, 1, grid.shape) * random.uniform(0, self.warp) * side
        mesh = list(_mesh(nodes, grid))

        def move(layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
            turned = Image.fromarray(np.ascontiguousarray(np.rot90(layer, turns)))
            return np.asarray(turned.transform((side, side), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR))

        # Most outlines are empty, and stay so wherever they are moved.
        return move(picture), outline if outline is None or not outline.any() else move(outline)

    def _recolor(self, picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        gray = self._reshade(np.asarray(picture / np.float32(255)), random)
        if random.random() < 0.3:
            gray = ndimage.gaussian_filter(gray, random.uniform(0, self.blur))
        if random.random() < 0.5:
            gray += random.standard_normal(gray.shape, np.float32) * np.float32(random.uniform(0, self.noise) / 255)
        changed = np.asarray(np.clip(gray * 255, 0, 255), dtype=np.uint8)
        return self._store(changed, random)

    def _reshade(self, gray: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        gray = gray ** np.float32(2 ** random.uniform(-self.gamma, self.gamma))
        contrast = np.float32(2 ** random.uniform(-self.contrast, self.contrast))
        gray = (gray - gray.mean()) * contrast + gray.mean()
        gray += np.float32(random.uniform(-self.brightness, self.brightness))
        if self.bias_field:
            cells = random.uniform(-self.bias_field, self.bias_field, (_FIELD_CELLS, _FIELD_CELLS)).astype(np.float32)
            field = Image.fromarray(cells).resize(gray.shape[::-1], Image.Resampling.BICUBIC)
            gray = gray * np.exp2(np.asarray(field, dtype=np.float32))
        return gray

    def _store(self, picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Pass a picture through what files of other sources went through: coarser pixels, lossy compression."""
        if self.coarseness and random.random() < 0.4:
            side = len(picture)
            fewer = max(2, round(side / 2 ** random.uniform(0, self.coarseness)))
            small = Image.fromarray(picture).resize((fewer, fewer), Image.Resampling.BOX)
            picture = np.asarray(small.resize((side, side), Image.Resampling.BILINEAR))
        if random.random() < self.jpeg:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "JPEG", quality=int(random.integers(30, 95)))
            picture = np.asarray(Image.open(file))
        return picture


def remapped(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Send gray values through a smooth random curve that keeps black black and may turn dark tissue bright."""
    knots = np.linspace(0, 255, _CURVE_KNOTS)
    # Half way between each value and any: a wholly random curve would often merge a tumor with what surrounds it.
    heights = np.concatenate([[0.0], (knots[1:] + random.uniform(0, 255, _CURVE_KNOTS - 1)) / 2])
    curve = PchipInterpolator(knots, heights)(np.arange(256))
    return np.asarray(np.clip(np.rint(curve), 0, 255), dtype=np.uint8)[picture]


def stripped(
    picture: NDArray[np.uint8], outline: NDArray[np.uint8] | None, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Blacken the rim of a head, 6 to 12 % of the side wide, and enlarge the rest; gives picture and outline.

    Skulls are about so thick on prepared slices; where one ends this does not know. A picture whose outline reaches
    into the rim stays as it is.
    """
    head = ndimage.binary_fill_holes(ndimage.binary_opening(picture > _HEAD_LEVEL, iterations=2))
    deep = ndimage.distance_transform_edt(head) > len(picture) * random.uniform(0.06, 0.12)
    if not deep.any() or (outline is not None and (outline[~deep] > 127).any()):
        return picture, outline
    middle, half = _square_around(deep)
    box = (middle[1] - half, middle[0] - half, middle[1] + half, middle[0] + half)

    def enlarged(layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(layer).transform(layer.shape, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
        return np.asarray(image)

    brain = np.where(deep, picture, np.uint8(0))
    return enlarged(brain), outline if outline is None or not outline.any() else enlarged(outline)


def _square_around(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Give the middle (row, column) and half the side of the square around a mask."""
    places = np.argwhere(mask)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    return (low + high) / 2, float((high - low).max() / 2)


def _mesh(
    nodes: NDArray[np.int_], grid: NDArray[np.float64]
) -> Iterator[tuple[tuple[int, int, int, int], tuple[float, ...]]]:
    """Give Pillow's mesh: each box between nodes, and the corners in ``grid`` (rows, columns, 2) it is taken from."""
    for row in range(len(nodes) - 1):
        for column in range(len(nodes) - 1):
            box = (int(nodes[column]), int(nodes[row]), int(nodes[column + 1]), int(nodes[row + 1]))
            corners = (grid[row, column], grid[row + 1, column], grid[row + 1, column + 1], grid[row, column + 1])
            yield box, tuple(float(value) for corner in corners for value in corner)
