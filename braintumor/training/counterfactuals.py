"""Training pictures that untie what a picture shows from where it came from.

Every contrast-enhanced slice of the public sets shows a tumor and every tumor-free picture comes from elsewhere, so a
network can tell tumors by their source. Here slices lose their tumor, or tumor-free pictures gain one.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from braintumor.taxonomy import ANY_TUMOR, NO_TUMOR

_SEARCH_SIDE = 64
_SEARCH_SHARE = 0.08
_LEAST_LIKENESS = 0.76
_SOFTENING = 1.5
_HEAD_LEVEL = 30
_FEATHER = 1 / 64
_TRIES = 12
_PLACES = 40
_LARGEST_MISS = 30.0


@dataclass(frozen=True)
class Example:
    """One training picture: uint8 (size, size), its outline (0 to 255, None: nobody drew it) and its label.

    ``exact`` is False where the outline was drawn on another sequence, so that the tumor may not show where it says.
    """

    picture: NDArray[np.uint8]
    outline: NDArray[np.uint8] | None
    label: str
    exact: bool = True


@dataclass(frozen=True)
class Counterfactuals:
    """How often a drawn picture is changed, as probabilities.

    Only exactly outlined tumors change. Of slices with one and a mirror axis: ``mirror_half`` puts the mirrored healthy
    half in the place of the tumor's (no tumor left) or the other way around (two tumors, so that symmetry itself is no
    sign of health), ``mirror_patch`` only the part around the tumor. ``erase`` covers a tumor with other tissue of its
    slice, ``patch`` cuts a window beside it, and ``regraft`` gives what so lost its tumor the one of another slice. Of
    tumor-free pictures: ``graft`` blends in the outlined tumor of another one. Of all: ``patchwork`` covers a place
    beside the tumor in the same way, so that covering itself is no sign of health.
    """

    mirror_half: float = 0.0
    mirror_patch: float = 0.0
    erase: float = 0.0
    patch: float = 0.0
    patchwork: float = 0.0
    graft: float = 0.0
    regraft: float = 0.0

    @property
    def mirrors(self) -> bool:
        """Whether any change needs a mirror axis."""
        return self.mirror_half > 0 or self.mirror_patch > 0

    def apply(
        self, example: Example, axis: float | None, donor: Example | None, random: np.random.Generator
    ) -> Example:
        """Change one example, or give it back as it is where nothing fits.

        ``axis`` is what ``mirror_axis`` found for it, ``donor`` an example with an outlined tumor.
        """
        if donor is not None and random.random() < self.patchwork:
            example = patchwork(example, donor, random) or example
        if example.label == NO_TUMOR:
            return graft(example, donor, random) if donor is not None and random.random() < self.graft else example
        if example.outline is None or not example.outline.any() or not example.exact:
            return example
        changed = self._without_tumor(example, axis, random)
        if changed is not None and changed.label == NO_TUMOR and donor is not None and random.random() < self.regraft:
            changed = graft(changed, donor, random)
        return changed or example

    def _without_tumor(self, example: Example, axis: float | None, random: np.random.Generator) -> Example | None:
        changed = None
        if axis is not None and random.random() < self.mirror_half:
            changed = mirrored_half(example, axis, keep_tumor=random.random() < 0.35)
        if changed is None and axis is not None and random.random() < self.mirror_patch:
            changed = mirrored_patch(example, axis)
        if changed is None and random.random() < self.erase:
            changed = erased(example, random)
        if changed is None and random.random() < self.patch:
            changed = healthy_patch(example, random)
        return changed


def mirror_axis(picture: NDArray[np.uint8], outline: NDArray[np.uint8] | None = None) -> float | None:
    """Give the column about which a head is its own mirror image, in pixels from the left edge; None where it is not.

    ``picture`` is uint8 (size, size). The axis has the highest correlation of the picture, tumor left out, with its
    mirror image, over columns within 8 % of the middle; below a correlation of 0.76, as in sagittal slices, there is
    none.
    """
    side = len(picture)
    small = np.asarray(Image.fromarray(picture).resize((_SEARCH_SIDE, _SEARCH_SIDE), Image.Resampling.BOX), np.float32)
    # A head is never quite upright nor its halves quite alike; finer detail would hide what they share.
    small = ndimage.gaussian_filter(small, _SOFTENING)
    valid = np.ones(small.shape, bool)
    if outline is not None:
        reduced = Image.fromarray(outline).resize((_SEARCH_SIDE, _SEARCH_SIDE), Image.Resampling.BOX)
        valid = np.asarray(reduced) < 8
    # Mirroring about column c maps x to 2c - x; doubled columns 64 ± shift are whole numbers.
    reach = round(2 * _SEARCH_SHARE * _SEARCH_SIDE)
    columns = range(_SEARCH_SIDE - reach, _SEARCH_SIDE + reach + 1)
    likeness, doubled = max((_likeness(small, valid, doubled), doubled) for doubled in columns)
    # At the edge of what was searched the true axis may lie beyond.
    if likeness < _LEAST_LIKENESS or doubled in (columns[0], columns[-1]):
        return None
    return doubled / 2 * side / _SEARCH_SIDE


def _likeness(picture: NDArray[np.float32], valid: NDArray[np.bool_], doubled: int) -> float:
    columns = np.arange(_SEARCH_SIDE)
    partner = doubled - 1 - columns
    inside = (partner >= 0) & (partner < _SEARCH_SIDE)
    left, right = picture[:, columns[inside]], picture[:, partner[inside]]
    counted = valid[:, columns[inside]] & valid[:, partner[inside]]
    counted &= (left > _HEAD_LEVEL / 2) | (right > _HEAD_LEVEL / 2)
    if counted.sum() < 100:
        return 0.0
    first, second = left[counted], right[counted]
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def mirrored(layer: NDArray[np.uint8], axis: float) -> NDArray[np.uint8]:
    """Mirror a layer (size, size) about a column; what comes from beyond its edge is black."""
    side = layer.shape[1]
    partner = round(2 * axis) - 1 - np.arange(side)
    inside = (partner >= 0) & (partner < side)
    out = np.zeros_like(layer)
    out[:, inside] = layer[:, partner[inside]]
    return out


def mirrored_half(example: Example, axis: float, *, keep_tumor: bool) -> Example | None:
    """Replace one half of a head by its mirrored other half; None when the tumor crosses the axis.

    Without ``keep_tumor`` the tumor's half goes and the label is "notumor"; with it the healthy half goes.
    """
    assert example.outline is not None
    columns = np.flatnonzero((example.outline > 127).any(axis=0))
    margin = 0.02 * len(example.picture)
    if not len(columns) or (columns[0] < axis + margin and columns[-1] + 1 > axis - margin):
        return None
    tumor_left = columns[-1] < axis
    # 1 where the picture stays as it is, falling to 0 across a few columns at the axis.
    ramp = np.clip((np.arange(len(example.picture)) + 0.5 - axis) / 2 + 0.5, 0, 1).astype(np.float32)
    stays = ramp if tumor_left != keep_tumor else 1 - ramp
    picture = _blend(mirrored(example.picture, axis), example.picture, stays[np.newaxis])
    if not keep_tumor:
        return Example(picture, np.zeros_like(picture), NO_TUMOR)
    outline = np.maximum(example.outline, mirrored(example.outline, axis))
    return Example(picture, outline, example.label)


def mirrored_patch(example: Example, axis: float) -> Example | None:
    """Cover a tumor with the mirrored tissue of the other side; None where that is tumor too or no head."""
    assert example.outline is not None
    tumor = example.outline > 127
    reach = max(3, round(0.04 * len(tumor)))
    cover = ndimage.binary_dilation(tumor, iterations=reach)
    other = mirrored(example.picture, axis)
    if (mirrored(example.outline, axis)[cover] > 127).any() or (other[tumor] < _HEAD_LEVEL / 2).mean() > 0.1:
        return None
    share = np.clip(ndimage.gaussian_filter(cover.astype(np.float32), _FEATHER * len(cover)), 0, 1)
    return Example(_blend(other, example.picture, 1 - share), np.zeros_like(example.picture), NO_TUMOR)


def erased(example: Example, random: np.random.Generator) -> Example | None:
    """Cover a tumor with other tissue of the same slice; None where no place is like enough."""
    assert example.outline is not None
    cover = ndimage.binary_dilation(example.outline > 60, iterations=max(2, round(0.025 * len(example.picture))))
    picture = _covered(example.picture, cover, cover, random)
    return None if picture is None else Example(picture, np.zeros_like(picture), NO_TUMOR)


def patchwork(example: Example, donor: Example, random: np.random.Generator) -> Example | None:
    """Cover a place of the donor's tumor's shape beside the example's own tumor; None where there is no such place."""
    assert donor.outline is not None
    if example.outline is None:
        return None
    side = len(example.picture)
    shape = ndimage.binary_dilation(donor.outline > 60, iterations=max(2, round(0.025 * side)))
    tumor = example.outline > 0
    for _ in range(_TRIES):
        cover = np.roll(shape, random.integers(-side // 3, side // 3 + 1, 2), (0, 1))
        if not (cover & tumor).any() and (example.picture[cover] > _HEAD_LEVEL).mean() > 0.7:
            picture = _covered(example.picture, cover, cover | tumor, random)
            return None if picture is None else replace(example, picture=picture)
    return None


def _covered(
    picture: NDArray[np.uint8], cover: NDArray[np.bool_], spared: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.uint8] | None:
    """Fill ``cover`` from a place clear of ``spared`` whose rim is most like its own; None where all differ much."""
    if not cover.any():
        return None
    box = ndimage.find_objects(cover.view(np.uint8))[0]
    grown = tuple(slice(max(0, part.start - 4), min(len(picture), part.stop + 4)) for part in box)
    inside = cover[grown]
    rim = ndimage.binary_dilation(inside, iterations=3) & ~inside
    here = picture[grown].astype(np.float32)
    best, best_miss = None, _LARGEST_MISS
    for _ in range(_PLACES):
        top, left = (int(random.integers(0, len(picture) - size + 1)) for size in inside.shape)
        there = (slice(top, top + inside.shape[0]), slice(left, left + inside.shape[1]))
        if (spared[there] & inside).any():
            continue
        tissue = picture[there].astype(np.float32)
        miss = float(np.abs(tissue[rim] - here[rim]).mean())
        if miss < best_miss:
            best, best_miss = tissue, miss
    if best is None:
        return None
    share = np.clip(ndimage.gaussian_filter(inside.astype(np.float32), 1.5), 0, 1)
    filled = picture.copy()
    filled[grown] = np.rint(best * share + here * (1 - share)).astype(np.uint8)
    return filled


def healthy_patch(example: Example, random: np.random.Generator) -> Example | None:
    """Cut a window, 45 to 65 % of the side, that shows head but nothing of the tumor; None where none is found."""
    assert example.outline is not None
    side = len(example.picture)
    for _ in range(_TRIES):
        window = round(side * random.uniform(0.45, 0.65))
        top, left = random.integers(0, side - window, 2)
        cut = (slice(top, top + window), slice(left, left + window))
        if not example.outline[cut].any() and (example.picture[cut] > _HEAD_LEVEL).mean() > 0.5:
            enlarged = Image.fromarray(example.picture[cut]).resize((side, side), Image.Resampling.BICUBIC)
            return Example(np.asarray(enlarged), np.zeros_like(example.picture), NO_TUMOR)
    return None


def graft(example: Example, donor: Example, random: np.random.Generator) -> Example:
    """Blend the donor's tumor into a tumor-free head, where its kind is no longer known: the label is "tumor".

    Tumor and surroundings keep their contrast to the head they came from. Where it finds no place the example stays.
    """
    assert donor.outline is not None
    side = len(example.picture)
    scale, turn, flip = random.uniform(0.7, 1.2), random.uniform(-180, 180), random.random() < 0.5
    rows, columns = np.nonzero(donor.outline > 127)
    if not len(rows):
        return example
    middle = (columns.mean() + 0.5, rows.mean() + 0.5)
    head = ndimage.binary_erosion(ndimage.binary_fill_holes(example.picture > _HEAD_LEVEL), iterations=side // 16)
    places = np.argwhere(head)
    if not len(places):
        return example
    row, column = places[random.integers(len(places))]
    angle = np.deg2rad(turn)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    matrix[0] *= -1 if flip else 1
    offset = np.array(middle) - matrix @ np.array([column + 0.5, row + 0.5])
    affine = (*matrix[0], offset[0], *matrix[1], offset[1])

    def move(layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        moved = Image.fromarray(layer).transform(
            (side, side), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
        return np.asarray(moved)

    outline = move(donor.outline)
    if (outline > 127).sum() < 0.5 * (donor.outline > 127).sum() * scale**2 or (~head)[outline > 127].mean() > 0.2:
        return example
    share = np.clip(ndimage.gaussian_filter((outline > 60).astype(np.float32), 1.5), 0, 1)
    shift = _tissue(example.picture) - _tissue(donor.picture)
    tumor = np.clip(move(donor.picture).astype(np.float32) + shift, 0, 255).astype(np.uint8)
    return Example(_blend(tumor, example.picture, 1 - share), outline, ANY_TUMOR)


def _tissue(picture: NDArray[np.uint8]) -> float:
    head = picture[picture > _HEAD_LEVEL]
    return float(np.median(head)) if len(head) else 0.0


def _blend(new: NDArray[np.uint8], old: NDArray[np.uint8], stays: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(new * (1 - stays) + old * stays), dtype=np.uint8)
