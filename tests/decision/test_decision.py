import numpy as np
import pytest

from braintumor.decision import Decision, Outcome, Picture, Reason, ReasonCode, ReferralRule, decide
from braintumor.scans import COLORED, MARKED, phantom

RULE = ReferralRule(0.3, 0.6, kind_confidence=0.7, distance_limit=2.0)
HEAD = phantom(96).astype(np.float32)
SURE, CLEAR, DOUBT, MIXED = (0.9, 0.05, 0.0, 0.05), (0.05, 0.05, 0.0, 0.9), (0.3, 0.1, 0.0, 0.6), (0.4, 0.4, 0.1, 0.1)


def decided(probabilities=SURE, distance=1.0, pixels=HEAD, tells_kinds=True, **changes):
    looks = {"color": None, "in_space": False, "is_empty": False, "side": 90, "has_marks": False, **changes}
    values = np.array(probabilities)
    return decide(values, distance, Picture(pixels, **looks), threshold=0.5, rule=RULE, tells_kinds=tells_kinds)


@pytest.mark.parametrize(
    ("probabilities", "tells_kinds", "expected"),
    [
        (SURE, True, Decision(Outcome.TUMOR, "glioma")),
        (SURE, False, Decision(Outcome.TUMOR, "tumor")),
        (CLEAR, True, Decision(Outcome.NO_TUMOR, "notumor")),
        (CLEAR, False, Decision(Outcome.NO_TUMOR, "notumor")),
        (MIXED, False, Decision(Outcome.TUMOR, "tumor")),
    ],
)
def test_a_sure_answer_has_no_reason(probabilities, tells_kinds, expected):
    assert decided(probabilities, tells_kinds=tells_kinds) == expected


@pytest.mark.parametrize(
    ("probabilities", "finding", "code", "numbers"),
    [
        (DOUBT, "notumor", ReasonCode.TUMOR_UNCERTAIN, (0.4, 0.3, 0.6)),
        (MIXED, "glioma", ReasonCode.KIND_UNCERTAIN, (4 / 9, None, 0.7)),
    ],
)
def test_doubt_refers_with_the_likeliest_finding_and_its_numbers(probabilities, finding, code, numbers):
    found = decided(probabilities)
    assert (found.decision, found.finding) == (Outcome.REFER, finding)
    (reason,) = found.reasons
    assert reason.code == code
    assert (reason.value, reason.low, reason.high) == pytest.approx(numbers)


PAIR = np.hstack([HEAD, HEAD[:, ::-1]])
AWAY = np.hypot(*np.mgrid[-80:80, -80:80])
CT = np.select([AWAY < 56, AWAY < 68], [100, 255]).astype(np.float32)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_empty": True, "color": COLORED}, Reason(ReasonCode.BLANK)),
        ({"color": COLORED, "distance": 3.0}, Reason(ReasonCode.COLOR)),
        ({"color": MARKED}, Reason(ReasonCode.MARKS)),
        ({"has_marks": True}, Reason(ReasonCode.MARKS)),
        ({"pixels": PAIR}, Reason(ReasonCode.SEVERAL_HEADS)),
        ({"pixels": CT}, Reason(ReasonCode.CT)),
        ({"distance": 3.0}, Reason(ReasonCode.ATYPICAL, 3.0, low=2.0)),
        ({"distance": 3.0, "has_marks": True}, Reason(ReasonCode.ATYPICAL, 3.0, low=2.0)),
        ({"distance": 3.0, "side": 71}, Reason(ReasonCode.TOO_SMALL, 71, high=72)),
        ({"distance": 3.0, "side": 71, "in_space": True}, Reason(ReasonCode.ATYPICAL, 3.0, low=2.0)),
    ],
)
def test_what_is_not_judged_has_no_finding(changes, reason):
    assert decided(**changes) == Decision(Outcome.REFER, None, (reason,))


@pytest.mark.parametrize("changes", [{"has_marks": True}, {"pixels": PAIR}, {"pixels": CT}, {"side": 71}])
def test_a_slice_of_a_volume_is_not_held_against_what_happens_to_pictures(changes):
    assert decided(in_space=True, **changes) == Decision(Outcome.TUMOR, "glioma")


def test_a_model_of_ct_judges_pictures_of_ct():
    assert decided(pixels=CT, modality="CT") == Decision(Outcome.TUMOR, "glioma")
