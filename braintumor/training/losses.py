"""Losses that learn from labels of any precision."""

from typing import Any

import keras
from keras import ops


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
        # -30 stands for "excluded"; an infinity would turn gradients into NaN.
        marginal = ops.logsumexp(ops.where(y_true > 0.5, log_probability, -30.0), axis=-1)
        uniform = ops.mean(log_probability, axis=-1)
        return -(1 - self.smoothing) * marginal - self.smoothing * uniform

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smoothing": self.smoothing}


@keras.saving.register_keras_serializable("braintumor")
def allowed_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Tell for each row whether the most probable class is one that its label allows."""
    best = ops.one_hot(ops.argmax(y_pred, axis=-1), ops.shape(y_pred)[-1])
    return ops.sum(best * ops.cast(y_true, best.dtype), axis=-1)


@keras.saving.register_keras_serializable("braintumor")
class OutlineLoss(keras.losses.Loss):
    """Cross-entropy plus soft Dice of a tumor map, over the pictures whose outline is known.

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
