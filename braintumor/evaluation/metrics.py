"""Every figure that is published about a model, from its predictions on one split."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from braintumor.bundles.figures import SplitFigures
from braintumor.datasets.catalogue import CATALOGUE
from braintumor.evaluation.bootstrap import interval
from braintumor.evaluation.reliability import BINS
from braintumor.evaluation.samples import (
    Bools,
    Sample,
    areas,
    calibration_error,
    class_rates,
    mean_present,
    plain,
    share,
)
from braintumor.taxonomy import CLASSES, LABELS, PROBABILITIES, TUMOR_CLASSES

COLUMNS: tuple[str, ...] = ("split", "dataset", "group", "label", "in_training", *PROBABILITIES)
"""Columns that every table of predictions has."""

_KINDS = len(TUMOR_CLASSES)


def figures(predictions: pd.DataFrame, *, threshold: float, seed: int = 0, resamples: int = 1000) -> SplitFigures:
    """Compute what is published of one split from its predictions only.

    ``predictions`` has ``COLUMNS`` and may have ``referred`` (bool); ``threshold`` in [0, 1] is on P(tumor), which is
    1 - p_notumor. An estimate has a 95 % percentile interval over ``resamples`` draws of whole groups (Efron and
    Tibshirani 1993, see ``GroupBootstrap``); a share of all or none has the exact binomial bound instead; a figure that
    is undefined, as an AUC of one class only, is None. Macro averages run over the classes that occur.

    Raises ``ValueError`` for missing columns, several splits, unknown labels, values that are not probabilities, or a
    threshold outside [0, 1].
    """
    check(predictions)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must be within 0 to 1")
    if predictions["split"].nunique() > 1:
        raise ValueError(f"rows of {predictions['split'].nunique()} splits; figures are those of one")
    rows = Sample.of(predictions, resamples, seed)
    referred = predictions.get("referred")
    answered = None if referred is None else ~referred.to_numpy(dtype=bool)
    report = {
        "images": len(predictions),
        "groups": rows.bootstrap.count,
        "in_training_share": predictions["in_training"].astype(bool).mean() if len(predictions) else None,
        "threshold": threshold,
        "datasets": _by_dataset(predictions, rows, answered, threshold, seed, resamples),
        "four_class": _four_class(rows),
        "detection": _detection(rows, threshold, rows.everything),
        "web_detection": _detection(rows, threshold, from_web(rows.dataset, rows.label)),
        "calibration": _calibration(rows),
    }
    if answered is not None:
        report["answered"] = _answered(rows, answered, threshold)
    return SplitFigures.model_validate(plain(report), strict=False)


def from_web(dataset: Iterable[str], label: Iterable[str]) -> Bools:
    """Tell which pictures are of a dataset and label that were gathered from web pages, (n,) bool."""
    web = {(name, one) for name, known in CATALOGUE.items() for one in known.from_web}
    return np.array([pair in web for pair in zip(dataset, label, strict=True)], dtype=bool)


def _by_dataset(
    predictions: pd.DataFrame, rows: Sample, answered: Bools | None, threshold: float, seed: int, resamples: int
) -> dict[str, Any]:
    kind = rows.probabilities[:, :_KINDS].argmax(axis=1)
    found = {}
    for dataset in np.unique(rows.dataset):
        own = rows.dataset == dataset
        chosen = own & rows.known
        labels = {}
        for label in np.unique(rows.label[own]):
            of_label = own & (rows.label == label)
            some = Sample.of(predictions[of_label], resamples, seed)
            everything, called = some.everything, some.p_tumor >= threshold
            given = everything if answered is None else answered[of_label]
            labels[str(label)] = {
                "images": len(everything),
                "groups": some.bootstrap.count,
                "right": share(some, some.right, everything & rows.known[of_label]),
                "detected": share(some, called == some.is_tumor, everything),
                "answered": share(some, given, everything),
                "p_tumor": some.p_tumor.mean(),
            }
        found[str(dataset)] = {
            "images": int(own.sum()),
            "groups": rows.bootstrap.groups_among(own),
            "accuracy": share(rows, rows.right, chosen),
            "accuracy_given_tumor": share(rows, kind == rows.truth, chosen & rows.is_tumor),
            "labels": labels,
        }
    return found


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
                # A draw without the class has none of the three; the share of all or none found has its exact bound.
                "recall": share(rows, rows.right, rows.known & (rows.truth == number)),
                "precision": interval(precision[:, number]),
                "f1": interval(f1[:, number]),
                "support": int(support[0, number]),
                "groups": rows.bootstrap.groups_among(rows.known & (rows.truth == number)),
            }
            for number, name in enumerate(CLASSES)
        },
        "confusion_matrix": {"classes": list(CLASSES), "counts": rates.tables[0].astype(int).tolist()},
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
