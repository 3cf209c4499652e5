"""How single slices of held-out hospitals are answered, by hospital, sequence, height in the head and lesion size."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from braintumor.bundles.figures import Estimate, HospitalFigures
from braintumor.decision import ReferralRule
from braintumor.evaluation.bootstrap import GroupBootstrap, interval, mean_by_groups
from braintumor.evaluation.samples import Bools, Sample, areas
from braintumor.taxonomy import NO_TUMOR

HEIGHTS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
"""Parts of a stack by height, each from its share of the way from the lowest slice to the highest on."""

LESIONS = {"under 1%": (0.0, 0.01), "1% to 3%": (0.01, 0.03), "3% and more": (0.03, np.inf)}
"""Tumors by the share of the prepared picture that their outline covers, from and below."""


def hospital_figures(
    predictions: pd.DataFrame, threshold: float, rule: ReferralRule, resamples: int = 1000
) -> dict[str, dict[str, HospitalFigures]]:
    """Compute the figures of each hospital by sequence, "" for all of them, from the predictions of one split.

    ``predictions`` also has hospital, sequence, referred and distance; ``threshold`` in [0, 1] is on P(tumor).
    Intervals come from ``resamples`` draws of whole groups, which are patients there.
    """
    found: dict[str, dict[str, HospitalFigures]] = {}
    for hospital, own in predictions.groupby("hospital"):
        parts = {"": own, **{str(name): part for name, part in own.groupby("sequence") if name != ""}}
        found[str(hospital)] = {name: _figures(part, threshold, rule, resamples) for name, part in parts.items()}
    return found


def hospital_parts(
    predictions: pd.DataFrame, threshold: float, rule: ReferralRule, resamples: int = 1000
) -> dict[str, dict[str, HospitalFigures]]:
    """Compute the figures of each hospital by height (``HEIGHTS``) and by lesion size (``LESIONS``).

    ``predictions`` also has height and lesion, as ``docs/model-bundles.md`` names them, and the rest is as for
    ``hospital_figures``. Tumors of a size are set against all slices without a tumor; parts without a slice, or a size
    without a tumor, are left out.
    """
    return {
        str(hospital): {name: _figures(part, threshold, rule, resamples) for name, part in _parts(own)}
        for hospital, own in predictions.groupby("hospital")
    }


def _parts(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    height, lesion = (pd.to_numeric(rows[name]) for name in ("height", "lesion"))
    quarter = np.minimum(height * len(HEIGHTS), len(HEIGHTS) - 1) // 1
    for number, name in enumerate(HEIGHTS):
        if (quarter == number).any():
            yield name, rows[quarter == number]
    for name, (low, high) in LESIONS.items():
        sized = (lesion >= low) & (lesion < high)
        if sized.any():
            yield name, rows[sized | (rows["label"] == NO_TUMOR)]


def _figures(rows: pd.DataFrame, threshold: float, rule: ReferralRule, resamples: int) -> HospitalFigures:
    p_tumor, truth = 1 - rows[f"p_{NO_TUMOR}"].to_numpy(np.float64), (rows["label"] != NO_TUMOR).to_numpy()
    referred = rows["referred"].to_numpy(dtype=bool)
    groups = rows["group"].to_numpy(dtype=str)
    sample = Sample.of(rows, resamples, 0)
    refused = rule.atypical(rows["distance"].to_numpy(np.float64))

    def share(values: Bools, among: Bools) -> Estimate:
        if not among.any():
            return Estimate(value=None)
        bootstrap = GroupBootstrap(groups[among], resamples)
        return Estimate(**mean_by_groups(values[among].astype(np.float64), bootstrap))

    every = np.ones(len(rows), dtype=bool)
    return HospitalFigures(
        patients=rows["group"].nunique(),
        images=len(rows),
        tumors=int(truth.sum()),
        roc_auc=Estimate(**interval(areas(sample, sample.p_tumor, sample.is_tumor, every))),
        called_tumor_free=share((p_tumor >= threshold) & ~referred, ~truth),
        cleared_tumors=share((p_tumor < min(rule.tumor_low, threshold)) & ~referred, truth),
        answered=share(~referred, every),
        refused=share(refused, every),
    )
