"""How good a model is, and how sure one may be of that."""

from braintumor.evaluation.bootstrap import GroupBootstrap, exact_at_ends, interval, mean_by_groups
from braintumor.evaluation.failures import failure_figures
from braintumor.evaluation.faithfulness import faithfulness_figures
from braintumor.evaluation.hospitals import HEIGHTS, LESIONS, hospital_figures, hospital_parts
from braintumor.evaluation.metrics import check, figures, from_web
from braintumor.evaluation.out_of_distribution import foreign_figures
from braintumor.evaluation.reliability import reliability
from braintumor.evaluation.report import DecidesBy, measured_metrics, split_figures
from braintumor.evaluation.robustness import Flips, Pair, Share
from braintumor.evaluation.segmentation import (
    AreaAgreement,
    ChangeError,
    area_agreement,
    area_agreement_of,
    change_error,
    map_calibration,
    pixel_bins,
    score_masks,
    segmentation_figures,
)
from braintumor.evaluation.selective import rates_at, risk_coverage

__all__ = [
    "HEIGHTS",
    "LESIONS",
    "AreaAgreement",
    "ChangeError",
    "DecidesBy",
    "Flips",
    "GroupBootstrap",
    "Pair",
    "Share",
    "area_agreement",
    "area_agreement_of",
    "change_error",
    "check",
    "exact_at_ends",
    "failure_figures",
    "faithfulness_figures",
    "figures",
    "foreign_figures",
    "from_web",
    "hospital_figures",
    "hospital_parts",
    "interval",
    "map_calibration",
    "mean_by_groups",
    "measured_metrics",
    "pixel_bins",
    "rates_at",
    "reliability",
    "risk_coverage",
    "score_masks",
    "segmentation_figures",
    "split_figures",
]
