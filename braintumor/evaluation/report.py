"""All that a card says of how good a model is, from the tables of its bundle."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from braintumor.bundles.figures import Estimate, Metrics, Seen, SeenPart, SplitFigures
from braintumor.decision import ReferralRule
from braintumor.evaluation.failures import failure_figures
from braintumor.evaluation.hospitals import hospital_figures, hospital_parts
from braintumor.evaluation.metrics import figures
from braintumor.evaluation.out_of_distribution import foreign_figures
from braintumor.evaluation.samples import Sample, share
from braintumor.evaluation.segmentation import segmentation_figures

_HELD_OUT_HOSPITALS = ("hospital_validation", "hospital_test")
_REAL = ("test", "external")


@dataclass(frozen=True)
class DecidesBy:
    """Operating point on P(tumor), referral rule, and whether the model tells kinds of tumors apart."""

    threshold: float
    rule: ReferralRule
    tells_kinds: bool = True


def measured_metrics(
    predictions: pd.DataFrame,
    foreign: pd.DataFrame | None,
    segmentation: pd.DataFrame | None,
    map_bins: pd.DataFrame | None,
    decides_by: DecidesBy,
    resamples: int = 1000,
) -> Metrics:
    """Compute the figures of each split of a bundle's tables, and of pictures that are not brain MRI.

    Tables have the columns that ``docs/model-bundles.md`` names; those that were not measured are None. Intervals come
    from ``resamples`` draws of whole groups.
    """
    found = {}
    for name, rows in predictions.groupby("split"):
        masks, bins = (None if table is None else _rows_of(table, str(name)) for table in (segmentation, map_bins))
        found[str(name)] = split_figures(rows.reset_index(drop=True), masks, bins, decides_by, resamples)
    told = None
    if foreign is not None:
        real = predictions[predictions["split"].isin(_REAL)]
        told = foreign_figures(real, foreign, decides_by.rule.distance_limit)
    return Metrics(**found, foreign=told)


def split_figures(
    rows: pd.DataFrame,
    masks: pd.DataFrame | None,
    bins: pd.DataFrame | None,
    decides_by: DecidesBy,
    resamples: int = 1000,
) -> SplitFigures:
    """Compute every figure of one split, from its predictions, scores of masks and cells of maps, if any."""
    threshold, rule = decides_by.threshold, decides_by.rule
    split = str(rows["split"].iloc[0])
    report = figures(rows, threshold=threshold, resamples=resamples)
    masked = None if masks is None else segmentation_figures(masks, bins, resamples=resamples)
    failures = failure_figures(rows, threshold, rule, tells_kinds=decides_by.tells_kinds) if split == "test" else None
    parts: dict[str, object] = {"segmentation": masked, "failures": failures, "seen": _seen(rows, resamples)}
    if split in _HELD_OUT_HOSPITALS:
        parts["hospitals"] = hospital_figures(rows, threshold, rule, resamples)
        # Bundles made before do not tell where in the head a slice lies.
        placed = {"height", "lesion"} <= set(rows)
        parts["hospital_parts"] = hospital_parts(rows, threshold, rule, resamples) if placed else None
    return report.model_copy(update=parts)


def _seen(rows: pd.DataFrame, resamples: int) -> Seen | None:
    """Give the accuracy on what was trained on and on the rest; None for a split that is all one or the other."""
    trained = rows["in_training"].to_numpy(dtype=bool)
    if trained.all() or not trained.any():
        return None
    return Seen(trained=_part(rows[trained], resamples), others=_part(rows[~trained], resamples))


def _part(rows: pd.DataFrame, resamples: int) -> SeenPart:
    sample = Sample.of(rows, resamples, 0)
    accuracy = Estimate(**share(sample, sample.right, sample.known))
    return SeenPart(images=len(rows), known=int(np.count_nonzero(sample.known)), accuracy=accuracy)


def _rows_of(table: pd.DataFrame, split: str) -> pd.DataFrame | None:
    rows = table[table["split"] == split]
    return rows.reset_index(drop=True) if len(rows) else None
