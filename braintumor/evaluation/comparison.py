"""The figures by which networks are compared, from their predictions on the same pictures, and where both are kept."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from braintumor.evaluation.bootstrap import interval
from braintumor.evaluation.paired import accuracy_difference, mcnemar
from braintumor.evaluation.samples import (
    Bools,
    ClassRates,
    Floats,
    Interval,
    Sample,
    areas,
    calibration_error,
    class_rates,
    divide,
    mean_of,
    mean_present,
    plain,
    right_answers,
    share,
)
from braintumor.taxonomy import CLASSES, PROBABILITIES

COMPARISON_FILE = "comparison.json"
HISTORIES_FILE = "histories.csv"

ROW_COLUMNS: tuple[str, ...] = ("row", "dataset", "group", "label", *PROBABILITIES, "dice")
PREDICTION_COLUMNS: tuple[str, ...] = ("network", "split", "fold", *ROW_COLUMNS)
HISTORY_COLUMNS: tuple[str, ...] = (
    *("network", "split", "fold", "epoch"),
    *("loss", "accuracy", "val_loss", "val_accuracy", "seconds"),
)

PICTURE = ["fold", "row"]
"""What two networks' rows of one picture have in common."""


def comparison_figures(
    predictions: pd.DataFrame, clinical: Collection[str] = (), *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Compute the figures of one network on one split, its folds pooled, ready for JSON.

    ``predictions`` has dataset, group, label, the four probabilities, ``dice``, NaN where nothing was outlined, and
    ``threshold``, the operating point on P(tumor) of the fold that the row is from. Each figure but the counts is
    {"value", "low", "high"} with a 95 % percentile interval over draws of whole groups; one that is undefined has None.
    Figures of tumor or not take all rows: "accuracy_tumor" and "f1_tumor" (of the tumors) at even odds, "auc_tumor",
    and "sensitivity" and "specificity" at the threshold; the others leave out tumors of unknown kind. Macro averages
    run over the classes that occur; "auc_macro" is that of one class against the rest, "brier" the sum of squares over
    the classes (0 to 2), "ece" that of the likeliest class in 15 bins. "confusion" counts true classes down and
    likeliest ones across. "datasets" has accuracy and Dice of each of the ``clinical`` datasets.
    """
    sample = Sample.of(predictions, resamples, seed)
    dice = predictions["dice"].to_numpy(dtype=np.float64)
    known, rates = sample.known, class_rates(sample)
    called = sample.p_tumor >= predictions["threshold"].to_numpy(dtype=np.float64)
    by_class = np.column_stack(
        [
            areas(sample, sample.probabilities[:, number], sample.truth == number, known)
            for number in range(len(CLASSES))
        ]
    )
    report = {
        "images": len(predictions),
        "groups": sample.bootstrap.count,
        "accuracy": share(sample, sample.right, known),
        "balanced_accuracy": interval(mean_present(rates.recall)),
        "precision_macro": interval(mean_present(rates.precision)),
        "recall_macro": interval(mean_present(rates.recall)),
        "f1_macro": interval(mean_present(rates.f1)),
        "auc_macro": interval(mean_present(by_class)),
        "accuracy_tumor": share(sample, _likelier(sample) == sample.is_tumor, sample.everything),
        "f1_tumor": _f1_tumor(sample),
        "auc_tumor": interval(areas(sample, sample.p_tumor, sample.is_tumor, sample.everything)),
        "sensitivity": share(sample, called, sample.is_tumor),
        "specificity": share(sample, ~called, ~sample.is_tumor),
        "ece": calibration_error(sample, sample.probabilities.max(axis=1), sample.right, known),
        "brier": mean_of(sample, sample.squared_errors, known),
        "classes": {name: _of_class(sample, rates, by_class, number) for number, name in enumerate(CLASSES)},
        "confusion": rates.tables[0].astype(int).tolist(),
        "datasets": {
            name: {
                "accuracy": share(sample, sample.right, known & (sample.dataset == name)),
                "dice": mean_of(sample, dice, np.isfinite(dice) & (sample.dataset == name)),
            }
            for name in clinical
        },
    }
    found: dict[str, Any] = plain(report)
    return found


def against_default(
    predictions: pd.DataFrame, default: pd.DataFrame, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any] | None:
    """Compare a network with the default one on the ``known_answers`` of both; None where they share no picture.

    Both tables are as for ``comparison_figures`` and have ``PICTURE``.
    """
    own, other = known_answers(predictions), known_answers(default)
    both = own.merge(other, on=PICTURE, suffixes=("", "_default"), validate="one_to_one")
    if both.empty:
        return None
    right, default_right = (both[column].to_numpy(dtype=bool) for column in ("right", "right_default"))
    groups = both["group"].astype(str).to_list()
    difference = accuracy_difference(right, default_right, groups, resamples=resamples, seed=seed)
    return {"images": len(both), "accuracy_difference": difference, "mcnemar": mcnemar(right, default_right)}


def known_answers(predictions: pd.DataFrame) -> pd.DataFrame:
    """Give the rows whose answer is right or wrong, in the columns ``right`` and ``confidence``, its probability.

    The answer is the likeliest class, of rows of known class; where no kind of tumor is known at all, it is tumor or
    not, of every row.
    """
    right, chances = right_answers(predictions), predictions[list(PROBABILITIES)].to_numpy(dtype=np.float64)
    if np.isfinite(right).any() or predictions.empty:
        confidence = chances.max(axis=1, initial=0.0)
    else:
        sample = Sample.of(predictions, 0, 0)
        right = (_likelier(sample) == sample.is_tumor).astype(np.float64)
        confidence = np.maximum(sample.p_tumor, 1 - sample.p_tumor)
    rows = np.isfinite(right)
    return predictions[rows].assign(right=right[rows] == 1, confidence=confidence[rows])


def _likelier(sample: Sample) -> Bools:
    """Tell of which rows a tumor is at least as likely as none, (n,)."""
    return np.asarray(sample.p_tumor >= 0.5)


def _f1_tumor(sample: Sample) -> Interval:
    called, tumor = _likelier(sample), sample.is_tumor
    both, either = sample.bootstrap.totals(np.column_stack([called & tumor, called.astype(int) + tumor])).T
    return interval(divide(2 * both, either))


def _of_class(sample: Sample, rates: ClassRates, by_class: Floats, number: int) -> dict[str, Interval | int]:
    own, called = (sample.known & (classes == number) for classes in (sample.truth, sample.likeliest))
    # A class that occurs and is never called has precision 0, as in the macro average.
    precision = share(sample, own, called) if called.any() else interval(rates.precision[:, number])
    return {
        "precision": precision,
        "recall": share(sample, sample.right, own),
        "f1": interval(rates.f1[:, number]),
        "auc": interval(by_class[:, number]),
        "images": int(own.sum()),
    }
