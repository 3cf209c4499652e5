"""The average of the probabilities of VGG16 and ResNet-50."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras

from braintumor.errors import InputError
from braintumor.networks import resnet50, vgg16
from braintumor.networks.heads import MeanProbability
from braintumor.taxonomy import FOUR_CLASS

MEMBERS = ("vgg16", "resnet50")
"""Networks that are averaged; each is trained by itself."""


def build(size: int, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build both networks anew and join them; both start from ``weights``, which is "imagenet" or None.

    Raises ``InputError`` for a file, which can only be of one of them, and like their own ``build``.
    """
    if isinstance(weights, Path):
        raise InputError(
            f"{weights.name} can be of one network of the ensemble only; give --weights imagenet, or omit it."
        )
    return joined([vgg16.build(size, weights, task), resnet50.build(size, weights, task)])


def joined(models: Sequence[keras.Model]) -> keras.Model:
    """Join trained networks into one, flat, whose logits are the log of their mean probabilities.

    ``models`` share the size of their input; their layers carry their network's name before their own. Raises
    ``InputError`` for sizes that differ.
    """
    sizes = {int(model.input.shape[1]) for model in models}
    if len(sizes) != 1:
        raise InputError(f"The networks of an ensemble have inputs of {sorted(sizes)} pixels; train them on one size.")
    size = sizes.pop()
    image = keras.Input((size, size, 1), name="image")
    answers = []
    for model in models:
        copy = keras.models.clone_model(model, input_tensors=image, clone_function=partial(_renamed, prefix=model.name))
        copy.set_weights(model.get_weights())
        answers.append(copy.output["logits"])
    logits = MeanProbability(name="logits", dtype="float32")(answers)
    return keras.Model(image, {"logits": logits}, name="ensemble")


def _renamed(layer: keras.Layer, prefix: str) -> keras.Layer:
    return layer.__class__.from_config({**layer.get_config(), "name": f"{prefix}_{layer.name}"})
