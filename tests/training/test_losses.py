import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from braintumor.taxonomy import LABELS, members
from braintumor.training.losses import MarginalCrossEntropy, allowed_accuracy

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 3, (40, 4)).astype(np.float32)
SINGLE = np.eye(4, dtype=np.float32)[RANDOM.integers(0, 4, 40)]


def _allowed(*labels):
    return np.array([members(label) for label in labels], np.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_single_labels_give_the_usual_cross_entropy(smoothing):
    usual = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    found = MarginalCrossEntropy(smoothing=smoothing)(SINGLE, LOGITS)
    assert float(found) == pytest.approx(float(usual(SINGLE, LOGITS)), rel=1e-5)


@pytest.mark.parametrize(
    ("label", "probabilities", "loss"),
    [
        ("tumor", (0.5, 0.2, 0.1, 0.2), -np.log(0.8)),
        ("tumor", (0.01, 0.01, 0.01, 0.97), -np.log(0.03)),
        ("tumor", (0.25, 0.25, 0.25, 0.25), -np.log(0.75)),
        ("glioma", (0.5, 0.2, 0.1, 0.2), -np.log(0.5)),
        ("notumor", (0.5, 0.2, 0.1, 0.2), -np.log(0.2)),
    ],
)
def test_loss_is_that_of_the_summed_probability(label, probabilities, loss):
    logits = np.log(np.array([probabilities], np.float32)) + 3
    assert float(MarginalCrossEntropy()(_allowed(label), logits)) == pytest.approx(loss, rel=1e-4)
    smoothed = 0.9 * loss - 0.1 * np.log(probabilities).mean()
    assert float(MarginalCrossEntropy(0.1)(_allowed(label), logits)) == pytest.approx(smoothed, rel=1e-4)


def test_one_loss_for_each_row():
    rows = MarginalCrossEntropy(reduction="none")(_allowed("tumor", "glioma"), np.zeros((2, 4), np.float32))
    np.testing.assert_allclose(rows, [-np.log(0.75), -np.log(0.25)], rtol=1e-5)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(
    "logits", [(0, 0, 0, 0), (1e4, -1e4, 0, 1), (-1e4, 1e4, 1e4, -1e4), (-1e30, 1e30, 0, 0), (1e-30, 0, 0, 100)]
)
def test_gradient_is_finite_for_extreme_logits(label, logits):
    variable = tf.Variable(np.array([logits], np.float32))
    with tf.GradientTape() as tape:
        loss = MarginalCrossEntropy(0.05)(_allowed(label), variable)
    assert np.isfinite(float(loss))
    assert np.isfinite(tape.gradient(loss, variable).numpy()).all()


@pytest.mark.parametrize("label", LABELS)
def test_gradient_raises_what_is_allowed_and_lowers_the_rest(label):
    variable = tf.Variable(np.zeros((1, 4), np.float32))
    with tf.GradientTape() as tape:
        loss = MarginalCrossEntropy()(_allowed(label), variable)
    gradient = tape.gradient(loss, variable).numpy()[0]
    np.testing.assert_array_equal(gradient < 0, members(label))


def test_loss_survives_its_config():
    loss = MarginalCrossEntropy(smoothing=0.2, name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(copy, MarginalCrossEntropy)
    assert (copy.smoothing, copy.name) == (0.2, "mine")
    assert float(copy(SINGLE, LOGITS)) == float(loss(SINGLE, LOGITS))


def test_loss_and_measure_survive_a_saved_model(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    model.compile("sgd", loss=MarginalCrossEntropy(smoothing=0.3), metrics=[allowed_accuracy])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.smoothing == 0.3
    inputs = np.ones((4, 3), np.float32)
    expected = model.evaluate(inputs, SINGLE[:4], verbose=0)
    np.testing.assert_allclose(loaded.evaluate(inputs, SINGLE[:4], verbose=0), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("label", "logits", "right"),
    [
        ("glioma", (3, 1, 0, 2), 1),
        ("glioma", (1, 3, 0, 2), 0),
        ("tumor", (1, 3, 0, 2), 1),
        ("tumor", (0, 0, 9, 2), 1),
        ("tumor", (0, 0, 1, 2), 0),
        ("notumor", (0, 0, 1, 2), 1),
        ("notumor", (5, 0, 1, 2), 0),
    ],
)
def test_accuracy_asks_whether_the_label_allows_the_answer(label, logits, right):
    found = ops.convert_to_numpy(allowed_accuracy(_allowed(label), np.array([logits], np.float32)))
    assert found.tolist() == [right]
