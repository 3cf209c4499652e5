"""Charts as plotly figures: pure functions of tables, one look for every page."""

from braintumor.dashboard.charts.answer import probability_bars
from braintumor.dashboard.charts.calibration import map_reliability_diagram, reliability_diagram, risk_coverage_curve
from braintumor.dashboard.charts.classification import (
    confusion_matrix,
    operating_curve,
    precision_recall_curves,
    roc_curves,
)
from braintumor.dashboard.charts.comparison import copies_matrix, headline_intervals, network_intervals, size_bars
from braintumor.dashboard.charts.explanation import distance_boxes, erasing_curves
from braintumor.dashboard.charts.federated import round_curves
from braintumor.dashboard.charts.segmentation import distance_curves, overlap_boxes, overlap_by_size
from braintumor.dashboard.charts.style import (
    CARD_PIXELS,
    CLASS_COLORS,
    CLASS_DASHES,
    CLASS_SYMBOLS,
    CURVE_TITLES,
    alt_text,
)
from braintumor.dashboard.charts.training import learning_curves

__all__ = [
    "CARD_PIXELS",
    "CLASS_COLORS",
    "CLASS_DASHES",
    "CLASS_SYMBOLS",
    "CURVE_TITLES",
    "alt_text",
    "confusion_matrix",
    "copies_matrix",
    "distance_boxes",
    "distance_curves",
    "erasing_curves",
    "headline_intervals",
    "learning_curves",
    "map_reliability_diagram",
    "network_intervals",
    "operating_curve",
    "overlap_boxes",
    "overlap_by_size",
    "precision_recall_curves",
    "probability_bars",
    "reliability_diagram",
    "risk_coverage_curve",
    "roc_curves",
    "round_curves",
    "size_bars",
]
