"""Every figure that is published about a model, from its predictions on one split."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from braintumor.evaluation.bootstrap import GroupBootstrap, interval
from braintumor.evaluation.calibration import BINS, bin_numbers
from braintumor.taxonomy import CLASSES, LABELS, NO_TUMOR, TUMOR_CLASSES

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Interval = dict[str, float | None]

PROBABILITIES: tuple[str, ...] = tuple(f"p_{name}" for name in CLASSES)
COLUMNS: tuple[str, ...] = ("split", "dataset", "group", "label", "in_training", *PROBABILITIES)
"""Columns that every table of predictions has."""

WEB_DATASETS: tuple[str, ...] = ("br35h", "navoneel")
"""Sets gathered from web pages; the tumor-free pictures of masoud come from there too."""

_KINDS = len(TUMOR_CLASSES)


@dataclass(frozen=True)
class _Rows:
    label: npt.NDArray[np.str_]
    dataset: npt.NDArray[np.str_]
    probabilities: Floats
    bootstrap: GroupBootstrap

    @property
    def p_tumor(self) -> Floats:
        return np.asarray(1 - self.probabilities[:, _KINDS])

    @property
    def is_tumor(self) -> Bools:
        return np.asarray(self.label != NO_TUMOR)

    @cached_property
    def truth(self) -> npt.NDArray[np.intp]:
        """Number of the class, or -1 for a tumor of unknown kind."""
        numbers = {name: number for number, name in enumerate(CLASSES)}
        return np.array([numbers.get(name, -1) for name in self.label], dtype=np.intp)

    @property
    def right(self) -> Bools:
        return np.asarray(self.probabilities.argmax(axis=1) == self.truth)


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
    rows = _Rows(
        predictions["label"].to_numpy(dtype=str),
        predictions["dataset"].to_numpy(dtype=str),
        predictions[list(PROBABILITIES)].to_numpy(dtype=np.float64),
        GroupBootstrap(predictions["group"].astype(str).to_numpy(), resamples, seed),
    )
    web = np.isin(rows.dataset, WEB_DATASETS) | ((rows.dataset == "masoud") & ~rows.is_tumor)
    report = {
        "images": len(predictions),
        "groups": rows.bootstrap.count,
        "in_training_share": predictions["in_training"].astype(bool).mean() if len(predictions) else None,
        "threshold": threshold,
        "by_dataset_and_class": _counts(predictions),
        "four_class": _four_class(rows),
        "cheng_three_class": _cheng(rows),
        "detection": _detection(rows, threshold, np.ones(len(predictions), dtype=bool)),
        "web_detection": _detection(rows, threshold, np.asarray(web)),
        "calibration": _calibration(rows),
    }
    if "referred" in predictions:
        report["answered"] = _answered(rows, ~predictions["referred"].to_numpy(dtype=bool), threshold)
    plain: dict[str, Any] = _plain(report)
    return plain


def by_dataset_and_class(predictions: pd.DataFrame, *, threshold: float) -> pd.DataFrame:
    """Tabulate, for each dataset and label, how the model did; arguments as for ``figures``, any number of splits.

    Columns: dataset, label, images, groups, right (share whose likeliest class is the label; NaN for "tumor"),
    called_tumor (share with P(tumor) >= threshold), p_tumor (mean). Raises ``ValueError`` like ``figures``.
    """
    check(predictions)
    likeliest = np.array(CLASSES)[predictions[list(PROBABILITIES)].to_numpy().argmax(axis=1)]
    p_tumor = 1 - predictions[f"p_{NO_TUMOR}"]
    known = predictions["label"].isin(CLASSES)
    table = predictions[["dataset", "label", "group"]].assign(
        right=(likeliest == predictions["label"]).astype(float).where(known),
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


def _divide(top: Floats, bottom: Floats) -> Floats:
    """Divide, giving NaN where nothing was counted."""
    out = np.full(np.broadcast(top, bottom).shape, math.nan)
    return np.asarray(np.divide(top, bottom, out=out, where=bottom > 0))


def _ratio(rows: _Rows, top: Bools, bottom: Bools) -> Interval:
    """Share of the rows in ``bottom`` that are in ``top`` too, with its interval."""
    totals = rows.bootstrap.totals(np.column_stack([top & bottom, bottom]))
    result = interval(_divide(totals[:, 0], totals[:, 1]))
    # All or none: every draw says the same, which would pass for certainty. The exact binomial bound does not
    # (Clopper and Pearson 1934), with groups as the trials.
    bound = math.pow(0.025, 1 / max(1, rows.bootstrap.groups_among(bottom)))
    if result["value"] == 1:
        result = {"value": 1.0, "low": bound, "high": 1.0}
    elif result["value"] == 0:
        result = {"value": 0.0, "low": 0.0, "high": 1 - bound}
    return result


def _four_class(rows: _Rows) -> dict[str, Any]:
    size = len(CLASSES)
    truth, likeliest = rows.truth, rows.probabilities.argmax(axis=1)
    cell = np.where(truth >= 0, truth * size + likeliest, size * size)
    tables = rows.bootstrap.totals(np.eye(size * size + 1)[cell])[:, :-1].reshape(-1, size, size)
    support, called = tables.sum(axis=2), tables.sum(axis=1)
    hits = tables.diagonal(axis1=1, axis2=2)
    recall = _divide(hits, support)
    occurs = support > 0
    # As scikit-learn has it: a class that is never predicted has precision 0, not an undefined one.
    precision = np.where(occurs, np.nan_to_num(_divide(hits, called)), math.nan)
    f1 = np.where(occurs, _divide(2 * hits, support + called), math.nan)
    return {
        "images": int(support[0].sum()),
        "accuracy": _ratio(rows, rows.right, truth >= 0),
        "balanced_accuracy": interval(_mean(recall)),
        "macro_precision": _mean(precision)[0],
        "macro_recall": _mean(recall)[0],
        "macro_f1": interval(_mean(f1)),
        "per_class": {
            name: {
                "precision": precision[0, number],
                "recall": recall[0, number],
                "f1": f1[0, number],
                "support": int(support[0, number]),
            }
            for number, name in enumerate(CLASSES)
        },
        "confusion_matrix": {"classes": list(CLASSES), "counts": tables[0].astype(int).tolist()},
    }


def _mean(values: Floats) -> Floats:
    """Average over the last axis, leaving out NaN; NaN where nothing is left."""
    present = np.isfinite(values)
    return _divide(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1).astype(np.float64))


def _cheng(rows: _Rows) -> dict[str, Any]:
    chosen = (rows.dataset == "cheng") & (rows.truth >= 0)
    kind = rows.probabilities[:, :_KINDS].argmax(axis=1)
    return {
        "images": int(chosen.sum()),
        "groups": rows.bootstrap.groups_among(chosen),
        "accuracy": _ratio(rows, rows.right, chosen),
        "accuracy_given_tumor": _ratio(rows, kind == rows.truth, chosen & rows.is_tumor),
    }


def _detection(rows: _Rows, threshold: float, chosen: Bools) -> dict[str, Any]:
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
        "roc_auc": interval(_areas(rows, chosen)),
        "average_precision": precision,
        "sensitivity": _ratio(rows, called, tumor),
        "specificity": _ratio(rows, ~called, clear),
        "counts": {
            "true_positive": int((called & tumor).sum()),
            "false_negative": int((~called & tumor).sum()),
            "true_negative": int((~called & clear).sum()),
            "false_positive": int((called & clear).sum()),
        },
    }


def _areas(rows: _Rows, chosen: Bools) -> Floats:
    """ROC AUC of P(tumor) in the sample and in every draw, as the weighted Mann-Whitney statistic."""
    order = np.flatnonzero(chosen)
    order = order[np.argsort(rows.p_tumor[order], kind="stable")]
    scores, tumor = rows.p_tumor[order], rows.is_tumor[order]
    first, after = np.searchsorted(scores, scores, "left"), np.searchsorted(scores, scores, "right")
    parts = []
    for weights in rows.bootstrap.row_weights(order):
        clear = np.cumsum(np.where(tumor, 0.0, weights), axis=1)
        below = np.pad(clear, ((0, 0), (1, 0)))
        positive = np.where(tumor, weights, 0.0)
        # A tumor wins against each clear row below it and half wins against each of equal score.
        wins = (positive * (below[:, first] + below[:, after]) / 2).sum(axis=1)
        parts.append(_divide(wins, positive.sum(axis=1) * below[:, -1]))
    return np.concatenate(parts)


def _calibration(rows: _Rows) -> dict[str, Any]:
    known = rows.truth >= 0
    one_hot = np.eye(len(CLASSES))[rows.truth]
    squared = ((rows.probabilities - one_hot) ** 2).sum(axis=1)
    of_truth = np.clip((rows.probabilities * one_hot).sum(axis=1), 1e-15, 1)
    detection_squared = (rows.p_tumor - rows.is_tumor) ** 2
    return {
        "bins": BINS,
        "ece": _ece(rows, rows.probabilities.max(axis=1), rows.right, known),
        "detection_ece": _ece(rows, rows.p_tumor, rows.is_tumor, np.ones(len(known), dtype=bool)),
        "brier": squared[known].mean() if known.any() else None,
        "detection_brier": detection_squared.mean() if len(known) else None,
        "nll": -np.log(of_truth[known]).mean() if known.any() else None,
    }


def _ece(rows: _Rows, confidence: Floats, happened: Bools, chosen: Bools) -> Interval:
    bins = np.eye(BINS)[bin_numbers(confidence)] * chosen[:, None]
    gap = rows.bootstrap.totals(bins * (confidence - happened)[:, None])
    count = rows.bootstrap.totals(chosen[:, None])[:, 0]
    result = interval(_divide(np.abs(gap).sum(axis=1), count))
    # Chance gaps add up in every draw, so draws lie above the sample; the interval must still hold its value.
    value, low = result["value"], result["low"]
    if value is not None and low is not None:
        result["low"] = min(value, low)
    return result


def _answered(rows: _Rows, answered: Bools, threshold: float) -> dict[str, Any]:
    everything = np.ones(len(answered), dtype=bool)
    called = rows.p_tumor >= threshold
    return {
        "images": int(answered.sum()),
        "share": _ratio(rows, answered, everything),
        "accuracy": _ratio(rows, rows.right, answered & (rows.truth >= 0)),
        "sensitivity": _ratio(rows, called, answered & rows.is_tumor),
        "specificity": _ratio(rows, ~called, answered & ~rows.is_tumor),
    }


def _plain(value: Any) -> Any:
    """Rebuild a nest of results from what JSON knows; a number that is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
