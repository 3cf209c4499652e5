"""Losses that learn from labels of any precision, and Keras's own for labels of one kind."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from braintumor.errors import InputError
from braintumor.networks.heads import check_task, tells_kinds
from braintumor.taxonomy import BINARY, Loss, Task

MARGINAL: Loss = "marginal"
CATEGORICAL: Loss = "categorical"
LOSSES: tuple[Loss, ...] = (MARGINAL, CATEGORICAL, "binary")

KINDS_ONLY = (CATEGORICAL,)
"""Losses that a tumor of unknown kind cannot teach."""

# An infinity would turn gradients into NaN.
_EXCLUDED = -30.0


@keras.saving.register_keras_serializable("braintumor")
class MarginalCrossEntropy(keras.losses.Loss):
    """Cross-entropy of the summed probability of every class a label allows.

    ``y_true`` is (n, classes), 1 for each allowed class ("tumor" allows three), ``y_pred`` (n, classes) logits. With
    one allowed class it is plain softmax cross-entropy. This is the marginal likelihood of a partial label (Cour,
    Sapp & Taskar, Journal of Machine Learning Research 12, 2011). ``smoothing`` in [0, 1) mixes in the
    cross-entropy against equal probabilities (label smoothing, Szegedy et al. 2016).
    """

    def __init__(self, smoothing: float = 0.0, name: str = "marginal_cross_entropy", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        log_probability = ops.log_softmax(y_pred, axis=-1)
        marginal = ops.logsumexp(ops.where(y_true > 0.5, log_probability, _EXCLUDED), axis=-1)
        uniform = ops.mean(log_probability, axis=-1)
        return -(1 - self.smoothing) * marginal - self.smoothing * uniform

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smoothing": self.smoothing}


@keras.saving.register_keras_serializable("braintumor")
class LabelCrossEntropy(keras.losses.Loss):
    """One of Keras's own cross-entropies: "categorical" or "binary" (tumor or not).

    ``y_true`` is (n, classes), 1 for each allowed class, ``y_pred`` (n, classes) logits, "notumor" last. The first asks
    for rows that allow one class; the other takes the logit of the tumor classes' summed probability.
    """

    def __init__(self, kind: str, name: str = "label_cross_entropy", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.kind = kind

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if self.kind == CATEGORICAL:
            return keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=True)
        tumor = ops.logsumexp(y_pred[:, :-1], axis=-1, keepdims=True) - y_pred[:, -1:]
        return keras.losses.binary_crossentropy(1 - y_true[:, -1:], tumor, from_logits=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}


def loss_of(name: str, smoothing: float = 0.0) -> keras.losses.Loss:
    """Give a loss of ``LOSSES`` by its name; ``smoothing`` is for "marginal", the others are taken as published."""
    return MarginalCrossEntropy(smoothing) if name == MARGINAL else LabelCrossEntropy(name)


def chosen_loss(name: Loss | None, task: Task, published: Loss) -> Loss:
    """Choose a loss: the one named, or what the network was ``published`` with, which for tumor or not is "binary".

    Raises ``InputError`` for one that is not of ``LOSSES`` or does not fit the task.
    """
    check_task(task)
    if name is None:
        return "binary" if task == BINARY else published
    if name not in LOSSES:
        raise InputError(f"The loss is {name!r}; it must be one of {', '.join(LOSSES)}.")
    if name == BINARY and task != BINARY:
        raise InputError("The loss binary knows no kinds of tumor; add --task binary, or choose another loss.")
    if name in KINDS_ONLY and task == BINARY:
        raise InputError(f"The loss {name} asks for the kind of tumor; with --task binary choose binary or marginal.")
    return name


@keras.saving.register_keras_serializable("braintumor")
def allowed_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Tell for each row whether the most probable class is one that its label allows."""
    best = ops.one_hot(ops.argmax(y_pred, axis=-1), ops.shape(y_pred)[-1])
    return ops.sum(best * ops.cast(y_true, best.dtype), axis=-1)


@keras.saving.register_keras_serializable("braintumor")
def tumor_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Tell for each row whether tumor or not is right at even odds, for a network that splits P(tumor) among kinds."""
    tumor = ops.logsumexp(y_pred[:, :-1], axis=-1) >= y_pred[:, -1]
    return ops.cast(ops.equal(tumor, y_true[:, -1] < 0.5), y_pred.dtype)


def accuracy_for(model: keras.Model) -> Callable[[Any, Any], Any]:
    """Give what tells each row's answer right or wrong: of the classes that its label allows, or of tumor or not."""
    found: Callable[[Any, Any], Any] = allowed_accuracy if tells_kinds(model) else tumor_accuracy
    return found


@keras.saving.register_keras_serializable("braintumor")
class OutlineLoss(keras.losses.Loss):
    """Cross-entropy plus soft Dice of a tumor map, where the outline is known.

    ``y_true`` is (n, h, w, 1), the share of each cell that is tumor, or below 0 throughout where nobody drew an
    outline: such a picture has no say. ``y_pred`` are logits of the same shape. The Dice term (Milletari et al. 2016,
    arXiv:1606.04797, section 3) counts only where there is a tumor; ``cross_entropy`` weighs the mean over cells.
    """

    def __init__(self, cross_entropy: float = 4.0, name: str = "outline_loss", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.cross_entropy = cross_entropy

    def call(self, y_true: Any, y_pred: Any) -> Any:
        axes = (1, 2, 3)
        y_true = ops.cast(y_true, y_pred.dtype)
        known = ops.cast(ops.mean(y_true, axis=axes) >= 0, y_pred.dtype)
        truth = ops.maximum(y_true, 0.0)
        # softplus(x) - x·y is the cross-entropy of a logit without overflow.
        entropy = ops.mean(ops.softplus(y_pred) - y_pred * truth, axis=axes)
        chance = ops.sigmoid(y_pred)
        held = ops.sum(truth, axis=axes)
        overlap = 2 * ops.sum(chance * truth, axis=axes) + 1
        dice = 1 - overlap / (ops.sum(chance, axis=axes) + held + 1)
        return known * (self.cross_entropy * entropy + ops.where(held > 0, dice, 0.0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cross_entropy": self.cross_entropy}
