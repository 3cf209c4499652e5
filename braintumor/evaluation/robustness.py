"""How often an answer turns when the same scan comes in another form."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from braintumor.taxonomy import NO_TUMOR

_TUMOR, _NO_TUMOR, _REFER = "tumor", "no_tumor", "refer"


@dataclass(frozen=True)
class Pair:
    """What was decided of one scan as it is, and of the same scan changed, for the reasons given by their codes."""

    label: str
    before: str
    after: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """``count`` of ``of``, the share of it, and its 95 % interval after Wilson (1927); None where ``of`` is 0."""

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def taken(cls, count: int, of: int) -> "Share":
        """Work out share and interval."""
        if not of:
            return cls(count, of, None, None, None)
        bounds = binomtest(count, of).proportion_ci(method="wilson")
        return cls(count, of, count / of, float(bounds.low), float(bounds.high))


@dataclass(frozen=True)
class Flips:
    """How answers turned under one change.

    ``false_alarms``: of tumor-free scans in which no tumor was called, those in which one is called now. ``cleared``:
    of tumor scans not cleared before, those that are now. ``tumor_to_none`` and ``none_to_tumor``: of scans answered so
    before, whatever is true, those now answered the other way. ``withheld``: of all that were answered, those now
    referred, and ``reasons``, how often for which reason, by its code. ``answered``: of those referred before, those
    answered now.
    """

    scans: int
    false_alarms: Share
    cleared: Share
    tumor_to_none: Share
    none_to_tumor: Share
    withheld: Share
    reasons: dict[str, int]
    answered: Share

    @classmethod
    def counted(cls, pairs: Sequence[Pair]) -> "Flips":
        """Count what turned, over pairs of one change."""
        answered = [pair for pair in pairs if pair.before != _REFER]
        withheld = [pair for pair in answered if pair.after == _REFER]
        free = [pair for pair in pairs if pair.label == NO_TUMOR and pair.before != _TUMOR]
        ill = [pair for pair in pairs if pair.label != NO_TUMOR and pair.before != _NO_TUMOR]
        return cls(
            scans=len(pairs),
            false_alarms=_share_now(free, _TUMOR),
            cleared=_share_now(ill, _NO_TUMOR),
            tumor_to_none=_share_now((pair for pair in pairs if pair.before == _TUMOR), _NO_TUMOR),
            none_to_tumor=_share_now((pair for pair in pairs if pair.before == _NO_TUMOR), _TUMOR),
            withheld=Share.taken(len(withheld), len(answered)),
            reasons=dict(Counter(reason for pair in withheld for reason in pair.reasons).most_common()),
            answered=_share_now((pair for pair in pairs if pair.before == _REFER), _TUMOR, _NO_TUMOR),
        )


def _share_now(pairs: Iterable[Pair], *decisions: str) -> Share:
    chosen = list(pairs)
    return Share.taken(sum(pair.after in decisions for pair in chosen), len(chosen))
