"""Logistic regression on resized pixels: the floor that every network must beat."""

from pathlib import Path

import keras
from keras import layers

from braintumor.errors import InputError
from braintumor.networks.heads import answer, refuse_weights, scaled_input
from braintumor.taxonomy import FOUR_CLASS

CELLS = 32
"""Pixels a side that a picture is shrunk to."""


def build(size: int, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build it as a network: (n, size, size, 1) gray from 0 to 255 to {"logits": (n, 4)}.

    Means over squares leave 32 × 32 pixels, "pixels", for one dense layer, whose weights scikit-learn finds (see
    ``training.logistic``). Raises ``InputError`` for ``weights`` and for a ``size`` that is not a multiple of 32.
    """
    refuse_weights("logistic", weights)
    if size % CELLS:
        raise InputError(f"The size is {size}; of logistic it must be a multiple of {CELLS}.")
    image, x = scaled_input(size)
    x = layers.AveragePooling2D(size // CELLS, name="shrunk")(x)
    return answer(layers.Flatten(name="pixels")(x), task, image, "logistic")
