"""Intervals that treat a group of near-identical scans as one draw."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_CHUNK_VALUES = 4_000_000


class GroupBootstrap:
    """Resample whole groups with replacement, as integer weights, so that a figure is a weighted sum.

    ``groups`` names the group of each of n rows. Slices of one patient or copies of one picture are not
    independent; drawing single images would make every interval too narrow. Row 0 of all results is the sample
    itself (each weight 1), rows 1 to ``resamples`` are the draws. Source: Efron and Tibshirani, An Introduction to
    the Bootstrap, 1993.

    Raises ``ValueError`` when ``resamples`` is negative.
    """

    def __init__(self, groups: Sequence[str] | npt.NDArray[np.str_], resamples: int = 1000, seed: int = 0) -> None:
        if resamples < 0:
            raise ValueError(f"resamples is {resamples}; it must be 0 or more")
        names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        self.count = len(names)
        self._codes = codes.astype(np.intp)
        self._weights = np.ones((1 + resamples, self.count))
        if self.count:
            share = np.full(self.count, 1 / self.count)
            self._weights[1:] = np.random.default_rng(seed).multinomial(self.count, share, size=resamples)

    def totals(self, values: npt.ArrayLike) -> Floats:
        """Sum ``values`` (n, k) over the rows of the sample and of each draw: (1 + resamples, k)."""
        array = np.asarray(values, dtype=np.float64)
        by_group = np.zeros((self.count, array.shape[1]))
        np.add.at(by_group, self._codes, array)
        return self._weights @ by_group

    def groups_among(self, chosen: npt.NDArray[np.bool_]) -> int:
        """Count the groups that have a row in ``chosen`` (n,) bool."""
        return len(np.unique(self._codes[chosen]))

    def row_weights(self, rows: npt.NDArray[np.intp]) -> Iterator[Floats]:
        """Yield the weights of the given rows for a few draws at a time, (some, len(rows)), in order."""
        step = max(1, _CHUNK_VALUES // max(1, len(rows)))
        for start in range(0, len(self._weights), step):
            yield self._weights[start : start + step][:, self._codes[rows]]


def interval(samples: Floats) -> dict[str, float | None]:
    """Give the value and its 95 % percentile interval from (1 + resamples,) figures, the sample's own first.

    Draws in which the figure is undefined (NaN) are left out. Everything is None where the value itself is undefined,
    and the bounds are None where fewer than two draws define it.
    """
    value, draws = float(samples[0]), samples[1:]
    if not np.isfinite(value):
        return {"value": None, "low": None, "high": None}
    draws = draws[np.isfinite(draws)]
    if len(draws) < 2:
        return {"value": value, "low": None, "high": None}
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high)}


def mean_by_groups(values: Floats, bootstrap: GroupBootstrap) -> dict[str, float | None]:
    """Give the mean of ``values`` (n,) with its interval; None for no rows, and no bounds for a single group."""
    totals = bootstrap.totals(np.column_stack([values, np.ones(len(values))]))
    with np.errstate(invalid="ignore"):
        result = interval(totals[:, 0] / totals[:, 1])
    # Every draw of a single group is the same, which would pass for certainty.
    return result if bootstrap.count > 1 else {"value": result["value"], "low": None, "high": None}


def exact_at_ends(result: dict[str, float | None], groups: int) -> dict[str, float | None]:
    """Replace the bounds of a share of all or none by the exact binomial one, with ``groups`` as the trials.

    There every draw says the same, which would pass for certainty. Source: Clopper and Pearson, Biometrika 26, 1934.
    """
    bound = math.pow(0.025, 1 / max(1, groups))
    if result["value"] == 1:
        return {"value": 1.0, "low": bound, "high": 1.0}
    return {"value": 0.0, "low": 0.0, "high": 1 - bound} if result["value"] == 0 else result
