"""Sites of eight pictures each and a network of a few hundred weights, for tests that take seconds."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
from keras import layers

from braintumor.federated.options import FederatedOptions
from braintumor.federated.site_training import Site, Trainer
from braintumor.networks.heads import answer, scaled_input
from braintumor.networks.registry import NETWORKS
from braintumor.taxonomy import FOUR_CLASS, NO_TUMOR
from braintumor.training.experiment import ExperimentData

SIZE = 16
NAMES = ("north", "south", "west")


def build_tiny(size, weights=None, task=FOUR_CLASS):
    """Two convolutions with batch normalization and dropout, as larger networks have them."""
    image, x = scaled_input(size)
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv1")(x)
    x = layers.BatchNormalization(momentum=0.9, name="norm1")(x)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return answer(layers.Dropout(0.2, name="dropout")(x), task, image, "squeezenet")


def use_tiny(patch):
    """Let the name "squeezenet" stand for the tiny network."""
    patch.setitem(NETWORKS, "squeezenet", replace(NETWORKS["squeezenet"], build=build_tiny))


def made_options(**changes):
    usual = {"network": "squeezenet", "size": SIZE, "recipe": "unchanged", "epoch_images": 16, "batch_size": 8}
    return FederatedOptions(**{**usual, "rounds": 2, "sites": 3, "learning_rate": 0.02, **changes})


def made_data(seed=0, count=12, labels=("glioma", NO_TUMOR)):
    """Pictures of which those with a tumor are brighter; a third of them is to validate on."""
    random = np.random.default_rng(seed)
    given = [labels[number % len(labels)] for number in range(count)]
    shade = np.array([180 if label != NO_TUMOR else 60 for label in given])[:, None, None]
    pictures = np.clip(random.normal(shade, 30, (count, SIZE, SIZE)), 0, 255).astype(np.uint8)
    split = ["train"] * (count - count // 3) + ["validation"] * (count // 3)
    index = pd.DataFrame({"dataset": "a", "label": given, "outline": -1, "split": split, "sequence": ""})
    index["picture"] = index["path"] = [f"s{seed}p{number}" for number in range(count)]
    index["group"] = index["picture"]
    return ExperimentData(pictures, np.zeros((0, SIZE, SIZE), np.uint8), index.assign(hospital="a"))


def made_sites(options, names=NAMES, **changes):
    return {name: Site(made_data(number, **changes), options) for number, name in enumerate(names)}


_TRAINERS = []


def made_trainer(**changes):
    """A network as it starts; those that are compiled alike share one, which saves most of the time of a test."""
    options = made_options(**changes)
    for trainer in _TRAINERS:
        with suppress(ValueError):
            return trainer.start_again(options)
    _TRAINERS.append(Trainer(options))
    return _TRAINERS[-1]
