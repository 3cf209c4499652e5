"""A stack of convolutions and poolings under a dense layer of 512, the common first network of tutorials."""

from pathlib import Path

import keras
from keras import layers

from braintumor.networks.heads import answer, refuse_weights, scaled_input
from braintumor.taxonomy import FOUR_CLASS

_CHANNELS = (32, 64, 128, 128)


def build(size: int, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the network: (n, size, size, 1) gray from 0 to 255 to {"logits": (n, 4)}.

    Four times 3 × 3 convolutions without padding and a maximum over 2 × 2, then flattened, dense 512 with ReLU,
    dropout and the classifier. Raises ``InputError`` for ``weights``.
    """
    refuse_weights("cnn512", weights)
    image, x = scaled_input(size)
    for number, channels in enumerate(_CHANNELS, start=1):
        name = f"conv{number}" if number < len(_CHANNELS) else "features"
        x = layers.Conv2D(channels, 3, activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Dense(512, activation="relu", name="dense")(layers.Flatten(name="flat")(x))
    return answer(layers.Dropout(0.5, name="dropout")(x), task, image, "cnn512")
