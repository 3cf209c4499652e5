"""``python -m braintumor train``: from a folder of pictures to a bundle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from braintumor.bundles import HISTORY_FILE, sha256_of
from braintumor.networks import registered
from braintumor.training.bundling import write_bundle
from braintumor.training.experiment import index_digest, labelled_index, prepare_pictures, split_index
from braintumor.training.fitting import FitOptions, fit


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
    runs: Path
    models: Path

    @property
    def command(self) -> str:
        """The call that does this again, without paths of the machine it ran on."""
        given = [f"--network {self.network}"]
        given += [f"--weights {self.weights.name}"] if self.weights else []
        given += [f"--size {self.size}"] if self.size else []
        given += [f"--{key} {getattr(self, key)}" for key in ("name", "version", "epochs", "folds", "fold", "seed")]
        return " ".join(["python -m braintumor train --data DIR", *given])


def run(options: RunOptions) -> dict[str, Any]:
    """Train, or go on with a stopped run, and write the bundle ``models/NAME``; gives its card.

    Raises ``InputError`` for an unknown network, ``DatasetError`` for data that cannot be used, and ``TrainingError``
    when the name was used for another run.
    """
    network = registered(options.network)
    size = options.size or network.size
    keras.utils.set_random_seed(options.seed)
    model = network.build(size, options.weights)
    index = split_index(labelled_index(options.data), folds=options.folds, fold=options.fold, seed=options.seed)
    folder = options.runs / options.name
    data = prepare_pictures(options.data, index, size, folder)
    initial = sha256_of(options.weights) if options.weights else None
    best = fit(
        model,
        data.part("train"),
        data.distinct("validation"),
        folder,
        FitOptions(epochs=options.epochs, seed=options.seed),
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
