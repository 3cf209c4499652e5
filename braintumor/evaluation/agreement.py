"""How far a model and readers agree on the same scans: Cohen's kappa, sensitivity and specificity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from braintumor.evaluation.bootstrap import GroupBootstrap, exact_at_ends, interval
from braintumor.taxonomy import NO_TUMOR

Figure = dict[str, float | None]


@dataclass(frozen=True)
class Pair:
    """One scan: the class that the model gave and the one that the reader says it is, and whose scan it is."""

    patient: str
    model: str
    reader: str


@dataclass(frozen=True)
class Agreement:
    """What a set of scans gives, with the reader as the reference; each figure is {"value", "low", "high"}.

    ``kappa_detection`` is of tumor or no tumor, ``kappa_type`` of all classes. ``sensitivity`` and ``specificity`` are
    of tumor. Intervals are of 95 %, over draws of whole patients; None where undefined.
    A share of all or none has the exact binomial bound of its patients instead.
    """

    scans: int
    patients: int
    kappa_detection: Figure
    kappa_type: Figure
    sensitivity: Figure
    specificity: Figure


def agreement(pairs: Sequence[Pair], resamples: int = 1000) -> Agreement:
    """Compare a model's answers with those of readers. Source of kappa: Cohen, Educ Psychol Meas 20:37, 1960."""
    bootstrap = GroupBootstrap([pair.patient for pair in pairs], resamples)
    model, reader = ([getattr(pair, side) for pair in pairs] for side in ("model", "reader"))
    found, true = (np.array([name != NO_TUMOR for name in side], dtype=bool) for side in (model, reader))
    detection = _confusion(found.astype(int), true.astype(int), 2, bootstrap)
    names, codes = np.unique(np.array([*model, *reader], dtype=str), return_inverse=True)
    types = _confusion(codes[: len(pairs)], codes[len(pairs) :], len(names), bootstrap)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = detection[:, 1, 1] / detection[:, :, 1].sum(axis=1)
        specificity = detection[:, 0, 0] / detection[:, :, 0].sum(axis=1)
    return Agreement(
        scans=len(pairs),
        patients=bootstrap.count,
        kappa_detection=_figure(_kappa(detection)),
        kappa_type=_figure(_kappa(types)),
        sensitivity=exact_at_ends(_figure(sensitivity), bootstrap.groups_among(true)),
        specificity=exact_at_ends(_figure(specificity), bootstrap.groups_among(~true)),
    )


def _confusion(
    found: npt.NDArray[np.intp], true: npt.NDArray[np.intp], count: int, bootstrap: GroupBootstrap
) -> npt.NDArray[np.float64]:
    """Count each pair of classes in the sample and in each draw: (1 + resamples, found, true)."""
    cells = np.zeros((len(found), count * count))
    cells[np.arange(len(found)), found * count + true] = 1
    totals = bootstrap.totals(cells)
    return totals.reshape(len(totals), count, count)


def _kappa(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give Cohen's kappa of tables of counts (n, classes, classes); NaN where one class only is named."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counts / counts.sum(axis=(1, 2), keepdims=True)
        observed = np.trace(shares, axis1=1, axis2=2)
        expected = (shares.sum(axis=1) * shares.sum(axis=2)).sum(axis=1)
        kappa: npt.NDArray[np.float64] = np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)
        return kappa


def _figure(samples: npt.NDArray[np.float64]) -> Figure:
    found = interval(samples)
    # Where every draw is the same, as of a single patient, bounds would pass for certainty.
    return found if found["low"] != found["high"] else {"value": found["value"], "low": None, "high": None}
