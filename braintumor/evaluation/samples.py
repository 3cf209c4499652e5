"""Figures of a table of predictions, in the sample itself and in every bootstrap draw of its groups."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from braintumor.evaluation.bootstrap import GroupBootstrap, exact_at_ends, interval
from braintumor.evaluation.reliability import BINS, bin_numbers
from braintumor.taxonomy import CLASSES, NO_TUMOR, PROBABILITIES, TUMOR_CLASSES

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Interval = dict[str, float | None]

_KINDS = len(TUMOR_CLASSES)


@dataclass(frozen=True)
class Sample:
    """Rows of predictions, (n,) each, ``probabilities`` (n, 4), and the draws of their groups."""

    label: npt.NDArray[np.str_]
    dataset: npt.NDArray[np.str_]
    probabilities: Floats
    bootstrap: GroupBootstrap

    @classmethod
    def of(cls, predictions: pd.DataFrame, resamples: int, seed: int) -> "Sample":
        """Take the columns label, dataset, group and ``PROBABILITIES`` of a table."""
        return cls(
            predictions["label"].to_numpy(dtype=str),
            predictions["dataset"].to_numpy(dtype=str),
            predictions[list(PROBABILITIES)].to_numpy(dtype=np.float64),
            GroupBootstrap(predictions["group"].to_numpy(dtype=str), resamples, seed),
        )

    @property
    def everything(self) -> Bools:
        return np.ones(len(self.label), dtype=bool)

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
    def known(self) -> Bools:
        """Which rows have a class of their own, not only "tumor"; none where there are tumors and no kind is known."""
        known = self.truth >= 0
        return np.asarray(known & bool((known & self.is_tumor).any() or not self.is_tumor.any()))

    @property
    def likeliest(self) -> npt.NDArray[np.intp]:
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def right(self) -> Bools:
        return np.asarray(self.likeliest == self.truth)

    @property
    def squared_errors(self) -> Floats:
        """Sum over the classes of (probability - truth)², (n,); without meaning where the class is unknown."""
        return np.asarray(((self.probabilities - np.eye(len(CLASSES))[self.truth]) ** 2).sum(axis=1))


def right_answers(predictions: pd.DataFrame) -> Floats:
    """Tell of each row whether its likeliest class is its label: (n,), 1 or 0, NaN where the class is not known.

    It is not known of a tumor of unknown kind, and of no row where there are tumors and no kind is known, as of a
    network that tells none. Takes the columns label and ``PROBABILITIES``.
    """
    # Neither the dataset nor the group has a say in it.
    sample = Sample.of(predictions[["label", *PROBABILITIES]].assign(dataset="", group=""), 0, 0)
    return np.where(sample.known, sample.right, math.nan)


@dataclass(frozen=True)
class ClassRates:
    """What the confusion tables, (1 + resamples, 4, 4) with true classes down, say of each class: (1 + resamples, 4).

    A class that does not occur has none (NaN); one that is never predicted has precision 0, as scikit-learn has it.
    """

    tables: Floats

    @property
    def support(self) -> Floats:
        return np.asarray(self.tables.sum(axis=2))

    @property
    def _called(self) -> Floats:
        return np.asarray(self.tables.sum(axis=1))

    @property
    def _hits(self) -> Floats:
        return np.asarray(self.tables.diagonal(axis1=1, axis2=2))

    @property
    def recall(self) -> Floats:
        return divide(self._hits, self.support)

    @property
    def precision(self) -> Floats:
        return np.where(self.support > 0, np.nan_to_num(divide(self._hits, self._called)), math.nan)

    @property
    def f1(self) -> Floats:
        return np.where(self.support > 0, divide(2 * self._hits, self.support + self._called), math.nan)


def class_rates(sample: Sample) -> ClassRates:
    """Count true against likeliest classes in the sample and in every draw; rows of unknown kind do not count."""
    size = len(CLASSES)
    cell = np.where(sample.known, sample.truth * size + sample.likeliest, size * size)
    tables = sample.bootstrap.totals(np.eye(size * size + 1)[cell])[:, :-1]
    return ClassRates(tables.reshape(-1, size, size))


def divide(top: Floats, bottom: Floats) -> Floats:
    """Divide, giving NaN where nothing was counted."""
    out = np.full(np.broadcast(top, bottom).shape, math.nan)
    return np.asarray(np.divide(top, bottom, out=out, where=bottom > 0))


def mean_present(values: Floats) -> Floats:
    """Average over the last axis, leaving out NaN; NaN where nothing is left."""
    present = np.isfinite(values)
    return divide(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1).astype(np.float64))


def mean_of(sample: Sample, values: Floats, chosen: Bools) -> Interval:
    """Average ``values`` (n,) over the rows chosen, with its interval."""
    totals = sample.bootstrap.totals(np.column_stack([np.where(chosen, values, 0.0), chosen]))
    return interval(divide(totals[:, 0], totals[:, 1]))


def share(sample: Sample, top: Bools, bottom: Bools) -> Interval:
    """Share of the rows in ``bottom`` that are in ``top`` too, with its interval."""
    totals = sample.bootstrap.totals(np.column_stack([top & bottom, bottom]))
    result = interval(divide(totals[:, 0], totals[:, 1]))
    return exact_at_ends(result, sample.bootstrap.groups_among(bottom))


def areas(sample: Sample, score: Floats, positive: Bools, chosen: Bools) -> Floats:
    """ROC AUC of ``score`` for ``positive`` rows, among those chosen, (n,) each: (1 + resamples,).

    It is the weighted Mann-Whitney statistic; NaN in a draw where one side is empty.
    """
    order = np.flatnonzero(chosen)
    order = order[np.argsort(score[order], kind="stable")]
    scores, wanted = score[order], positive[order]
    first, after = np.searchsorted(scores, scores, "left"), np.searchsorted(scores, scores, "right")
    parts = []
    for weights in sample.bootstrap.row_weights(order):
        other = np.cumsum(np.where(wanted, 0.0, weights), axis=1)
        below = np.pad(other, ((0, 0), (1, 0)))
        own = np.where(wanted, weights, 0.0)
        # A positive row wins against each other below it and half wins against each of equal score.
        wins = (own * (below[:, first] + below[:, after]) / 2).sum(axis=1)
        parts.append(divide(wins, own.sum(axis=1) * below[:, -1]))
    return np.concatenate(parts)


def calibration_error(sample: Sample, confidence: Floats, happened: Bools, chosen: Bools) -> Interval:
    """Average the gap between confidence and accuracy over bins, weighted by their rows, with its interval.

    That is the expected calibration error of Naeini et al., AAAI 2015, here over the rows chosen.
    """
    bins = np.eye(BINS)[bin_numbers(confidence)] * chosen[:, None]
    gap = sample.bootstrap.totals(bins * (confidence - happened)[:, None])
    count = sample.bootstrap.totals(chosen[:, None])[:, 0]
    result = interval(divide(np.abs(gap).sum(axis=1), count))
    # Chance gaps add up in every draw, so draws lie above the sample; the interval must still hold its value.
    value, low = result["value"], result["low"]
    if value is not None and low is not None:
        result["low"] = min(value, low)
    return result


def plain(value: Any) -> Any:
    """Rebuild a nest of results from what JSON knows; a number that is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
