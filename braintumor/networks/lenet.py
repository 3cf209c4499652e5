"""LeNet-5 (LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 1998)."""

from pathlib import Path

import keras
from keras import layers

from braintumor.networks.heads import answer, refuse_weights, scaled_input
from braintumor.taxonomy import FOUR_CLASS


def build(size: int, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the network: (n, size, size, 1) gray from 0 to 255 to {"logits": (n, 4)}.

    Layers as published in section II.B, hyperbolic tangents and averages over 2 × 2 included; C5, which saw all of a
    picture of 32 × 32, is dense, so that larger ones fit. C3 sees all maps of S2, and the classifier is linear in the
    place of radial units. Raises ``InputError`` for ``weights``.
    """
    refuse_weights("lenet", weights)
    image, x = scaled_input(size)
    x = layers.Conv2D(6, 5, activation="tanh", name="c1")(x)
    x = layers.AveragePooling2D(2, name="s2")(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="features")(x)
    x = layers.AveragePooling2D(2, name="s4")(x)
    x = layers.Dense(120, activation="tanh", name="c5")(layers.Flatten(name="flat")(x))
    return answer(layers.Dense(84, activation="tanh", name="f6")(x), task, image, "lenet")
