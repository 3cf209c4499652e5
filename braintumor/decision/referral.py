"""When an answer is withheld."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from braintumor.taxonomy import TUMOR_CLASSES

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_KINDS = len(TUMOR_CLASSES)


@dataclass(frozen=True)
class ReferralRule:
    """When an answer is withheld.

    A scan is referred when ``tumor_low <= P(tumor) < tumor_high`` (the band around the operating point), or, above
    that band, when the likeliest kind has ``P(kind | tumor) < kind_confidence``, or when its distance to the training
    scans exceeds ``distance_limit`` (see ``Typicality``; None: never). Probabilities are in [0, 1]; a band whose ends
    are equal refers nothing.

    Raises ``ValueError`` for ends or a floor outside [0, 1], ends in the wrong order, or a negative limit.
    """

    tumor_low: float
    tumor_high: float
    kind_confidence: float = 0.0
    distance_limit: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.tumor_low <= self.tumor_high <= 1:
            raise ValueError(f"the band is {self.tumor_low} to {self.tumor_high}; it must rise and stay within 0 to 1")
        if not 0 <= self.kind_confidence <= 1:
            raise ValueError(f"kind_confidence is {self.kind_confidence}; it must be within 0 to 1")
        if self.distance_limit is not None and not self.distance_limit >= 0:
            raise ValueError(f"distance_limit is {self.distance_limit}; it must be 0 or more")

    def reasons(self, probabilities: npt.ArrayLike, distance: npt.ArrayLike | None = None) -> dict[str, Bools]:
        """Tell row by row which of "tumor_uncertain", "kind_uncertain" and "atypical" holds: (n,) bool each.

        ``probabilities`` is (n, 4) in the order of ``CLASSES``, ``distance`` (n,). A distance that is not a number
        counts as atypical.
        """
        rows = np.asarray(probabilities, dtype=np.float64)
        p_tumor = 1 - rows[:, _KINDS]
        return {
            "tumor_uncertain": (p_tumor >= self.tumor_low) & (p_tumor < self.tumor_high),
            "kind_uncertain": (p_tumor >= self.tumor_high) & (kind_confidence(rows) < self.kind_confidence),
            "atypical": np.zeros(len(rows), dtype=bool) if distance is None else self.atypical(distance),
        }

    def atypical(self, distance: npt.ArrayLike) -> Bools:
        """Tell which distances (n,) exceed the limit, (n,) bool; one that is not a number does."""
        values = np.asarray(distance, dtype=np.float64)
        if self.distance_limit is None:
            return np.zeros(len(values), dtype=bool)
        return np.asarray(~(values <= self.distance_limit))

    def refers(self, probabilities: npt.ArrayLike, distance: npt.ArrayLike | None = None) -> Bools:
        """Tell which rows are referred, (n,) bool; arguments as for ``reasons``."""
        return np.asarray(np.logical_or.reduce(list(self.reasons(probabilities, distance).values())))


def kind_confidence(probabilities: Floats) -> Floats:
    """Give P(kind | tumor) of the likeliest kind, (n,) from 0 to 1, of probabilities (n, 4)."""
    kinds = probabilities[:, :_KINDS]
    return np.asarray(kinds.max(axis=1) / np.maximum(kinds.sum(axis=1), 1e-12))
