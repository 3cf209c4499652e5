"""What is answered of a scan, and the reasons for which an answer is withheld."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from braintumor.decision.referral import ReferralRule, kind_confidence
from braintumor.scans import COLORED, MARKED, drawn_ring, has_ct_skull, several_heads
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR

_FEWEST_PIXELS = 72
"""Side of a head in pixels. Of 99 held-out scans that were answered, version 5.1 took 42 for another picture once they
were shrunk to 64 pixels, and one shrunk to 128."""


class Outcome(StrEnum):
    """What a scan is answered with."""

    TUMOR = "tumor"
    NO_TUMOR = "no_tumor"
    REFER = "refer"


class ReasonCode(StrEnum):
    """Why an answer is withheld: of a picture that is not judged at all, or in doubt."""

    BLANK = "blank"
    COLOR = "color"
    MARKS = "marks"
    SEVERAL_HEADS = "several_heads"
    CT = "ct"
    TOO_SMALL = "too_small"
    ATYPICAL = "atypical"
    TUMOR_UNCERTAIN = "tumor_uncertain"
    KIND_UNCERTAIN = "kind_uncertain"


@dataclass(frozen=True)
class Reason:
    """A reason and its numbers: ``value`` was measured, and what lies from ``low`` to below ``high`` is referred.

    They are the side of the head in pixels when it is "too_small", the distance from the training scans of what is
    "atypical", P(tumor) when the tumor is uncertain, and P(kind | tumor) of the likeliest kind when the kind is, both
    from 0 to 1. A bound is None where that side is open; the other reasons have no numbers.
    """

    code: ReasonCode
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Decision:
    """``finding`` is the class answered: a kind (or "tumor") or "notumor".

    Of a referred scan it is the likeliest class, None when the picture is not judged; only such a scan has ``reasons``.
    """

    decision: Outcome
    finding: str | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Picture:
    """What a slice looks like, whatever the probabilities are.

    ``pixels`` (height, width) hold gray values, ``color`` is "colored" or "marked" (see ``scans``) or None,
    ``in_space`` tells that it belongs to a volume that lies in space, ``is_empty`` that nothing is shown, ``side`` is
    that of the head in pixels, and ``has_marks`` tells that the features look like those of a picture with marks.
    ``modality`` is the one that the model reads.
    """

    pixels: NDArray[np.float32]
    color: str | None
    in_space: bool
    is_empty: bool
    side: int
    has_marks: bool
    modality: str = "MR"


def decide(
    probabilities: NDArray[np.float64],
    distance: float,
    picture: Picture,
    *,
    threshold: float,
    rule: ReferralRule,
    tells_kinds: bool = True,
) -> Decision:
    """Decide what is answered from calibrated ``probabilities`` (4,) in the order of ``CLASSES``, which sum to 1.

    ``distance`` is that from the training scans, see ``Typicality``. A tumor is called where P(tumor) reaches
    ``threshold``; an answer is withheld when the picture cannot be judged or ``rule`` says so. A network that tells no
    kinds (``tells_kinds`` False) answers "tumor" and is never unsure of one.
    """
    unfit = _unfit(picture, distance, rule)
    if unfit is not None:
        return Decision(Outcome.REFER, None, (unfit,))
    p_tumor = float(1 - probabilities[-1])
    kind = CLASSES[int(probabilities[:-1].argmax())] if tells_kinds else ANY_TUMOR
    reasons = _doubts(probabilities, rule, tells_kinds=tells_kinds)
    if reasons:
        p_kind = probabilities[:-1].max() if tells_kinds else p_tumor
        return Decision(Outcome.REFER, kind if p_kind >= probabilities[-1] else NO_TUMOR, reasons)
    return Decision(Outcome.TUMOR, kind) if p_tumor >= threshold else Decision(Outcome.NO_TUMOR, NO_TUMOR)


def _unfit(picture: Picture, distance: float, rule: ReferralRule) -> Reason | None:
    """Give the reason for which a picture is not judged at all; None for most."""
    is_flat = not picture.in_space
    code = None
    if picture.is_empty:
        code = ReasonCode.BLANK
    elif picture.color == COLORED:
        code = ReasonCode.COLOR
    elif picture.color == MARKED:
        code = ReasonCode.MARKS
    elif is_flat and several_heads(picture.pixels):
        code = ReasonCode.SEVERAL_HEADS
    elif is_flat and picture.modality != "CT" and has_ct_skull(picture.pixels):
        code = ReasonCode.CT
    elif rule.atypical([distance])[0]:
        if is_flat and picture.side < _FEWEST_PIXELS:
            return Reason(ReasonCode.TOO_SMALL, picture.side, high=_FEWEST_PIXELS)
        return Reason(ReasonCode.ATYPICAL, distance, low=rule.distance_limit)
    elif is_flat and (picture.has_marks or drawn_ring(picture.pixels)):
        code = ReasonCode.MARKS
    return None if code is None else Reason(code)


def _doubts(probabilities: NDArray[np.float64], rule: ReferralRule, *, tells_kinds: bool) -> tuple[Reason, ...]:
    row = probabilities[np.newaxis]
    applies = rule.reasons(row)
    reasons = []
    if applies["tumor_uncertain"][0]:
        p_tumor = float(1 - probabilities[-1])
        reasons.append(Reason(ReasonCode.TUMOR_UNCERTAIN, p_tumor, rule.tumor_low, rule.tumor_high))
    if applies["kind_uncertain"][0] and tells_kinds:
        share = float(kind_confidence(row)[0])
        reasons.append(Reason(ReasonCode.KIND_UNCERTAIN, share, high=rule.kind_confidence))
    return tuple(reasons)
