"""Make stated confidence match how often the model is right."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, logsumexp, softmax

from braintumor.taxonomy import TUMOR_CLASSES

Floats = npt.NDArray[np.float64]

_KINDS = len(TUMOR_CLASSES)
_TEMPERATURES = (0.05, 20.0)

_LEAST_STATED = 1e-7
_MAP_TEMPERATURES = (0.2, 5.0)


def fit_temperature(logits: npt.ArrayLike, allowed: npt.ArrayLike) -> float:
    """Find the temperature that makes held-out labels most likely.

    ``logits`` is (n, classes) float, ``allowed`` (n, classes) bool and marks the classes each label admits (one for
    a class name, three for "tumor"). Minimizes the mean of -log of the summed probability of the allowed classes, which
    is the ordinary negative log likelihood where one class is allowed; the result lies in [0.05, 20].
    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

    Raises ``ValueError`` for no rows, shapes that differ, values that are not finite or a row that allows no class.
    """
    # A server that only answers need not load what fits.
    from scipy.optimize import minimize_scalar

    scores, admitted = _checked(logits, allowed)

    def loss(log_temperature: float) -> float:
        scaled = scores / math.exp(log_temperature)
        kept = np.where(admitted, scaled, -np.inf)
        return float(np.mean(logsumexp(scaled, axis=1) - logsumexp(kept, axis=1)))

    low, high = (math.log(value) for value in _TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return float(math.exp(found.x))


def _checked(logits: npt.ArrayLike, allowed: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    scores = np.asarray(logits, dtype=np.float64)
    admitted = np.asarray(allowed, dtype=bool)
    if scores.ndim != 2 or not len(scores) or scores.shape != admitted.shape:
        raise ValueError(f"logits are {scores.shape} and allowed is {admitted.shape}; both must be (n, classes)")
    if not np.isfinite(scores).all():
        raise ValueError("logits hold values that are not finite")
    if not admitted.any(axis=1).all():
        raise ValueError("allowed has a row without any class")
    return scores, admitted


def apply_temperature(logits: npt.ArrayLike, temperature: float) -> Floats:
    """Turn logits (..., classes) into probabilities of the same shape that sum to 1; the order of classes stays.

    Raises ``ValueError`` when ``temperature`` is not a positive finite number.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}; it must be a positive number")
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=-1))


@dataclass(frozen=True)
class Calibration:
    """What turns logits into probabilities, in two parts, so that "is there a tumor" and "which" are corrected apart.

    P(tumor) is the sigmoid of ``slope`` × score + ``shift`` (Platt 1999), the score being the logit of a tumor as
    the network states it; P(kind | tumor) is the softmax of the three kinds' logits over ``temperature`` (Guo et al.,
    ICML 2017) plus ``kind_bias`` (bias-corrected temperature scaling: Alexandari et al., ICML 2020), and that of a
    map's cell the sigmoid of its logit over ``map_temperature``. Raises ``ValueError`` for a slope or temperature that
    is not above 0, for what is not finite, and for another number of kinds.
    """

    slope: float = 1.0
    shift: float = 0.0
    temperature: float = 1.0
    map_temperature: float = 1.0
    kind_bias: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        above = (self.slope, self.temperature, self.map_temperature)
        if not all(map(math.isfinite, (self.shift, *above))) or min(above) <= 0:
            raise ValueError(
                f"slope, shift and temperatures are {above[0]}, {self.shift} and {above[1:]}; they must be finite, the "
                "shift alone below 0"
            )
        if len(self.kind_bias) not in (0, _KINDS) or not all(map(math.isfinite, self.kind_bias)):
            raise ValueError(f"kind_bias is {self.kind_bias}; it must be {_KINDS} finite numbers or none")

    def apply(self, logits: npt.ArrayLike) -> Floats:
        """Turn logits (n, 4) into probabilities (n, 4) that sum to 1."""
        p_tumor = expit(self.slope * tumor_score(logits) + self.shift)[:, np.newaxis]
        of_kinds = np.asarray(logits, dtype=np.float64)[:, :-1]
        if self.kind_bias:
            of_kinds = of_kinds + self.temperature * np.array(self.kind_bias)
        kinds = apply_temperature(of_kinds, self.temperature)
        return np.concatenate([p_tumor * kinds, 1 - p_tumor], axis=1)


def tumor_score(logits: npt.ArrayLike) -> Floats:
    """Give the logit of the summed probability of the tumor classes, (n,), of logits (n, 4), "notumor" last."""
    values = np.asarray(logits, dtype=np.float64)
    return np.asarray(logsumexp(values[:, :-1], axis=1) - values[:, -1])


def fit_calibration(logits: npt.ArrayLike, allowed: npt.ArrayLike) -> Calibration:
    """Fit both parts of a calibration on held-out rows; arguments, and what is raised, as for ``fit_temperature``.

    Rows of tumors of unknown kind have a say only in the first part; without any row of a known kind, or with all rows
    on one side, the part in question stays as the network states it. Kinds get a bias where rows of each are there.
    """
    scores, admitted = _checked(logits, allowed)
    is_tumor = ~admitted[:, -1]
    slope, shift = 1.0, 0.0
    if is_tumor.any() and not is_tumor.all():
        slope, shift = _fit_sigmoid(tumor_score(scores), is_tumor)
    known = is_tumor & (admitted.sum(axis=1) == 1)
    if not known.any():
        return Calibration(slope, shift)
    kinds, truth = scores[known, :-1], admitted[known, :-1]
    temperature = fit_temperature(kinds, truth)
    bias: tuple[float, ...] = ()
    if truth.shape[1] == _KINDS and truth.any(axis=0).all():
        temperature, bias = _fit_bias(kinds, truth, temperature)
    return Calibration(slope, shift, temperature, kind_bias=bias)


def fit_map_temperature(stated: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Fit the temperature of a map's cells on held-out pictures: that of the lowest cross-entropy over all of them.

    ``stated`` are probabilities and ``truth`` the share of each cell that is tumor, both (n, h, w) in [0, 1]. Without a
    picture the cells stay as the network states them. Raises ``ValueError`` for arrays of different shapes.
    """
    from scipy.optimize import minimize_scalar

    chances, shares = np.asarray(stated, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if chances.shape != shares.shape:
        raise ValueError(f"stated is {chances.shape} and truth {shares.shape}; they must be of one shape")
    if not chances.size:
        return 1.0
    score = logit(np.clip(chances, _LEAST_STATED, 1 - _LEAST_STATED))

    def loss(temperature: float) -> float:
        margin = score / temperature
        return float(np.mean(np.logaddexp(0, margin) - margin * shares))

    return float(minimize_scalar(loss, bounds=_MAP_TEMPERATURES, method="bounded").x)


def _fit_bias(scores: Floats, truth: npt.NDArray[np.bool_], temperature: float) -> tuple[float, tuple[float, ...]]:
    """Fit temperature and bias of the kinds together, from the best temperature alone on."""
    from scipy.optimize import minimize

    low, high = _TEMPERATURES

    def parts(values: Floats) -> tuple[float, Floats]:
        return float(np.clip(math.exp(values[0]), low, high)), values[1:] - values[1:].mean()

    def loss(values: Floats) -> float:
        over, bias = parts(values)
        odds = scores / over + bias
        # As for the sigmoid, a weak pull keeps the bias finite where rows are told apart without an error.
        return float(np.mean(logsumexp(odds, axis=1) - odds[truth]) + 1e-3 * (bias**2).sum())

    found = minimize(loss, np.array([math.log(temperature), *[0.0] * _KINDS]), method="L-BFGS-B").x
    over, bias = parts(found)
    return over, tuple(float(value) for value in bias)


def _fit_sigmoid(score: Floats, truth: npt.NDArray[np.bool_]) -> tuple[float, float]:
    from scipy.optimize import minimize

    sign = np.where(truth, 1.0, -1.0)

    def loss(parameters: Floats) -> float:
        margin = sign * (math.exp(parameters[0]) * score + parameters[1])
        # A network that separates all rows would be made ever surer; a weak pull to its own scale keeps it finite.
        return float(np.mean(np.logaddexp(0, -margin)) + 1e-3 * parameters[0] ** 2)

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    return math.exp(found.x[0]), float(found.x[1])
