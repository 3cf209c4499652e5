"""How a network is fitted: losses, augmentation, sampling, and the run with its checkpoints."""

from braintumor.training.augmentation import Augmentation
from braintumor.training.counterfactuals import Counterfactuals
from braintumor.training.fit_options import FitOptions
from braintumor.training.losses import MarginalCrossEntropy, OutlineLoss
from braintumor.training.sampling import PictureBatches, Sampling

__all__ = [
    "Augmentation",
    "Counterfactuals",
    "FitOptions",
    "MarginalCrossEntropy",
    "OutlineLoss",
    "PictureBatches",
    "Sampling",
]
