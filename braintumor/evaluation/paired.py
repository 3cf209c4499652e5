"""Two networks on the same pictures: by how much one is right more often, and whether that may be chance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, chi2

from braintumor.evaluation.bootstrap import GroupBootstrap, mean_by_groups
from braintumor.evaluation.samples import Interval

Bools = npt.NDArray[np.bool_]

FEWEST_FOR_CHI_SQUARED = 25
"""Pictures that one network alone got right, below which the exact test is taken."""


def accuracy_difference(
    right: Bools, default_right: Bools, groups: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Subtract the default's accuracy from this network's, with a 95 % interval over draws of whole groups.

    ``right`` and ``default_right`` are (n,), of the same pictures in the same order, ``groups`` their groups. Every
    draw takes the same groups of both, so that what makes a picture hard for both cancels out (paired bootstrap, Efron
    and Tibshirani 1993). The value lies in [-1, 1], None without a picture. Raises ``ValueError`` for lengths that
    differ.
    """
    _check(right, default_right, len(groups))
    gained = right.astype(np.float64) - default_right
    return mean_by_groups(gained, GroupBootstrap(groups, resamples, seed))


def mcnemar(right: Bools, default_right: Bools) -> dict[str, Any]:
    """Test whether two networks are right equally often, by the pictures of which one alone is right.

    Gives ``only_this_right``, ``only_default_right`` and ``p``: exact and two-sided below ``FEWEST_FOR_CHI_SQUARED``
    such pictures, else chi-squared with continuity correction (McNemar, Psychometrika 1947; Edwards 1948). Pictures
    count as independent here, which those of one group are not, so ``accuracy_difference`` is the stricter of the two.
    Arguments, and what is raised, as there.
    """
    _check(right, default_right, len(right))
    ours, theirs = int((right & ~default_right).sum()), int((~right & default_right).sum())
    either = ours + theirs
    if either == 0:
        p = 1.0
    elif either < FEWEST_FOR_CHI_SQUARED:
        p = float(binomtest(ours, either).pvalue)
    else:
        p = float(chi2.sf(max(0, abs(ours - theirs) - 1) ** 2 / either, 1))
    return {"only_this_right": ours, "only_default_right": theirs, "p": p}


def _check(right: Bools, default_right: Bools, groups: int) -> None:
    if not len(right) == len(default_right) == groups:
        raise ValueError(f"{len(right)}, {len(default_right)} and {groups} rows; each picture needs one of each")
