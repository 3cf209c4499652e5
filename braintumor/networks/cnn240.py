"""One wide convolution for pictures of 240 × 240, as in many public notebooks on the Navoneel and Br35H sets."""

from pathlib import Path

import keras
from keras import layers

from braintumor.networks.heads import answer, refuse_weights, scaled_input
from braintumor.taxonomy import FOUR_CLASS


def build(size: int, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the network: (n, size, size, 1) gray from 0 to 255 to {"logits": (n, 4)}.

    Zero padding of 2, 32 convolutions of 7 × 7, batch normalization, ReLU, maxima over 4 × 4 twice, flattened into one
    dense layer. Gray comes in once, not three times: a convolution that learns sums equal channels anyway. Raises
    ``InputError`` for ``weights``.
    """
    refuse_weights("cnn240", weights)
    image, x = scaled_input(size)
    x = layers.ZeroPadding2D(2, name="padding")(x)
    x = layers.BatchNormalization(name="conv_norm")(layers.Conv2D(32, 7, name="conv")(x))
    x = layers.Activation("relu", name="features")(x)
    x = layers.MaxPooling2D(4, name="pool1")(x)
    x = layers.MaxPooling2D(4, name="pool2")(x)
    return answer(layers.Flatten(name="flat")(x), task, image, "cnn240")
