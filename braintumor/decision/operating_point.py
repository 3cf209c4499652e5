"""Choose where the model says "tumor", and when it says nothing, on scans that it was not trained on."""

import math
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from braintumor.decision.referral import ReferralRule, kind_confidence
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR, TUMOR_CLASSES

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MOST_REFERRED = 0.05
"""Share of validation rows that may be referred beyond those that are in any case."""

LEAST_NPV, LEAST_PPV = 0.98, 0.95
"""How often "no tumor" and "tumor" must be right on hospitals that were left out, were half of their scans tumors."""

_KINDS = len(TUMOR_CLASSES)
_STEPS = 41


def choose_threshold(p_tumor: npt.ArrayLike, is_tumor: npt.ArrayLike, sensitivity: float = 0.95) -> float:
    """Give the largest threshold at which at least ``sensitivity`` of the tumors have ``p_tumor >= threshold``.

    ``p_tumor`` is (n,) in [0, 1], ``is_tumor`` (n,) bool. The result is one of the tumors' own values.

    Raises ``ValueError`` when there is no tumor among the rows or ``sensitivity`` is not in (0, 1].
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity is {sensitivity}; it must be above 0 and at most 1")
    tumors = np.sort(np.asarray(p_tumor, dtype=np.float64)[np.asarray(is_tumor, dtype=bool)])[::-1]
    if not len(tumors):
        raise ValueError("no row shows a tumor, so no threshold has a sensitivity")
    # Without the small margin 0.95 * 20 may round up to 20 of 20.
    needed = math.ceil(sensitivity * len(tumors) - 1e-9)
    return float(tumors[needed - 1])


def predictive_limits(
    p_tumor: npt.ArrayLike, is_tumor: npt.ArrayLike, npv: float = LEAST_NPV, ppv: float = LEAST_PPV
) -> tuple[float, float]:
    """Give (low, high): below ``low`` "no tumor" is right in the share ``npv``, from ``high`` on "tumor" in ``ppv``.

    ``p_tumor`` is (n,) in [0, 1], ``is_tumor`` (n,) bool. Both sides count alike, as though half of the rows showed a
    tumor, so that the limits do not depend on how many of each were gathered. ``low`` is the highest such value and
    ``high`` the lowest, at least ``low``; 0 and 1 where there is none. Raises ``ValueError`` where one side is missing.
    """
    chances, truth = np.asarray(p_tumor, dtype=np.float64), np.asarray(is_tumor, dtype=bool)
    if truth.all() or not truth.any():
        raise ValueError("limits need rows with a tumor and rows without")
    values = np.unique(chances)
    tumors, clear = np.sort(chances[truth]), np.sort(chances[~truth])
    missed = np.searchsorted(tumors, values, "left") / len(tumors)
    cleared = np.searchsorted(clear, values, "left") / len(clear)
    lows = values[(cleared > 0) & (cleared >= npv * (missed + cleared))]
    called, alarms = 1 - missed, 1 - cleared
    highs = values[(called > 0) & (called >= ppv * (called + alarms))]
    low = float(lows.max()) if len(lows) else 0.0
    return low, max(low, float(highs.min()) if len(highs) else 1.0)


def fit_referral(
    predictions: "pd.DataFrame",
    *,
    threshold: float,
    max_share: float = MOST_REFERRED,
    least_band: tuple[float, float] | None = None,
    distance: npt.ArrayLike | None = None,
    distance_limit: float | None = None,
) -> ReferralRule:
    """Choose band and floor so that the answered validation rows hold the smallest share of errors.

    ``predictions`` needs split, label and the four probabilities; ``threshold`` in [0, 1] is on P(tumor). An answer
    is wrong when tumor-or-not is wrong at the threshold or the kind is; a label "tumor" says nothing of the kind. Of
    equally good rules the one that refers least is taken. Every band holds ``least_band``, two values of P(tumor), and
    the threshold; besides the rows in it and those beyond ``distance_limit`` (with ``distance`` (n,)), at most
    ``max_share`` of the rows are referred, and none where that does not help.

    Raises ``ValueError`` for no rows, rows of another split than "validation", or values out of range.
    """
    if not 0 <= threshold <= 1 or not 0 <= max_share <= 1:
        raise ValueError(f"threshold is {threshold} and max_share {max_share}; both must be within 0 to 1")
    if not len(predictions) or set(predictions["split"]) != {"validation"}:
        raise ValueError("referral is fitted on validation rows only, and needs at least one")
    rows = predictions[[f"p_{name}" for name in CLASSES]].to_numpy(dtype=np.float64)
    wrong = wrong_answers(rows, predictions["label"].to_numpy(dtype=str), threshold)
    least_low, least_high = least_band or (threshold, threshold)
    best = least = ReferralRule(min(threshold, least_low), max(threshold, least_high), 0.0, distance_limit)
    referred = least.refers(rows, distance)
    best_score = (_error(wrong, referred), float(referred.mean()))
    most = int(referred.sum()) + max_share * len(rows)
    for low, high, floor in _candidates(rows, threshold, min(1.0, most / len(rows))):
        rule = ReferralRule(min(low, least.tumor_low), max(high, least.tumor_high), floor, distance_limit)
        referred = rule.refers(rows, distance)
        score = (_error(wrong, referred), float(referred.mean()))
        if referred.sum() <= most and score < best_score:
            best, best_score = rule, score
    return best


def wrong_answers(probabilities: Floats, labels: npt.NDArray[np.str_], threshold: float) -> Bools:
    """Tell which rows the app would answer wrongly, (n,) bool, from (n, 4) probabilities and (n,) labels.

    The answer is tumor where P(tumor) >= ``threshold`` in [0, 1], and then the likeliest of the three kinds.
    """
    is_tumor = labels != NO_TUMOR
    kind = np.array(TUMOR_CLASSES)[probabilities[:, :_KINDS].argmax(axis=1)]
    detection_wrong = (1 - probabilities[:, _KINDS] >= threshold) != is_tumor
    kind_wrong = is_tumor & (labels != ANY_TUMOR) & (kind != labels)
    return np.asarray(detection_wrong | kind_wrong)


def _error(wrong: Bools, referred: Bools) -> float:
    answered = ~referred
    return float(wrong[answered].mean()) if answered.any() else 1.0


def _candidates(probabilities: Floats, threshold: float, max_share: float) -> list[tuple[float, float, float]]:
    """List bands around the threshold and floors that each alone refer up to about ``max_share`` of the rows."""
    shares = np.linspace(0, max_share, _STEPS)
    center = logit(np.clip(threshold, 1e-6, 1 - 1e-6))
    p_tumor = 1 - probabilities[:, _KINDS]
    # On the logit scale the band reaches equally far in odds to either side of a threshold near 0 or 1.
    away = np.abs(logit(np.clip(p_tumor, 1e-6, 1 - 1e-6)) - center)
    bands = [(threshold, threshold)]
    # The upper end is not part of a band; the margin takes in the row that the width was measured at.
    for width in np.unique(np.quantile(away, shares)) + 1e-9:
        low, high = float(expit(center - width)), float(expit(center + width))
        bands.append((min(low, threshold), max(high, threshold)))
    called = kind_confidence(probabilities)[p_tumor >= threshold]
    rows_a_call = len(probabilities) / max(1, len(called))
    floors = [0.0]
    if len(called):
        floors += np.unique(np.quantile(called, np.minimum(1, shares * rows_a_call))).tolist()
    return [(low, high, min(1.0, floor)) for (low, high), floor in product(bands, floors)]
