"""How well found masks agree with outlines drawn by experts, and how far a map's probabilities can be trusted."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from braintumor.bundles import SEGMENTATION_FILE
from braintumor.bundles.figures import Segmentation
from braintumor.evaluation.bootstrap import GroupBootstrap, mean_by_groups
from braintumor.evaluation.reliability import BINS, bin_numbers
from braintumor.evaluation.samples import plain

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_SCORES = ("dice", "iou", "hausdorff95_percent", "lesions", "lesions_found", "lesions_false")
_COLUMNS = ("split", "dataset", "group", "label", *_SCORES, "tumor_share", "found_share")
_SIZES = 4
_EIGHT_NEIGHBORS = np.ones((3, 3), dtype=bool)


def dice(found: Bools, true: Bools) -> float:
    """Compare two masks of one shape: twice what they share over the sum of both, in [0, 1]; 1 where both are empty.

    Raises ``ValueError`` when the shapes differ. Source: Dice, Ecology 26:297, 1945.
    """
    _check_shapes(found, true)
    total = np.count_nonzero(found) + np.count_nonzero(true)
    return 2 * np.count_nonzero(found & true) / total if total else 1.0


def iou(found: Bools, true: Bools) -> float:
    """Compare two masks of one shape: what they share over what they cover, in [0, 1]; 1 where both are empty.

    Raises ``ValueError`` when the shapes differ. Source: Jaccard, New Phytologist 11:37, 1912.
    """
    _check_shapes(found, true)
    covered = np.count_nonzero(found | true)
    return np.count_nonzero(found & true) / covered if covered else 1.0


def hausdorff95(found: Bools, true: Bools, spacing: tuple[float, ...] = (1.0, 1.0)) -> float:
    """Measure how far the borders of two masks of one shape lie apart, all but the worst 5 % of them.

    The 95th percentile of the distances of each border pixel to the other mask's border, both directions pooled, in
    the unit of ``spacing`` (one number an axis; pixels when left alone). A border pixel has a side towards the outside,
    or towards the array's edge. NaN where either mask is empty. Sources: Huttenlocher et al., TPAMI 15:850, 1993;
    the percentile: Menze et al. (BraTS), IEEE Trans. Med. Imaging 34:1993, 2015, III-B.

    Raises ``ValueError`` when the shapes differ or ``spacing`` has not one number an axis.
    """
    _check_shapes(found, true)
    if len(spacing) != found.ndim:
        raise ValueError(f"spacing has {len(spacing)} values for {found.ndim} axes")
    if not found.any() or not true.any():
        return math.nan
    box = _box(found | true)
    borders = [mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (found, true)]
    there, back = (
        ndimage.distance_transform_edt(~other, sampling=spacing)[border]
        for border, other in (borders, reversed(borders))
    )
    return float(np.percentile(np.concatenate([there, back]), 95))


def lesion_hits(found: Bools, true: Bools, least_share: float = 0.1) -> tuple[int, int, int]:
    """Count, between two masks (height, width), the true lesions, those found, and the found regions that are false.

    Regions are 8-connected. A lesion is found when at least ``least_share``, above 0 to 1, of its pixels are in
    ``found``; a found region is false when it shares no pixel with a lesion. Raises ``ValueError`` when the shapes
    differ or the share is out of range.
    """
    _check_shapes(found, true)
    if not 0 < least_share <= 1:
        raise ValueError(f"least_share is {least_share}; it must be above 0 and at most 1")
    lesions, count = ndimage.label(true, _EIGHT_NEIGHBORS)
    regions, region_count = ndimage.label(found, _EIGHT_NEIGHBORS)
    size = np.bincount(lesions[true], minlength=count + 1)[1:]
    covered = np.bincount(lesions[true & found], minlength=count + 1)[1:]
    touching = np.unique(regions[true & found])
    return count, int((covered >= least_share * size).sum()), region_count - len(touching)


def score_masks(found: Bools, true: Bools) -> dict[str, float | int]:
    """Compute every score of one image from two masks, bool (height, width).

    Keys: dice, iou, hausdorff95_percent (of the longer side of the array; NaN where either mask is empty), lesions,
    lesions_found, lesions_false, tumor_share and found_share (of all pixels). Raises ``ValueError`` when the shapes
    differ.
    """
    _check_shapes(found, true)
    # All that is compared lies in this box, often a small part of the image.
    box = _box(found | true)
    near, near_true = found[box], true[box]
    lesions, lesions_found, lesions_false = lesion_hits(near, near_true)
    return {
        "dice": dice(near, near_true),
        "iou": iou(near, near_true),
        "hausdorff95_percent": 100 * hausdorff95(near, near_true) / max(true.shape),
        "lesions": lesions,
        "lesions_found": lesions_found,
        "lesions_false": lesions_false,
        "tumor_share": np.count_nonzero(true) / true.size,
        "found_share": np.count_nonzero(found) / found.size,
    }


def segmentation_figures(
    table: pd.DataFrame, bins: pd.DataFrame | None = None, seed: int = 0, resamples: int = 1000
) -> Segmentation:
    """Compute every published figure about the masks of one split.

    ``table`` has a row an image that has an outline, with split, dataset, group, label, dice, iou,
    hausdorff95_percent, lesions, lesions_found, lesions_false, tumor_share and found_share, as ``score_masks`` names
    them; ``bins`` holds rows of ``pixel_bins``. Mean Dice has a 95 % percentile interval over ``resamples`` draws of
    whole groups, see ``GroupBootstrap``; one group gives no bounds.

    Raises ``ValueError`` for missing columns, several splits, or a dice or iou that is not within 0 to 1.
    """
    _check_table(table)
    missed = table[table["found_share"] == 0].sort_values("tumor_share", ascending=False, kind="stable")
    report = {
        "images": len(table),
        "groups": int(table["group"].nunique()),
        "datasets": {
            str(dataset): _figures(rows, seed, resamples)
            | {"labels": {str(label): _figures(some, seed, resamples) for label, some in rows.groupby("label")}}
            for dataset, rows in table.groupby("dataset")
        },
        "by_size": _by_size(table),
        "largest_missed": next(iter(missed[["tumor_share", "label"]].to_dict("records")), None),
        "map_ece": None if bins is None else map_calibration(bins)[1],
    }
    return Segmentation.model_validate(plain(report), strict=False)


def _by_size(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Part outlined pictures into four parts of equal number by the size of their tumor, smallest first."""
    ordered = rows.sort_values("tumor_share", kind="stable")
    parts = [part for part in np.array_split(np.arange(len(ordered)), min(_SIZES, max(1, len(ordered)))) if len(part)]
    found = []
    for some in (ordered.iloc[part] for part in parts):
        lesions = int(some["lesions"].sum())
        found.append(
            {
                "smallest": some["tumor_share"].min(),
                "largest": some["tumor_share"].max(),
                "images": len(some),
                "groups": some["group"].nunique(),
                "dice_median": some["dice"].median(),
                "nothing": (some["found_share"] == 0).mean(),
                "missed": 1 - some["lesions_found"].sum() / lesions if lesions else None,
            }
        )
    return found


@dataclass(frozen=True)
class AreaAgreement:
    """How the area that a reader outlined relates to the model's: ``low`` to ``high`` times it in ``share`` of images.

    ``high`` is infinite where the model outlined nothing in more than half of the rest; ``images`` counts all.
    """

    low: float
    high: float
    share: float
    images: int


def area_agreement(table: pd.DataFrame, share: float = 0.9) -> AreaAgreement | None:
    """Compare the areas that the model and readers outlined on the test images of ``segmentation_figures``' table.

    The bounds are the percentiles that leave half of ``1 - share`` on either side. None without test images that show
    a tumor; raises ``ValueError`` for a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it must be above 0 and below 1")
    tested = table[(table["split"] == "test") & (table["tumor_share"] > 0)]
    if tested.empty:
        return None
    with np.errstate(divide="ignore"):
        ratios = tested["tumor_share"].to_numpy() / tested["found_share"].to_numpy()
    # Among infinite ones there is nothing to interpolate between.
    low, high = np.quantile(ratios, [(1 - share) / 2, (1 + share) / 2], method="inverted_cdf")
    return AreaAgreement(float(low), float(high), share, len(tested))


def area_agreement_of(folder: Path) -> AreaAgreement | None:
    """Give the ``area_agreement`` of the bundle in a folder; None for a model that does not locate."""
    path = folder / SEGMENTATION_FILE
    return area_agreement(pd.read_csv(path)) if path.is_file() else None


@dataclass(frozen=True)
class ChangeError:
    """By how much a change of the model's areas may differ from that of readers' areas, and nothing has changed.

    Between two images the quotient of readers' areas is ``1 / factor`` to ``factor`` times that of the model's in
    ``share`` of the pairs of ``images``. The pairs are of different patients: errors that two studies of one patient
    have in common cancel out, so that there the factor is rather too large.
    """

    factor: float
    share: float
    images: int


def change_error(table: pd.DataFrame, share: float = 0.9) -> ChangeError | None:
    """Compare how areas by the model and by readers change from image to image, on the images of ``area_agreement``.

    Images where the model outlined nothing are left out, for there is nothing to compare. None with fewer than two
    others; raises ``ValueError`` for a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it must be above 0 and below 1")
    tested = table[(table["split"] == "test") & (table["tumor_share"] > 0) & (table["found_share"] > 0)]
    if len(tested) < 2:
        return None
    errors = np.log(tested["tumor_share"].to_numpy() / tested["found_share"].to_numpy())
    first, second = np.triu_indices(len(errors), 1)
    return ChangeError(float(np.exp(np.quantile(np.abs(errors[first] - errors[second]), share))), share, len(errors))


def pixel_bins(probabilities: npt.ArrayLike, is_tumor: npt.ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """Count the pixels of one image by their probability, for ``map_calibration``.

    ``probabilities`` in [0, 1] and ``is_tumor`` bool have one shape, any. A row a bin of equal width, with columns bin
    (from 0), pixels, confidence_sum (sum of their probabilities) and tumor_pixels. Raises ``ValueError`` when the
    shapes differ and like ``bin_numbers``.
    """
    values, tumor = np.asarray(probabilities, dtype=np.float64).ravel(), np.asarray(is_tumor, dtype=bool).ravel()
    if np.shape(probabilities) != np.shape(is_tumor):
        raise ValueError(f"probabilities are {np.shape(probabilities)} and is_tumor {np.shape(is_tumor)}")
    number = bin_numbers(values, bins)
    return pd.DataFrame(
        {
            "bin": np.arange(bins),
            "pixels": np.bincount(number, minlength=bins),
            "confidence_sum": np.bincount(number, weights=values, minlength=bins),
            "tumor_pixels": np.bincount(number[tumor], minlength=bins),
        }
    )


def map_calibration(bins: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Compare the probabilities of maps with how often there is a tumor, and measure the gap.

    ``bins`` holds the rows of ``pixel_bins`` for one image, or for many one below the other. Gives a table like that of
    ``reliability`` (low, high, confidence, accuracy, count; accuracy is the share of tumor among the pixels) and the
    expected calibration error over all pixels, in [0, 1], NaN for none. Source: Naeini et al., AAAI 2015.

    Raises ``ValueError`` when the bins are not numbered from 0 without a gap.
    """
    total = bins.groupby("bin")[["pixels", "confidence_sum", "tumor_pixels"]].sum()
    if total.index.tolist() != list(range(len(total))):
        raise ValueError("bins are not numbered from 0 without a gap; put tables one below the other to join them")
    count = total["pixels"].to_numpy()
    divisor = np.where(count, count, np.nan)
    edges = np.linspace(0, 1, len(total) + 1)
    table = pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "confidence": total["confidence_sum"].to_numpy() / divisor,
            "accuracy": total["tumor_pixels"].to_numpy() / divisor,
            "count": count,
        }
    )
    gap = (total["confidence_sum"] - total["tumor_pixels"]).abs().sum()
    return table, float(gap / count.sum()) if count.sum() else math.nan


def _check_shapes(found: Bools, true: Bools) -> None:
    if found.shape != true.shape:
        raise ValueError(f"found has shape {found.shape} and true {true.shape}; both must be the same")


def _box(mask: Bools) -> tuple[slice, ...]:
    """Give the box around a mask; an empty box for an empty mask."""
    box: tuple[slice, ...] | None = ndimage.find_objects(mask.view(np.uint8), max_label=1)[0]
    return box or (slice(0, 0),) * mask.ndim


def _check_table(table: pd.DataFrame) -> None:
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise ValueError(f"the table lacks the column {', '.join(missing)}")
    if table["split"].nunique() > 1:
        raise ValueError(f"rows of {table['split'].nunique()} splits; figures are those of one")
    for name in ("dice", "iou"):
        if not table[name].between(0, 1).all():
            raise ValueError(f"{name} has values that are not within 0 to 1")


def _figures(rows: pd.DataFrame, seed: int, resamples: int) -> dict[str, Any]:
    apart = rows["hausdorff95_percent"].to_numpy(dtype=np.float64)
    defined = np.isfinite(apart)
    bootstrap = GroupBootstrap(rows["group"].to_numpy(dtype=str), resamples, seed)
    lesions, hits, false = (int(rows[name].sum()) for name in ("lesions", "lesions_found", "lesions_false"))
    return {
        "images": len(rows),
        "groups": bootstrap.count,
        "dice": mean_by_groups(rows["dice"].to_numpy(dtype=np.float64), bootstrap),
        "dice_median": float(rows["dice"].median()),
        "dice_quartiles": [float(rows["dice"].quantile(share)) for share in (0.25, 0.75)],
        "iou": float(rows["iou"].mean()),
        "hausdorff95_percent_median": float(np.median(apart[defined])) if defined.any() else None,
        "hausdorff95_undefined_share": float((~defined).mean()),
        "lesions": lesions,
        "lesions_found": hits,
        "lesion_sensitivity": hits / lesions if lesions else None,
        "false_lesions_per_image": false / len(rows),
        "false_share": (rows["lesions_false"] > 0).mean(),
    }
