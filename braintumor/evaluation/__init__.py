"""How good a model is, how sure it may be, and when it should not answer."""

from braintumor.evaluation.bootstrap import GroupBootstrap, exact_at_ends, interval, mean_by_groups
from braintumor.evaluation.calibration import (
    Calibration,
    apply_temperature,
    expected_calibration_error,
    fit_calibration,
    fit_map_temperature,
    fit_temperature,
    reliability,
)
from braintumor.evaluation.faithfulness import faithfulness_figures
from braintumor.evaluation.marks import MarkDetector
from braintumor.evaluation.metrics import by_dataset_and_class, check, figures
from braintumor.evaluation.operating_point import (
    LEAST_NPV,
    LEAST_PPV,
    MOST_REFERRED,
    ReferralRule,
    choose_threshold,
    fit_referral,
    predictive_limits,
    rates_at,
    risk_coverage,
    wrong_answers,
)
from braintumor.evaluation.robustness import Flips, Pair, Share
from braintumor.evaluation.segmentation import map_calibration, pixel_bins, score_masks, segmentation_figures
from braintumor.evaluation.typicality import Typicality, foreign_figures
from braintumor.evaluation.volume_rule import VolumeRule, left_out_p_tumor

__all__ = [
    "LEAST_NPV",
    "LEAST_PPV",
    "MOST_REFERRED",
    "Calibration",
    "Flips",
    "GroupBootstrap",
    "MarkDetector",
    "Pair",
    "ReferralRule",
    "Share",
    "Typicality",
    "VolumeRule",
    "apply_temperature",
    "by_dataset_and_class",
    "check",
    "choose_threshold",
    "exact_at_ends",
    "expected_calibration_error",
    "faithfulness_figures",
    "figures",
    "fit_calibration",
    "fit_map_temperature",
    "fit_referral",
    "fit_temperature",
    "foreign_figures",
    "interval",
    "left_out_p_tumor",
    "map_calibration",
    "mean_by_groups",
    "pixel_bins",
    "predictive_limits",
    "rates_at",
    "reliability",
    "risk_coverage",
    "score_masks",
    "segmentation_figures",
    "wrong_answers",
]
