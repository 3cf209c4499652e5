"""Figures computed a second way, to hold those of the product against."""

import numpy as np

from braintumor.evaluation.reliability import BINS, reliability


def calibration_error(confidence, correct, bins=BINS):
    """The expected calibration error (Naeini et al., AAAI 2015) of a table of reliability."""
    table = reliability(confidence, correct, bins)
    return np.average((table["confidence"] - table["accuracy"]).abs().fillna(0), weights=table["count"])
