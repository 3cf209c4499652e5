"""``python -m braintumor train``: from a folder of pictures to a bundle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from braintumor.networks import NETWORKS, build
from braintumor.training.bundling import index_digest, write_bundle
from braintumor.training.experiment import load_data
from braintumor.training.fitting import HISTORY_FILE, FitOptions, fit


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

    Raises ``ValueError`` for an unknown network and ``DatasetError`` for data that cannot be used.
    """
    network = NETWORKS.get(options.network)
    size = options.size or (network.size if network else 0)
    keras.utils.set_random_seed(options.seed)
    model = build(options.network, size=size, weights=options.weights)
    folder = options.runs / options.name
    data = load_data(options.data, size, folder, folds=options.folds, fold=options.fold, seed=options.seed)
    fit_options = FitOptions(epochs=options.epochs, seed=options.seed)
    best = fit(model, data.part("train"), data.distinct("validation"), folder, fit_options)
    groups = data.index.groupby("split")["group"].nunique()
    facts = {
        "name": options.name,
        "version": options.version,
        "network": options.network,
        "network_source": NETWORKS[options.network].source,
        "initial_weights": options.weights.name if options.weights else None,
        "command": options.command,
        "split": {
            "seed": options.seed,
            "folds": options.folds,
            "fold": options.fold,
            "groups": {str(name): int(count) for name, count in groups.items()},
            "index_sha256": index_digest(data.index),
        },
    }
    return write_bundle(best, data, folder / HISTORY_FILE, options.models / options.name, facts)
