"""From logits and features to what is answered: calibration, out-of-distribution, operating point and referral."""

from braintumor.decision.calibration import (
    Calibration,
    apply_temperature,
    fit_calibration,
    fit_map_temperature,
    fit_temperature,
    tumor_score,
)
from braintumor.decision.copies import CopyDetector, small_square
from braintumor.decision.decision import Decision, Outcome, Picture, Reason, ReasonCode, decide
from braintumor.decision.marks import MarkDetector
from braintumor.decision.operating_point import (
    LEAST_NPV,
    LEAST_PPV,
    MOST_REFERRED,
    choose_threshold,
    fit_referral,
    predictive_limits,
    wrong_answers,
)
from braintumor.decision.out_of_distribution import Typicality
from braintumor.decision.referral import ReferralRule
from braintumor.decision.study import PRIORITY, Agreement, SeriesAnswer, StudyAnswer, answer_study
from braintumor.decision.volume_rule import VolumeRule, left_out_p_tumor

__all__ = [
    "LEAST_NPV",
    "LEAST_PPV",
    "MOST_REFERRED",
    "PRIORITY",
    "Agreement",
    "Calibration",
    "CopyDetector",
    "Decision",
    "MarkDetector",
    "Outcome",
    "Picture",
    "Reason",
    "ReasonCode",
    "ReferralRule",
    "SeriesAnswer",
    "StudyAnswer",
    "Typicality",
    "VolumeRule",
    "answer_study",
    "apply_temperature",
    "choose_threshold",
    "decide",
    "fit_calibration",
    "fit_map_temperature",
    "fit_referral",
    "fit_temperature",
    "left_out_p_tumor",
    "predictive_limits",
    "small_square",
    "tumor_score",
    "wrong_answers",
]
