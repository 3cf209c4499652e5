"""How good a model is, and how sure one may be of that."""

from braintumor.evaluation.bootstrap import GroupBootstrap, exact_at_ends, interval, mean_by_groups
from braintumor.evaluation.faithfulness import faithfulness_figures
from braintumor.evaluation.metrics import by_dataset_and_class, check, figures
from braintumor.evaluation.out_of_distribution import foreign_figures
from braintumor.evaluation.reliability import expected_calibration_error, reliability
from braintumor.evaluation.robustness import Flips, Pair, Share
from braintumor.evaluation.segmentation import map_calibration, pixel_bins, score_masks, segmentation_figures
from braintumor.evaluation.selective import rates_at, risk_coverage

__all__ = [
    "Flips",
    "GroupBootstrap",
    "Pair",
    "Share",
    "by_dataset_and_class",
    "check",
    "exact_at_ends",
    "expected_calibration_error",
    "faithfulness_figures",
    "figures",
    "foreign_figures",
    "interval",
    "map_calibration",
    "mean_by_groups",
    "pixel_bins",
    "rates_at",
    "reliability",
    "risk_coverage",
    "score_masks",
    "segmentation_figures",
]
