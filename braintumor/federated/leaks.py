"""What weights that travel tell of the scans behind them: two attacks, to see what each protection buys."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from braintumor.training.losses import MarginalCrossEntropy

_RATE = 0.1


def membership_auc(model: keras.Model, members: Any, others: Any) -> float:
    """Tell how well the loss of a network tells scans that it was trained on from others: an AUC, 0.5 by chance.

    ``members`` and ``others`` are (pictures, allowed): (n, size, size, 1) from 0 to 255 and (n, classes). A scan is
    taken for a member the lower its loss is (Yeom et al. 2018, arXiv:1709.01604, section 3.1).
    """
    losses = [_losses(model, *one) for one in (members, others)]
    truth = np.repeat([1, 0], [len(one) for one in losses])
    return float(roc_auc_score(truth, -np.concatenate(losses)))


def _losses(model: keras.Model, pictures: NDArray[np.float32], allowed: NDArray[np.float32]) -> NDArray[np.float64]:
    loss = MarginalCrossEntropy(reduction=None)
    return np.asarray(loss(allowed, model.predict(pictures, batch_size=64, verbose=0)["logits"]), np.float64)


def inverted(
    model: keras.Model, update: Sequence[NDArray[np.float32]], allowed: NDArray[np.float32], steps: int, seed: int = 0
) -> NDArray[np.float32]:
    """Search for the picture behind one update of a network by a single picture with known label.

    ``update`` is what a step of plain gradient descent changed, divided by the step, for each trained variable;
    ``allowed`` is (1, classes). Gives the picture, (size, size) from 0 to 255, whose gradient points most like it, by
    cosine, after ``steps`` of Adam (Geiping et al. 2020, arXiv:2003.14053, equation 4, without total variation).
    """
    size = int(model.input.shape[1])
    picture = tf.Variable(tf.random.stateless_uniform((1, size, size, 1), (seed, 0), 0, 1))
    wanted = [tf.constant(one) for one in update]
    optimizer = keras.optimizers.Adam(_RATE)

    @tf.function
    def gradient() -> Any:
        with tf.GradientTape() as outer:
            found = gradients(model, 255 * picture, allowed)
            dots = tf.add_n([tf.reduce_sum(one * other) for one, other in zip(found, wanted, strict=True)])
            lengths = [tf.sqrt(tf.add_n([tf.reduce_sum(one * one) for one in side])) for side in (found, wanted)]
            distance = 1 - dots / (lengths[0] * lengths[1] + 1e-12)
        return outer.gradient(distance, picture)

    optimizer.build([picture])
    for _ in range(steps):
        # Only its sign: the landscape is flat far from the picture.
        optimizer.apply([tf.sign(gradient())], [picture])
        picture.assign(tf.clip_by_value(picture, 0, 1))
    return np.asarray(255 * picture[0, ..., 0])


def gradients(model: keras.Model, pictures: Any, allowed: Any) -> list[Any]:
    """Give the gradient of the mean loss of pictures, (n, size, size, 1), for each trained variable."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(MarginalCrossEntropy(reduction=None)(allowed, model(pictures, training=False)["logits"]))
    found: list[Any] = tape.gradient(loss, model.trainable_variables)
    return found


def protected(
    update: Sequence[NDArray[np.float32]], clipping: float, noise: float, seed: int = 0
) -> list[NDArray[np.float32]]:
    """Cut an update to the length ``clipping``, and add Gaussian noise of ``noise`` times that to each value."""
    length = float(np.sqrt(sum(np.square(one, dtype=np.float64).sum() for one in update)))
    random = np.random.default_rng(seed)
    scale = min(1.0, clipping / max(length, 1e-12))
    return [(scale * one + random.normal(0, noise * clipping, one.shape)).astype(np.float32) for one in update]


def likeness(found: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Correlation of two pictures, from -1 to 1."""
    return float(np.corrcoef(found.ravel(), truth.ravel())[0, 1])
