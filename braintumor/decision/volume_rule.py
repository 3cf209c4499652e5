"""P(tumor) of a whole stack of slices from the evidence in it, and when that is enough to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Floats = npt.NDArray[np.float64]

PENALTY = 1.0
"""Weight of the squared weights beside the summed cross-entropy, as scikit-learn's ``C=1``: the default there, kept
because a few dozen patients cannot choose it."""


SPREADS = 5.0
"""Standard deviations above the mean of left-out hospitals' stacks from which a stack is taken for no head.

The middle of many slices spreads far less than single ones do: that of a watermelon, most slices of which pass one by
one, lies 6 of them above the mean."""


@dataclass(frozen=True)
class VolumeRule:
    """A logistic model on the figures of a stack, and the probabilities from which and up to which it answers.

    ``mean`` and ``spread`` center and scale each of the figures that ``names`` names, ``weights`` are 0 or more, so
    that more evidence never lowers P(tumor). Below ``tumor_low`` the answer is "no tumor", from ``tumor_high`` on
    "tumor"; between them the stack is referred. A stack whose middle distance from the training scans, see
    ``Typicality``, is above ``distance_limit`` is no head that the model can judge. ``low_by_sequence`` takes the place
    of ``tumor_low`` where the kind of images is known: a tumor that T1 does not show shows on FLAIR, so that more FLAIR
    stacks can be cleared. Raises ``ValueError`` for lengths that differ or limits out of order.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    tumor_low: float
    tumor_high: float
    distance_limit: float = np.inf
    low_by_sequence: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({len(self.names), len(self.mean), len(self.spread), len(self.weights)}) > 1:
            raise ValueError("a volume rule needs one mean, spread and weight for each figure")
        for low in (self.tumor_low, *self.low_by_sequence.values()):
            if not 0 <= low <= self.tumor_high <= 1:
                raise ValueError(f"the limits are {low} and {self.tumor_high}; they must rise within 0 to 1")

    @classmethod
    def fit(cls, names: Sequence[str], figures: npt.ArrayLike, is_tumor: npt.ArrayLike) -> "VolumeRule":
        """Learn from the figures (n, k) of stacks with a tumor and without, (n,) bool; the limits stay at one half.

        Both sides count alike, however many stacks each has. Raises ``ValueError`` where one side is missing.
        """
        from scipy.optimize import minimize

        rows, truth = np.asarray(figures, dtype=np.float64), np.asarray(is_tumor, dtype=bool)
        if truth.all() or not truth.any():
            raise ValueError("a volume rule needs stacks with a tumor and stacks without")
        mean, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
        scaled = (rows - mean) / spread
        share = np.where(truth, 1 / truth.sum(), 1 / (~truth).sum()) * len(truth) / 2

        def loss(values: Floats) -> tuple[float, Floats]:
            odds = scaled @ values[:-1] + values[-1]
            entropy = share * np.logaddexp(0, np.where(truth, -odds, odds))
            slope = share * (expit(odds) - truth)
            gradient = np.append(scaled.T @ slope + PENALTY * values[:-1], slope.sum())
            return float(entropy.sum() + PENALTY * (values[:-1] ** 2).sum() / 2), gradient

        bounds = [(0.0, None)] * len(names) + [(None, None)]
        found = minimize(loss, np.zeros(len(names) + 1), jac=True, bounds=bounds, method="L-BFGS-B").x
        return cls(tuple(names), tuple(mean), tuple(spread), tuple(found[:-1]), float(found[-1]), 0.5, 0.5)

    def with_limits(self, tumor_low: float, tumor_high: float, low_by_sequence: Mapping[str, float]) -> "VolumeRule":
        """Give the same rule with other limits."""
        return replace(self, tumor_low=tumor_low, tumor_high=tumor_high, low_by_sequence=low_by_sequence)

    def low(self, sequence: str) -> float:
        """Give P(tumor) below which images of a kind are answered with "no tumor"; "" where it is not known."""
        return self.low_by_sequence.get(sequence, self.tumor_low)

    def with_distances(self, distances: npt.ArrayLike) -> "VolumeRule":
        """Give the same rule with the limit that middle distances (n,) of stacks of heads set, see ``SPREADS``."""
        known = np.asarray(distances, dtype=np.float64)
        return replace(self, distance_limit=float(known.mean() + SPREADS * known.std()))

    def p_tumor(self, figures: npt.ArrayLike) -> Floats:
        """Give P(tumor) of stacks, (n,), from their figures (n, k)."""
        scaled = (np.asarray(figures, dtype=np.float64) - np.array(self.mean)) / np.array(self.spread)
        return np.asarray(expit(scaled @ np.array(self.weights) + self.intercept))


def left_out_p_tumor(
    names: Sequence[str], figures: npt.ArrayLike, is_tumor: npt.ArrayLike, patients: Sequence[str]
) -> Floats:
    """Give each stack's P(tumor), (n,), by a rule that was fitted without any stack of its patient."""
    rows, truth, whose = np.asarray(figures), np.asarray(is_tumor, dtype=bool), np.asarray(patients)
    found = np.zeros(len(rows))
    for patient in np.unique(whose):
        own = whose == patient
        found[own] = VolumeRule.fit(names, rows[~own], truth[~own]).p_tumor(rows[own])
    return found
