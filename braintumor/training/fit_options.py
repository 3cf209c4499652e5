"""How long and how hard to train, and the batches that follow from it."""

from dataclasses import dataclass, field

import keras

from braintumor.training.experiment import ExperimentData
from braintumor.training.losses import KINDS_ONLY, MARGINAL
from braintumor.training.sampling import PictureBatches, Sampling


@dataclass(frozen=True)
class FitOptions:
    """How long and how hard to train.

    ``patience`` is the number of epochs without a better validation loss after which the run ends.
    ``averaging`` is the share of all steps over which the weights' moving average reaches back (Polyak & Juditsky
    1992); that average is kept, or the weights as they are where it is 0.
    ``outline_weight`` is that of the map's loss beside the logits', for networks that have a map. ``loss`` is one of
    ``losses.LOSSES``; ``smoothing`` is for "marginal".
    """

    epochs: int = 40
    batch_size: int = 32
    epoch_images: int = 3200
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    smoothing: float = 0.03
    averaging: float = 0.1
    patience: int = 20
    seed: int = 0
    outline_weight: float = 2.0
    sampling: Sampling = field(default_factory=Sampling)
    loss: str = MARGINAL

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return max(1, self.epoch_images // self.batch_size)


def patience(epochs: int) -> int:
    """Give the patience of a run of so many epochs: half of them, since a late state can still help the mean kept.

    It is 20 at least.
    """
    return max(FitOptions.patience, epochs // 2)


def batches_of(train: ExperimentData, options: FitOptions, epoch: int, map_side: int | None) -> PictureBatches:
    """Draw batches from an epoch on, from 0; ``map_side`` is that of the network's map in cells, if it has one."""
    return PictureBatches(
        train,
        options.sampling,
        batch_size=options.batch_size,
        epoch_images=options.epoch_images,
        seed=options.seed,
        map_side=map_side,
        kinds_only=options.loss in KINDS_ONLY,
        epoch=epoch,
        workers=1,
        max_queue_size=8,
    )


def map_side(model: keras.Model) -> int | None:
    """Give the side of a network's tumor map in cells; None for a network without one."""
    return int(model.output["map"].shape[1]) if "map" in model.output else None
