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
