"""What a site does with the common weights in a round: train them on its own pictures, and measure them."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from braintumor.federated.messages import Arrays
from braintumor.federated.options import AVERAGED, FEDPROX, FederatedOptions
from braintumor.networks import registered
from braintumor.taxonomy import LABELS
from braintumor.training.callbacks import Judge
from braintumor.training.experiment import ExperimentData
from braintumor.training.fit import compile_apart, fit_epoch


class Site:
    """The pictures of one site: those of the splits "train" and "validation" of ``data``."""

    def __init__(self, data: ExperimentData, options: FederatedOptions) -> None:
        self.train = data.part("train")
        self.validation = data.distinct("validation")
        self.judge = Judge(self.train, self.validation, options.fitting)

    @property
    def counts(self) -> dict[str, int]:
        """Distinct pictures of each label to train on, and how many there are to validate on."""
        labels = self.train.index.drop_duplicates(["picture", "dataset"])["label"].value_counts()
        return {**{label: int(labels.get(label, 0)) for label in LABELS}, "validation": len(self.validation.index)}


class Trainer:
    """One network of a run, compiled once; every round, and every site of a simulation, takes its turn with it.

    ``weights`` is what all sites start from, as for ``Network.start``. Raises ``InputError`` like it.
    """

    def __init__(self, options: FederatedOptions, weights: Path | str | None = None) -> None:
        keras.utils.set_random_seed(options.seed)
        network = registered(options.network)
        self.options = options
        self.model: keras.Model = network.start(options.size or network.size, weights, options.task)
        self._trained = {f"{n:03}/{one.path}": one for n, one in enumerate(self.model.trainable_variables)}
        norms = [one for one in self.model.layers if isinstance(one, keras.layers.BatchNormalization) and one.trainable]
        self._statistics = {
            f"{n:03}/{one.path}": one
            for n, layer in enumerate(norms)
            for one in (layer.moving_mean, layer.moving_variance)
        }
        self._seeds = [one for one in self.model.variables if one.path.endswith("seed_generator_state")]
        self._pull = options.proximal if options.strategy == FEDPROX else 0.0
        self._anchors = [keras.Variable(one, trainable=False) for one in self._trained.values()] if self._pull else []
        for variable, anchor in zip(self._trained.values(), self._anchors, strict=False):
            variable.regularizer = _Proximal(anchor, self._pull)
        self._first_step = compile_apart(self.model, options.fitting)
        self._first = _values({**self._trained, **self._statistics})

    def start_again(self, options: FederatedOptions) -> "Trainer":
        """Go back to the weights that it started from, for another run that trains alike; gives itself.

        Compiling takes longer than a small run. Raises ``ValueError`` for options that it was not compiled for.
        """
        pull = options.proximal if options.strategy == FEDPROX else 0.0
        if (options.fitting, pull) != (self.options.fitting, self._pull):
            raise ValueError("these options train in another way")
        self.options = options
        self.load(self._first, self._first)
        return self

    @property
    def sent(self) -> dict[str, Any]:
        """The variables that travel in a round, by name."""
        return {**self._trained, **self._statistics} if self.options.norms == AVERAGED else self._trained

    @property
    def arrays(self) -> Arrays:
        """Values of what travels in a round."""
        return _values(self.sent)

    @property
    def statistics(self) -> Arrays:
        """Means and variances of batch normalization as they are now."""
        return _values(self._statistics)

    def load(self, arrays: Arrays, statistics: Arrays | None = None) -> None:
        """Put common weights into the network; raises ``KeyError`` where a name is missing."""
        given = {**arrays, **(statistics or {})}
        for name, variable in {**self.sent, **(self._statistics if statistics else {})}.items():
            variable.assign(given[name])

    def train(self, site: Site, arrays: Arrays, turn: int) -> tuple[Arrays, dict[str, float]]:
        """Train common weights for one round, counted from 0, on a site's pictures; gives arrays and figures."""
        self.load(arrays)
        for anchor, variable in zip(self._anchors, self._trained.values(), strict=False):
            anchor.assign(variable)
        for seed in self._seeds:
            # What dropout draws follows from the round, so that a resumed run goes on as if it had not stopped.
            seed.assign(np.array([self.options.seed, turn], np.uint32))
        figures = fit_epoch(self.model, site.train, self.options.fitting, turn, self._first_step)
        if self.options.norms == AVERAGED:
            site.judge.measure(self.model)
        return self.arrays, figures

    def measure(self, site: Site, arrays: Arrays) -> dict[str, float]:
        """Measure common weights on a site's validation pictures, with statistics that fit its own pictures."""
        self.load(arrays)
        return site.judge.measure(self.model)

    def logits(self, data: ExperimentData) -> NDArray[np.float32]:
        """Answer pictures with the network as it is: (n, classes)."""
        found = self.model.predict(data.pictures[..., np.newaxis].astype(np.float32), batch_size=64, verbose=0)
        return np.asarray(found["logits"])


class _Proximal:
    """FedProx's pull (Li et al. 2020, arXiv:1812.06127, equation 2) to where the round began."""

    def __init__(self, anchor: Any, pull: float) -> None:
        self._anchor, self._pull = anchor, pull

    def __call__(self, variable: Any) -> Any:
        return self._pull / 2 * keras.ops.sum(keras.ops.square(variable - self._anchor))


def _values(variables: dict[str, Any]) -> Arrays:
    return {name: np.asarray(keras.ops.convert_to_numpy(one), np.float32) for name, one in variables.items()}
