"""How good a model is, how sure it may be, and when it should not answer."""

from braintumor.evaluation.bootstrap import GroupBootstrap, interval
from braintumor.evaluation.calibration import (
    Calibration,
    apply_temperature,
    expected_calibration_error,
    fit_calibration,
    fit_temperature,
    reliability,
)
from braintumor.evaluation.metrics import by_dataset_and_class, check, figures
from braintumor.evaluation.operating_point import (
    ReferralRule,
    choose_threshold,
    fit_referral,
    rates_at,
    risk_coverage,
    wrong_answers,
)
from braintumor.evaluation.segmentation import map_calibration, pixel_bins, score_masks, segmentation_figures
from braintumor.evaluation.typicality import Typicality

__all__ = [
    "Calibration",
    "GroupBootstrap",
    "ReferralRule",
    "Typicality",
    "apply_temperature",
    "by_dataset_and_class",
    "check",
    "choose_threshold",
    "expected_calibration_error",
    "figures",
    "fit_calibration",
    "fit_referral",
    "fit_temperature",
    "interval",
    "map_calibration",
    "pixel_bins",
    "rates_at",
    "reliability",
    "risk_coverage",
    "score_masks",
    "segmentation_figures",
    "wrong_answers",
]
