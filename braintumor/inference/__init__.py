"""Scans to Predictions: the only door from the app to a network."""

from braintumor.inference.graph import Graph, GraphOutput
from braintumor.inference.prediction import ORIENTATION_ASSUMED, SIZE_UNKNOWN, Prediction, SliceAnswer
from braintumor.inference.predictor import FEWEST_SLICES, Predictor, stack_evidence

__all__ = [
    "FEWEST_SLICES",
    "ORIENTATION_ASSUMED",
    "SIZE_UNKNOWN",
    "Graph",
    "GraphOutput",
    "Prediction",
    "Predictor",
    "SliceAnswer",
    "stack_evidence",
]
