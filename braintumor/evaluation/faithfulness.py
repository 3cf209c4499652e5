"""How much a heatmap tells of where a tumor lies and of what a network goes by."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from braintumor.evaluation.bootstrap import GroupBootstrap, exact_at_ends, mean_by_groups

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Pictures = npt.NDArray[np.uint8]

MAP = "map"
"""The tumor map of a network that locates tumors, where it is measured as if it were a heatmap."""

FLOORS: dict[str, str] = {"random": "Random blobs", "center": "Middle of the picture"}
"""Maps that know neither picture nor network, and their titles: what a method must beat."""

MEASURES = ("inside", "pointing", "deletion", "insertion", "randomized_correlation")
"""Figures of a method. High is good of inside, pointing and insertion, low of deletion and randomized_correlation."""

# A tumor covers a few hundredths of a picture, so the steps are closest where the hottest pixels go.
SHARES: Floats = np.linspace(0, 1, 21) ** 2
"""Shares of all pixels that are replaced, from 0 to 1, in the curves of deletion and insertion."""

_COLUMNS = ("method", "group", "inside", "hit", "deletion", "insertion", "randomized_correlation")
_BLUR = 1 / 16
_BLOBS = 1 / 12
_CENTER = 1 / 6


def inside_share(heat: npt.ArrayLike, mask: Bools) -> float:
    """Give the heat inside a mask over all heat, in [0, 1]; 0 of a map without heat.

    ``heat`` is (height, width), 0 or more, ``mask`` bool of the same shape. Raises ``ValueError`` for another shape
    and for heat that is negative or not finite. Also known as energy-based pointing game (Wang et al., Score-CAM, CVPR
    Workshops 2020, section 4.3).
    """
    values = _checked(heat, mask.shape)
    total = float(values.sum())
    return min(1.0, float(values[mask].sum()) / total) if total else 0.0


def pointing_hit(heat: npt.ArrayLike, mask: Bools) -> float:
    """Tell whether the hottest pixel lies in the mask: 1 or 0, no pixel beside it counting as in it.

    Of several equally hot ones it is the share in the mask; a map without heat points nowhere. Arguments and what is
    raised as for ``inside_share``. Source: the pointing game of Zhang et al., Top-down Neural Attention by Excitation
    Backprop, IJCV 126:1084, 2018.
    """
    values = _checked(heat, mask.shape)
    highest = values.max()
    return float(mask[values == highest].mean()) if highest > 0 else 0.0


def perturbation_curves(
    picture: Pictures, heat: npt.ArrayLike, score: Callable[[Pictures], Floats], seed: int = 0
) -> tuple[Floats, Floats]:
    """Follow a score while a picture's pixels change, the hottest first: deletion and insertion, each (len(SHARES),).

    ``picture`` is uint8 (height, width), ``heat`` of the same shape; ``score`` takes pictures (n, height, width) and
    gives (n,). Deletion starts from the picture and replaces its pixels by those of a blurred one, insertion the other
    way round, so a map that names what counts makes the first fall at once and the second rise at once. Equally hot
    pixels go in random order. Raises ``ValueError`` as ``inside_share`` does. Source: Petsiuk et al., RISE, BMVC 2018,
    section 4.2; blurred in both, since a black hole in a slice is itself a sight that a network may react to.
    """
    values = _checked(heat, picture.shape).ravel()
    order = np.lexsort((np.random.default_rng(seed).permutation(values.size), -values))
    place = np.empty(values.size, dtype=np.intp)
    place[order] = np.arange(values.size)
    changed = (place < np.rint(SHARES * values.size)[:, np.newaxis]).reshape(-1, *picture.shape)
    soft = blurred(picture)
    return score(np.where(changed, soft, picture)), score(np.where(changed, picture, soft))


def curve_area(values: npt.ArrayLike) -> float:
    """Give the area under a curve over ``SHARES`` by trapezoids: in [0, 1] for values (len(SHARES),) that are."""
    return float(np.trapezoid(np.asarray(values, dtype=np.float64), SHARES))


def rank_correlation(heat: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Compare two maps of one shape by their order of pixels only: |Spearman's rho|, in [0, 1]; NaN where one is flat.

    Between the map of a network and that of the same one with random weights it should be low; a map that stays the
    same shows the picture and not what was learned. Source: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS
    2018. Raises ``ValueError`` for maps of two shapes.
    """
    if np.shape(heat) != np.shape(other):
        raise ValueError(f"the maps have the shapes {np.shape(heat)} and {np.shape(other)}; both must be the same")
    ranks = [pd.Series(np.asarray(values, dtype=np.float64).ravel()).rank() for values in (heat, other)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return math.nan
    return min(1.0, abs(float(np.corrcoef(np.stack(ranks))[0, 1])))


def blurred(picture: Pictures) -> Pictures:
    """Blur a picture, uint8 (height, width), until a tumor is no longer seen: a Gaussian of 1/16 of its longer side.

    Narrower ones, 5 of 224 pixels as published, leave a bright spot that a network still takes for the tumor.
    """
    soft = ndimage.gaussian_filter(picture.astype(np.float32), _BLUR * max(picture.shape))
    return np.asarray(np.clip(np.rint(soft), 0, 255), dtype=np.uint8)


def random_map(size: int, seed: int | tuple[int, ...]) -> Floats:
    """Draw a map of random blobs about as large as the cells of a feature map: (size, size) from 0 to 1."""
    noise = np.random.default_rng(seed).normal(size=(size, size))
    values = ndimage.gaussian_filter(noise, _BLOBS * size)
    return np.asarray((values - values.min()) / np.ptp(values))


def center_map(size: int) -> Floats:
    """Draw a Gaussian in the middle, its standard deviation a sixth of the side: (size, size), 1 at the highest."""
    across = np.arange(size) - (size - 1) / 2
    fall = np.exp(-0.5 * (across / (_CENTER * size)) ** 2)
    values = np.outer(fall, fall)
    return np.asarray(values / values.max())


def faithfulness_figures(table: pd.DataFrame, seed: int = 0, resamples: int = 1000) -> dict[str, Any]:
    """Compute the published figures of heatmaps, ready for JSON: {method: {measure of ``MEASURES``: figure}}.

    ``table`` has a row an image and method, with method, group, inside, hit, deletion, insertion and
    randomized_correlation (NaN where a map is flat, and then left out). A figure is the mean as {"value", "low",
    "high"} with a 95 % percentile interval over ``resamples`` draws of whole groups (see ``mean_by_groups``); pointing,
    the mean of hit, has the exact binomial bound where all or none hit. Raises ``ValueError`` for missing columns.
    """
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise ValueError(f"the table lacks the column {', '.join(missing)}")
    methods = {str(method): rows for method, rows in table.groupby("method", sort=False)}
    return {method: _figures(rows, seed, resamples) for method, rows in methods.items()}


def _figures(rows: pd.DataFrame, seed: int, resamples: int) -> dict[str, Any]:
    figures = {}
    for measure in MEASURES:
        column = "hit" if measure == "pointing" else measure
        known = rows[rows[column].notna()]
        bootstrap = GroupBootstrap(known["group"].to_numpy(dtype=str), resamples, seed)
        figures[measure] = mean_by_groups(known[column].to_numpy(dtype=np.float64), bootstrap)
        if measure == "pointing":
            figures[measure] = exact_at_ends(figures[measure], bootstrap.count)
    return figures


def _checked(heat: npt.ArrayLike, shape: tuple[int, ...]) -> Floats:
    values = np.asarray(heat, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(f"heat has shape {values.shape}; it must be {shape}")
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("heat holds values that are negative or not finite")
    return values
