"""``python -m braintumor train``: from a folder of pictures to a bundle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from braintumor.bundles import HISTORY_FILE, sha256_of
from braintumor.errors import InputError
from braintumor.networks import Network, registered
from braintumor.training.augmentation import Augmentation
from braintumor.training.bundling import write_bundle
from braintumor.training.counterfactuals import Counterfactuals
from braintumor.training.experiment import index_digest, labelled_index, prepare_pictures, split_index
from braintumor.training.fitting import FitOptions, fit
from braintumor.training.sampling import Sampling

KERAS_SUFFIX = ".keras"
_SCANNERS = Augmentation(bias_field=0.5, gamma=0.8, coarseness=1.0, jpeg=0.25)
RECIPES: dict[str, Sampling] = {
    "plain": Sampling(by_source=False, outlined_copies=False),
    "untied": Sampling(
        _SCANNERS,
        Counterfactuals(mirror_half=0.35, mirror_patch=0.15, erase=0.35, patch=0.05, patchwork=0.3, graft=0.1),
    ),
    "regrafted": Sampling(
        _SCANNERS,
        Counterfactuals(
            mirror_half=0.25, mirror_patch=0.1, erase=0.3, patch=0.03, patchwork=0.3, graft=0.05, regraft=0.5
        ),
        by_source=False,
    ),
}
"""Ways to draw and change training pictures, by name; docs/ideas.md says what each part of them moves."""


@dataclass(frozen=True)
class RunOptions:
    """What a training run was asked for; see ``python -m braintumor train --help``."""

    data: Path
    network: str
    weights: Path | None
    name: str
    version: str
    size: int | None
    epochs: int
    folds: int
    fold: int
    seed: int
    learning_rate: float
    recipe: str
    bfloat16: bool
    runs: Path
    models: Path

    @property
    def command(self) -> str:
        """The call that does this again, without paths of the machine it ran on."""
        given = [f"--network {self.network}"]
        given += [f"--weights {self.weights.name}"] if self.weights else []
        given += [f"--size {self.size}"] if self.size else []
        given += [
            f"--{key} {getattr(self, key)}" for key in ("name", "version", "recipe", "epochs", "folds", "fold", "seed")
        ]
        given += [f"--learning-rate {self.learning_rate:g}"]
        given += ["--bfloat16"] if self.bfloat16 else []
        return " ".join(["python -m braintumor train --data DIR", *given])


def run(options: RunOptions) -> dict[str, Any]:
    """Train, or go on with a stopped run, and write the bundle ``models/NAME``; gives its card.

    Raises ``InputError`` for an unknown network, ``DatasetError`` for data that cannot be used, and ``TrainingError``
    when the name was used for another run.
    """
    network = registered(options.network)
    fitting = FitOptions(
        epochs=options.epochs, seed=options.seed, learning_rate=options.learning_rate, sampling=_recipe(options.recipe)
    )
    size = options.size or network.size
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if options.bfloat16 else "float32")
    model = _started(network, size, options.weights)
    keras.config.set_dtype_policy("float32")
    index = split_index(labelled_index(options.data), folds=options.folds, fold=options.fold, seed=options.seed)
    folder = options.runs / options.name
    data = prepare_pictures(options.data, index, size, folder)
    initial = sha256_of(options.weights) if options.weights else None
    best = fit(
        model,
        data.part("train"),
        data.distinct("validation"),
        folder,
        fitting,
        f"{network.name} {size} {index_digest(index)} {initial}",
    )
    groups = index.groupby("split")["group"].nunique()
    facts = {
        "name": options.name,
        "version": options.version,
        "network": network.name,
        "network_source": network.source,
        "initial_weights": options.weights.name if options.weights else None,
        "initial_weights_sha256": initial,
        "command": options.command,
        "split": {
            "seed": options.seed,
            "folds": options.folds,
            "fold": options.fold,
            "groups": {str(name): int(count) for name, count in groups.items()},
            "index_sha256": index_digest(index),
        },
        "heatmap": {"first": network.first, "step": network.step},
    }
    return write_bundle(best, data, folder / HISTORY_FILE, options.models / options.name, facts)


def _recipe(name: str) -> Sampling:
    if name not in RECIPES:
        raise InputError(f"The recipe is {name!r}; it must be one of {', '.join(RECIPES)}.")
    return RECIPES[name]


def _started(network: Network, size: int, weights: Path | None) -> keras.Model:
    """Build a network that starts from a file of ImageNet weights or from a trained ``.keras`` file of its own kind."""
    if weights is None or weights.suffix != KERAS_SUFFIX:
        return network.build(size, weights)
    model = network.build(size, None)
    try:
        model.set_weights(keras.saving.load_model(weights, compile=False).get_weights())
    except (OSError, ValueError) as error:
        raise InputError(f"{weights} holds no {network.name} that training can start from ({error}).") from error
    return model
