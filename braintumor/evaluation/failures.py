"""How a model fails: classes mixed up, tumors missed, answers given too surely, and why scans are referred."""

from typing import Any

import numpy as np
import pandas as pd

from braintumor.bundles.figures import Failures
from braintumor.decision import ReasonCode, ReferralRule
from braintumor.evaluation.samples import plain, right_answers
from braintumor.taxonomy import CLASSES, NO_TUMOR, PROBABILITIES

SURE_FROM = 0.9
"""Stated probability from which an answer counts as sure."""

_EXAMPLES = 5
_REASONS = (ReasonCode.TUMOR_UNCERTAIN, ReasonCode.KIND_UNCERTAIN, ReasonCode.ATYPICAL)


def failure_figures(predictions: pd.DataFrame, threshold: float, rule: ReferralRule, *, tells_kinds: bool) -> Failures:
    """Describe the failures of a model on the predictions of one split, see ``Failures``.

    ``threshold`` in [0, 1] is on P(tumor). A model that tells no kinds (``tells_kinds`` False) is never unsure of one.
    """
    rows = _told(predictions)
    wrong = rows[rows["wrong"] == 1]
    given = wrong[~wrong["referred"]]
    sure = given[given["stated"] >= SURE_FROM].sort_values("stated", ascending=False)
    examples = sure.drop_duplicates("group").head(_EXAMPLES)
    by_group = wrong["group"].value_counts()
    report = {
        "known": int(rows["wrong"].notna().sum()),
        "wrong": len(wrong),
        "groups": rows["group"].nunique(),
        "groups_of_half": int((by_group.cumsum() < len(wrong) / 2).sum() + 1) if len(wrong) else 0,
        "confusions": _confusions(rows, wrong),
        "given": len(given),
        "sure": len(sure),
        "sure_from": SURE_FROM,
        "examples": examples[["dataset", "label", "answered", "stated"]].to_dict("records"),
        "datasets": _missed_and_false(rows, threshold),
        "referrals": _referrals(rows, rule, tells_kinds=tells_kinds),
    }
    return Failures.model_validate(plain(report), strict=False)


def _told(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add what was answered (likeliest class), stated (its probability) and wrong: 0 or 1, NaN where not known."""
    chances = predictions[list(PROBABILITIES)].to_numpy(dtype=np.float64)
    return predictions.assign(
        answered=np.array(CLASSES)[chances.argmax(axis=1)],
        stated=chances.max(axis=1),
        wrong=1 - right_answers(predictions),
        referred=predictions["referred"].astype(bool) if "referred" in predictions else False,
    )


def _confusions(rows: pd.DataFrame, wrong: pd.DataFrame) -> list[dict[str, Any]]:
    """Say which class is taken for which, the most frequent first."""
    counts = rows["label"].value_counts()
    found = [
        {
            "label": label,
            "answered": answered,
            "images": len(some),
            "share": len(some) / counts[label],
            "stated": some["stated"].median(),
            "referred": some["referred"].mean(),
            "datasets": some["dataset"].value_counts().to_dict(),
        }
        for label in CLASSES
        for answered, some in wrong[wrong["label"] == label].groupby("answered")
    ]
    return sorted(found, key=lambda one: -one["images"])


def _missed_and_false(rows: pd.DataFrame, threshold: float) -> dict[str, dict[str, int]]:
    """Count by dataset the tumors below the operating point and the tumor-free scans at or above it."""
    is_tumor = rows["label"] != NO_TUMOR
    called = 1 - rows[f"p_{NO_TUMOR}"] >= threshold
    missed, false = is_tumor & ~called, ~is_tumor & called
    flags = {
        "tumors": is_tumor,
        "missed": missed,
        "missed_answered": missed & ~rows["referred"],
        "tumor_free": ~is_tumor,
        "called": false,
        "called_answered": false & ~rows["referred"],
    }
    return {
        str(dataset): {name: int(flag[own.index].sum()) for name, flag in flags.items()}
        for dataset, own in rows.groupby("dataset")
    }


def _referrals(rows: pd.DataFrame, rule: ReferralRule, *, tells_kinds: bool) -> dict[str, dict[str, Any]]:
    names = [reason for reason in _REASONS if tells_kinds or reason != ReasonCode.KIND_UNCERTAIN]
    # Distances are not needed: what no other reason explains was referred for its distance.
    reasons = rule.reasons(rows[list(PROBABILITIES)].to_numpy(dtype=np.float64))
    first = np.select([reasons[name] for name in names[:-1]], [str(name) for name in names[:-1]], str(names[-1]))
    found = {}
    for name in names:
        wrong = rows["wrong"][rows["referred"].to_numpy() & (first == str(name))]
        found[str(name)] = {"images": len(wrong), "share": len(wrong) / max(1, len(rows)), "wrong": wrong.mean()}
    return found
