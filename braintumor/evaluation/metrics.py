"""Every figure that is published about a model, from its predictions on one split."""

import math
from typing import Any

import numpy as np
import pandas as pd

from braintumor.evaluation.bootstrap import interval
from braintumor.evaluation.reliability import BINS
from braintumor.evaluation.samples import PROBABILITIES as PROBABILITIES
from braintumor.evaluation.samples import (
    Bools,
    Sample,
    areas,
    calibration_error,
    class_rates,
    mean_present,
    plain,
    right_answers,
    share,
)
from braintumor.taxonomy import CLASSES, LABELS, NO_TUMOR, TUMOR_CLASSES

COLUMNS: tuple[str, ...] = ("split", "dataset", "group", "label", "in_training", *PROBABILITIES)
"""Columns that every table of predictions has."""

WEB_DATASETS: tuple[str, ...] = ("br35h", "navoneel")
"""Sets gathered from web pages; the tumor-free pictures of masoud come from there too."""

_KINDS = len(TUMOR_CLASSES)


def figures(predictions: pd.DataFrame, *, threshold: float, seed: int = 0, resamples: int = 1000) -> dict[str, Any]:
    """Compute every published figure of one split, ready for JSON.

    ``predictions`` has ``COLUMNS`` and may have ``referred`` (bool); ``threshold`` in [0, 1] is on P(tumor), which is
    1 - p_notumor. A headline figure is {"value", "low", "high"} with a 95 % percentile interval over ``resamples``
    draws of whole groups (Efron and Tibshirani 1993, see ``GroupBootstrap``); a share of all or none has the exact
    binomial bound instead; a figure that is undefined, as an AUC of one class alone, is None.
    Macro averages run over the classes that occur.

    Keys: images, groups, in_training_share, threshold, by_dataset_and_class, four_class, cheng_three_class,
    detection, web_detection, calibration, and answered where ``referred`` is known.

    Raises ``ValueError`` for missing columns, several splits, unknown labels, values that are not probabilities, or a
    threshold outside [0, 1].
    """
    check(predictions)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must be within 0 to 1")
    if predictions["split"].nunique() > 1:
        raise ValueError(f"rows of {predictions['split'].nunique()} splits; figures are those of one")
    rows = Sample.of(predictions, resamples, seed)
    web = np.isin(rows.dataset, WEB_DATASETS) | ((rows.dataset == "masoud") & ~rows.is_tumor)
    report = {
        "images": len(predictions),
        "groups": rows.bootstrap.count,
        "in_training_share": predictions["in_training"].astype(bool).mean() if len(predictions) else None,
        "threshold": threshold,
        "by_dataset_and_class": _counts(predictions),
        "four_class": _four_class(rows),
        "cheng_three_class": _cheng(rows),
        "detection": _detection(rows, threshold, rows.everything),
        "web_detection": _detection(rows, threshold, np.asarray(web)),
        "calibration": _calibration(rows),
    }
    if "referred" in predictions:
        report["answered"] = _answered(rows, ~predictions["referred"].to_numpy(dtype=bool), threshold)
    found: dict[str, Any] = plain(report)
    return found


def by_dataset_and_class(predictions: pd.DataFrame, *, threshold: float) -> pd.DataFrame:
    """Tabulate, for each dataset and label, how the model did; arguments as for ``figures``, any number of splits.

    Columns: dataset, label, images, groups, right (share whose likeliest class is the label; NaN where the class is
    unknown, see ``right_answers``), called_tumor (share with P(tumor) >= threshold), p_tumor (mean). Raises
    ``ValueError`` like ``figures``.
    """
    check(predictions)
    p_tumor = 1 - predictions[f"p_{NO_TUMOR}"]
    table = predictions[["dataset", "label", "group"]].assign(
        right=right_answers(predictions),
        called_tumor=(p_tumor >= threshold).astype(float),
        p_tumor=p_tumor,
    )
    return (
        table.groupby(["dataset", "label"], sort=True)
        .agg(
            images=("group", "size"),
            groups=("group", "nunique"),
            right=("right", "mean"),
            called_tumor=("called_tumor", "mean"),
            p_tumor=("p_tumor", "mean"),
        )
        .reset_index()
    )


def check(predictions: pd.DataFrame) -> None:
    """Raise ``ValueError`` in one sentence when a table is not one of predictions; columns as ``COLUMNS``."""
    missing = [name for name in COLUMNS if name not in predictions]
    if missing:
        raise ValueError(f"predictions lack the column {', '.join(missing)}")
    unknown = sorted({str(label) for label in predictions["label"]} - set(LABELS))
    if unknown:
        raise ValueError(f"label is {unknown[0]!r}; it must be one of {', '.join(LABELS)}")
    values = predictions[list(PROBABILITIES)].to_numpy(dtype=np.float64)
    # Files round to a few digits, so a sum may miss 1 by as much.
    bad = ~((values >= -1e-6).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= 0.01))
    if bad.any():
        raise ValueError(f"{int(bad.sum())} rows do not hold probabilities that sum to 1")


def _counts(predictions: pd.DataFrame) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (dataset, label), number in predictions.groupby(["dataset", "label"]).size().items():
        counts.setdefault(str(dataset), {})[str(label)] = int(number)
    return counts


def _four_class(rows: Sample) -> dict[str, Any]:
    rates = class_rates(rows)
    support, precision, recall, f1 = rates.support, rates.precision, rates.recall, rates.f1
    return {
        "images": int(support[0].sum()),
        "accuracy": share(rows, rows.right, rows.known),
        "balanced_accuracy": interval(mean_present(recall)),
        "macro_precision": mean_present(precision)[0],
        "macro_recall": mean_present(recall)[0],
        "macro_f1": interval(mean_present(f1)),
        "per_class": {
            name: {
                "precision": precision[0, number],
                "recall": recall[0, number],
                "f1": f1[0, number],
                "support": int(support[0, number]),
            }
            for number, name in enumerate(CLASSES)
        },
        "confusion_matrix": {"classes": list(CLASSES), "counts": rates.tables[0].astype(int).tolist()},
    }


def _cheng(rows: Sample) -> dict[str, Any]:
    chosen = (rows.dataset == "cheng") & rows.known
    kind = rows.probabilities[:, :_KINDS].argmax(axis=1)
    return {
        "images": int(chosen.sum()),
        "groups": rows.bootstrap.groups_among(chosen),
        "accuracy": share(rows, rows.right, chosen),
        "accuracy_given_tumor": share(rows, kind == rows.truth, chosen & rows.is_tumor),
    }


def _detection(rows: Sample, threshold: float, chosen: Bools) -> dict[str, Any]:
    called = rows.p_tumor >= threshold
    tumor, clear = chosen & rows.is_tumor, chosen & ~rows.is_tumor
    precision = math.nan
    if tumor.any() and clear.any():
        # A server that shows no metrics is spared the 60 MB of scikit-learn.
        from sklearn.metrics import average_precision_score

        precision = average_precision_score(rows.is_tumor[chosen], rows.p_tumor[chosen])
    return {
        "images": int(chosen.sum()),
        "tumors": int(tumor.sum()),
        "roc_auc": interval(areas(rows, rows.p_tumor, rows.is_tumor, chosen)),
        "average_precision": precision,
        "sensitivity": share(rows, called, tumor),
        "specificity": share(rows, ~called, clear),
        "counts": {
            "true_positive": int((called & tumor).sum()),
            "false_negative": int((~called & tumor).sum()),
            "true_negative": int((~called & clear).sum()),
            "false_positive": int((called & clear).sum()),
        },
    }


def _calibration(rows: Sample) -> dict[str, Any]:
    known = rows.known
    one_hot = np.eye(len(CLASSES))[rows.truth]
    of_truth = np.clip((rows.probabilities * one_hot).sum(axis=1), 1e-15, 1)
    detection_squared = (rows.p_tumor - rows.is_tumor) ** 2
    return {
        "bins": BINS,
        "ece": calibration_error(rows, rows.probabilities.max(axis=1), rows.right, known),
        "detection_ece": calibration_error(rows, rows.p_tumor, rows.is_tumor, rows.everything),
        "brier": rows.squared_errors[known].mean() if known.any() else None,
        "detection_brier": detection_squared.mean() if len(known) else None,
        "nll": -np.log(of_truth[known]).mean() if known.any() else None,
    }


def _answered(rows: Sample, answered: Bools, threshold: float) -> dict[str, Any]:
    called = rows.p_tumor >= threshold
    return {
        "images": int(answered.sum()),
        "share": share(rows, answered, rows.everything),
        "accuracy": share(rows, rows.right, answered & rows.known),
        "error": share(rows, ~rows.right, answered & rows.known),
        "error_of_referred": share(rows, ~rows.right, ~answered & rows.known),
        "sensitivity": share(rows, called, answered & rows.is_tumor),
        "specificity": share(rows, ~called, answered & ~rows.is_tumor),
    }
