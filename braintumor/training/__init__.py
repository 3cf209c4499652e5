"""How a network is fitted: loss, augmentation, sampling, and the run with its checkpoints."""

from braintumor.training.augmentation import Augmentation
from braintumor.training.fitting import FitOptions, fit
from braintumor.training.losses import MarginalCrossEntropy
from braintumor.training.sampling import PictureBatches

__all__ = ["Augmentation", "FitOptions", "MarginalCrossEntropy", "PictureBatches", "fit"]
