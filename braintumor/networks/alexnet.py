"""AlexNet (Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, NeurIPS 2012)."""

from pathlib import Path
from typing import Any

import keras
from keras import layers

from braintumor.networks.heads import answer, refuse_weights, scaled_input
from braintumor.taxonomy import FOUR_CLASS


def build(size: int, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the network: (n, size, size, 1) gray from 0 to 255 to {"logits": (n, 4)}.

    Layers as published in section 3.5 on one device; batch normalization stands in the place of local response
    normalization. ``size`` is 67 or more. Raises ``InputError`` for ``weights``.
    """
    refuse_weights("alexnet", weights)
    image, x = scaled_input(size)
    x = _normalized(layers.Conv2D(96, 11, strides=4, activation="relu", name="conv1")(x), "conv1")
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    x = _normalized(layers.Conv2D(256, 5, padding="same", activation="relu", name="conv2")(x), "conv2")
    x = layers.MaxPooling2D(3, strides=2, name="pool2")(x)
    x = layers.Conv2D(384, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Conv2D(384, 3, padding="same", activation="relu", name="conv4")(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu", name="features")(x)
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(3, strides=2, name="pool5")(x))
    for number in (6, 7):
        x = layers.Dense(4096, activation="relu", name=f"dense{number}")(x)
        x = layers.Dropout(0.5, name=f"dropout{number}")(x)
    return answer(x, task, image, "alexnet")


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(name=f"{name}_norm")(x)
