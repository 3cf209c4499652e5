"""A network small enough to see through, with the layers and outputs of a registered one, for tests."""

import keras
import numpy as np
import pandas as pd
from keras import layers

from braintumor.inference import Graph
from braintumor.networks.answering import JointLogits, RegionPooling, TopMean
from braintumor.taxonomy import NO_TUMOR
from braintumor.training.experiment import ExperimentData
from braintumor.training.export import export_graph
from tests.training.heads import disc, head

SPLIT = {"seed": 0, "folds": 5, "fold": 0, "groups": {}, "index_sha256": ""}
"""What a card says of how its data was split."""

MIDDLE, STEP = 128, 16
"""Gray value of even odds on the map, and how many gray values make the logit one higher."""

ROWS = [
    *[("train", "a", "glioma", True, {"tumor": 0.9})] * 6,
    *[("train", "a", NO_TUMOR, False, {})] * 6,
    *[("validation", "a", "glioma", True, {"tumor": 0.9, "halo": 0.3})] * 6,
    *[("validation", "b", NO_TUMOR, False, {})] * 6,
    *[("test", "a", "glioma", True, {"tumor": 0.95})] * 3,
    # One cannot be parted from its other half, one the network misses, and one nobody outlined.
    ("test", "a", "meningioma", True, {"tumor": 0.9, "column": 0.5}),
    ("test", "b", "tumor", True, {"tumor": 0.02, "column": 0.7}),
    ("test", "b", "tumor", False, {"tumor": 0.9}),
    *[("test", "b", NO_TUMOR, False, {})] * 4,
]
"""A small set for ``glass_data`` with all that is told apart when a network is measured."""


def build_glass(name="squeeze_unet", size=48, seed=0):
    """Build it: the map's logit is (gray - 128) / 16 of each 2 × 2 pixels; the rest has small random weights."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, 1), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.BatchNormalization(name="fire3_norm")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.AveragePooling2D(4)(layers.BatchNormalization(name="fire5_norm")(x))
    features = layers.Conv2D(10, 1, activation="relu", name="features", bias_initializer="ones")(x)
    if name == "squeezenet":
        logits = layers.Dense(4, name="classifier", dtype="float32")(layers.GlobalAveragePooling2D()(features))
        return keras.Model(image, {"logits": logits}, name=name)
    tumor_map = layers.Conv2D(1, 2, strides=2, name="map", dtype="float32")(image)
    kinds = layers.Dense(3, name="classifier", dtype="float32")(RegionPooling()([features, tumor_map]))
    score = TopMean(name="score", dtype="float32")(tumor_map)
    logits = JointLogits(name="logits", dtype="float32")([kinds, score])
    model = keras.Model(image, {"logits": logits, "map": tumor_map}, name=name)
    model.get_layer("map").set_weights([np.full((2, 2, 1, 1), 1 / (4 * STEP)), np.array([-MIDDLE / STEP])])
    return model


def gray_for(probability):
    """Gray value at which the map says a probability."""
    return MIDDLE + STEP * np.log(probability / (1 - probability))


def glass_slice(seed, tumor=None, halo=None, *, size=48, column=0.3, radius=0.1):
    """A symmetric head and its tumor's outline, in which the map says ``tumor`` inside it and ``halo`` around it."""
    picture = head(size, seed=seed) / 2
    row, column, radius = 0.45 * size, column * size, radius * size
    for probability, reach in ((halo, 1.5 * radius), (tumor, radius)):
        if probability is not None:
            picture = np.where(disc(size, row, column, reach), gray_for(probability), picture)
    outline = disc(size, row, column, radius) if tumor is not None else np.zeros((size, size), bool)
    return np.rint(picture).astype(np.uint8), np.where(outline, np.uint8(255), np.uint8(0))


def glass_data(rows):
    """Make data of slices from (split, dataset, label, outlined, options of ``glass_slice``), a picture each."""
    made = [glass_slice(number, **options) for number, (*_, options) in enumerate(rows)]
    outlined = np.array([row[3] for row in rows], bool)
    index = pd.DataFrame(
        {
            "path": [f"{number:03}.png" for number in range(len(rows))],
            "dataset": [row[1] for row in rows],
            "published_split": "",
            "label": [row[2] for row in rows],
            "picture": [f"p{number}" for number in range(len(rows))],
            "group": [f"g{number}" for number in range(len(rows))],
            "mask": np.where(outlined, "m.png", ""),
            "split": [row[0] for row in rows],
            "outline": np.where(outlined, np.cumsum(outlined) - 1, -1),
        }
    )
    outlines = [outline for (_, outline), drawn in zip(made, outlined, strict=True) if drawn]
    stacked = np.stack(outlines) if outlines else np.zeros((0, 48, 48), np.uint8)
    return ExperimentData(np.stack([picture for picture, _ in made]), stacked, index)


def glass_graph(folder, name="squeeze_unet"):
    """Export the network and open it as the app does."""
    export_graph(build_glass(name), folder / f"{name}.tflite")
    return Graph(folder / f"{name}.tflite")


def first_statistics(model, batches):
    """Mean and variance of what the first normalization of a network is given, each the mean over batches."""
    given = keras.Model(model.input, model.get_layer("fire3_norm").input)
    answers = [np.asarray(given(batch)) for batch in batches]
    return [np.mean([getattr(answer, name)(axis=(0, 1, 2)) for answer in answers], axis=0) for name in ("mean", "var")]
