"""How plain classifiers answer: four classes, or tumor or not in the place of three alike kinds."""

import math
from typing import Any

import keras
from keras import layers, ops

from braintumor.errors import InputError
from braintumor.taxonomy import BINARY, CLASSES, FOUR_CLASS, TASKS, TUMOR_CLASSES


@keras.saving.register_keras_serializable("braintumor")
class TumorLogits(layers.Layer):
    """Turn a tumor's logit (n, 1) into logits (n, 4) whose softmax is P(tumor) / 3 for each kind and P(notumor)."""

    def call(self, inputs: Any) -> Any:
        kinds = ops.repeat(inputs - math.log(len(TUMOR_CLASSES)), len(TUMOR_CLASSES), axis=-1)
        return ops.concatenate([kinds, ops.zeros_like(inputs)], axis=-1)


@keras.saving.register_keras_serializable("braintumor")
class MeanProbability(layers.Layer):
    """Average the probabilities of logits, several (n, 4): logits (n, 4) whose softmax is the mean of their softmax."""

    def call(self, inputs: Any) -> Any:
        logs = ops.stack([ops.log_softmax(logits, axis=-1) for logits in inputs], axis=0)
        return ops.logsumexp(logs, axis=0) - math.log(len(inputs))


def tells_kinds(model: keras.Model) -> bool:
    """Tell whether a network knows the kinds of tumor apart, and not only tumor or not."""
    return not any(isinstance(layer, TumorLogits) for layer in model.layers)


def check_task(task: str) -> None:
    """Raise ``InputError`` for a task that is none of ``TASKS``."""
    if task not in TASKS:
        raise InputError(f"The task is {task!r}; it must be one of {', '.join(TASKS)}.")


def answer(vector: Any, task: str, image: Any, name: str) -> keras.Model:
    """End a network with its classifier: features (n, d) of ``image`` to {"logits": (n, 4)}.

    The dense layer "classifier" has a unit a class, or for the task "binary" one for tumor. Raises ``InputError`` for
    a task that is none of ``TASKS``.
    """
    check_task(task)
    # In half precision a logit's last digits would be lost where they decide.
    logits = layers.Dense(len(CLASSES) if task == FOUR_CLASS else 1, name="classifier", dtype="float32")(vector)
    if task == BINARY:
        logits = TumorLogits(name="logits", dtype="float32")(logits)
    return keras.Model(image, {"logits": logits}, name=name)


def scaled_input(size: int) -> tuple[Any, Any]:
    """Give a gray input (n, size, size, 1) from 0 to 255, and the same from 0 to 1."""
    image = keras.Input((size, size, 1), name="image")
    return image, layers.Rescaling(1 / 255, name="rescaled")(image)


def refuse_weights(name: str, weights: object) -> None:
    """Raise ``InputError`` when weights are given to a network of which nobody publishes any."""
    if weights is not None:
        raise InputError(
            f"There are no published weights of {name}; omit --weights, or name a model.keras of its own kind."
        )
