"""The figures by which networks are compared, from their predictions on the same pictures, and where both are kept."""

from typing import Any

import numpy as np
import pandas as pd

from braintumor.evaluation.bootstrap import interval
from braintumor.evaluation.paired import accuracy_difference, mcnemar
from braintumor.evaluation.samples import (
    PROBABILITIES,
    ClassRates,
    Floats,
    Interval,
    Sample,
    areas,
    calibration_error,
    class_rates,
    mean_of,
    mean_present,
    plain,
    right_answers,
    share,
)
from braintumor.taxonomy import CLASSES

COMPARISON_FILE = "comparison.json"
HISTORIES_FILE = "histories.csv"

LEAK_FREE = "leak_free"
PUBLISHED = "published"

ROW_COLUMNS: tuple[str, ...] = ("row", "dataset", "group", "label", *PROBABILITIES, "dice")
PREDICTION_COLUMNS: tuple[str, ...] = ("network", "split", "fold", *ROW_COLUMNS)
HISTORY_COLUMNS: tuple[str, ...] = (
    *("network", "split", "fold", "epoch"),
    *("loss", "accuracy", "val_loss", "val_accuracy", "seconds"),
)

PICTURE = ["fold", "row"]
"""What two networks' rows of one picture have in common."""


def comparison_figures(predictions: pd.DataFrame, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Compute the figures of one network on one split, its folds pooled, ready for JSON.

    ``predictions`` has dataset, group, label, the four probabilities, ``dice``, NaN where nothing was outlined, and
    ``threshold``, the operating point on P(tumor) of the fold that the row is from. Each figure but the counts is
    {"value", "low", "high"} with a 95 % percentile interval over draws of whole groups; one that is undefined has None.
    Rows of a tumor of unknown kind count in "auc_tumor", "sensitivity" and "specificity" alone. Macro averages run over
    the classes that occur; "auc_macro" is that of one class against the rest, "brier" the sum of squares over the
    classes (0 to 2), "ece" that of the likeliest class in 15 bins. "confusion" counts true classes down and likeliest
    ones across.
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
        "auc_tumor": interval(areas(sample, sample.p_tumor, sample.is_tumor, sample.everything)),
        "sensitivity": share(sample, called, sample.is_tumor),
        "specificity": share(sample, ~called, ~sample.is_tumor),
        "ece": calibration_error(sample, sample.probabilities.max(axis=1), sample.right, known),
        "brier": mean_of(sample, sample.squared_errors, known),
        "classes": {name: _of_class(sample, rates, by_class, number) for number, name in enumerate(CLASSES)},
        "confusion": rates.tables[0].astype(int).tolist(),
        "cheng_accuracy": share(sample, sample.right, known & (sample.dataset == "cheng")),
        "cheng_dice": mean_of(sample, dice, np.isfinite(dice) & (sample.dataset == "cheng")),
    }
    found: dict[str, Any] = plain(report)
    return found


def against_default(
    predictions: pd.DataFrame, default: pd.DataFrame, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any] | None:
    """Compare a network with the default one on the pictures of known class that both predicted; None without any.

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
    """Give the rows of known class with the column ``right``, whether the likeliest class is the label."""
    known = predictions[predictions["label"].isin(CLASSES)]
    return known.assign(right=right_answers(known) == 1)


def _of_class(sample: Sample, rates: ClassRates, by_class: Floats, number: int) -> dict[str, Interval | int]:
    own, called = sample.truth == number, sample.known & (sample.likeliest == number)
    # A class that occurs and is never called has precision 0, as in the macro average.
    precision = share(sample, own, called) if called.any() else interval(rates.precision[:, number])
    return {
        "precision": precision,
        "recall": share(sample, sample.right, own),
        "f1": interval(rates.f1[:, number]),
        "auc": interval(by_class[:, number]),
        "images": int(own.sum()),
    }
