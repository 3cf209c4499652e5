"""Scans to Predictions: the only door from the app to a network."""

from braintumor.inference.graph import Graph, GraphOutput
from braintumor.inference.prediction import ORIENTATION_ASSUMED, SIZE_UNKNOWN, SLICES_UNEVEN, Prediction, SliceAnswer
from braintumor.inference.predictor import FEWEST_SLICES, Predictor, stack_evidence
from braintumor.inference.predictors import Predictors

__all__ = [
    "FEWEST_SLICES",
    "ORIENTATION_ASSUMED",
    "SIZE_UNKNOWN",
    "SLICES_UNEVEN",
    "Graph",
    "GraphOutput",
    "Prediction",
    "Predictor",
    "Predictors",
    "SliceAnswer",
    "stack_evidence",
]
