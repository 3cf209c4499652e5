import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from braintumor.errors import InputError
from braintumor.networks import build
from braintumor.taxonomy import LABELS, members
from braintumor.training.losses import (
    LOSSES,
    LabelCrossEntropy,
    MarginalCrossEntropy,
    OutlineLoss,
    accuracy_for,
    allowed_accuracy,
    chosen_loss,
    loss_of,
    tumor_accuracy,
)

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


def test_the_loss_of_kinds_is_the_usual_cross_entropy():
    found = loss_of("categorical", smoothing=0.3)(SINGLE, LOGITS)
    assert float(found) == pytest.approx(float(MarginalCrossEntropy()(SINGLE, LOGITS)), rel=1e-5)


def test_the_binary_loss_asks_for_tumor_or_not_alone():
    labels = [LABELS[number] for number in RANDOM.integers(0, len(LABELS), 40)]
    chances = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    right = np.where([label == "notumor" for label in labels], chances[:, 3], chances[:, :3].sum(axis=1))
    found = loss_of("binary")(_allowed(*labels), LOGITS)
    assert float(found) == pytest.approx(-np.log(right).mean(), rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_teaches_and_survives_its_config(name):
    variable = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = loss_of(name)(SINGLE, variable)
    gradient = tape.gradient(loss, variable).numpy()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss_of(name)))
    assert float(copy(SINGLE, LOGITS)) == float(loss)
    assert isinstance(copy, MarginalCrossEntropy if name == "marginal" else LabelCrossEntropy)


@pytest.mark.parametrize(
    ("name", "task", "chosen"),
    [
        (None, "four_class", "categorical"),
        (None, "binary", "binary"),
        ("marginal", "four_class", "marginal"),
        ("marginal", "binary", "marginal"),
        ("categorical", "four_class", "categorical"),
        ("binary", "binary", "binary"),
    ],
)
def test_the_loss_is_the_one_named_or_that_of_the_network_or_the_task(name, task, chosen):
    assert chosen_loss(name, task, "categorical") == chosen


@pytest.mark.parametrize(
    ("name", "task", "sentence"),
    [
        ("hinge", "four_class", "loss is 'hinge'; it must be one of marginal, categorical, binary"),
        ("binary", "four_class", "add --task binary"),
        ("categorical", "binary", "categorical asks for the kind of tumor"),
        (None, "two", "task is 'two'; it must be one of four_class, binary"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused(name, task, sentence):
    with pytest.raises(InputError, match=sentence):
        chosen_loss(name, task, "marginal")


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


@pytest.mark.parametrize(
    ("label", "p_tumor", "right"),
    [("tumor", 0.7, 1), ("tumor", 0.4, 0), ("notumor", 0.7, 0), ("notumor", 0.4, 1), ("notumor", 0.3, 1)],
)
def test_accuracy_of_tumor_or_not_is_at_even_odds(label, p_tumor, right):
    logits = np.log(np.array([[p_tumor / 3] * 3 + [1 - p_tumor]], np.float32))
    assert ops.convert_to_numpy(tumor_accuracy(_allowed(label), logits)).tolist() == [right]


@pytest.mark.parametrize(("task", "expected"), [("four_class", allowed_accuracy), ("binary", tumor_accuracy)])
def test_a_network_is_measured_by_what_it_tells(task, expected):
    assert accuracy_for(build("lenet", size=32, task=task)) is expected


def _maps(rows, side=6, seed=1):
    """Shares of tumor and logits (rows, side, side, 1)."""
    random = np.random.default_rng(seed)
    truth = np.clip(random.normal(0, 1, (rows, side, side, 1)), 0, 1).astype(np.float32)
    return truth, random.normal(0, 3, truth.shape).astype(np.float32)


def _outline_loss(truth, logits, weight):
    """The loss of one picture as its description has it, in double precision."""
    if truth.max() < 0:
        return 0.0
    truth, logits = truth.astype(np.float64), logits.astype(np.float64)
    chance = 1 / (1 + np.exp(-logits))
    entropy = -(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)).mean()
    dice = 1 - (2 * (chance * truth).sum() + 1) / (chance.sum() + truth.sum() + 1)
    return weight * entropy + (dice if truth.any() else 0.0)


@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_the_outline_loss_is_what_its_description_says(weight):
    truth, logits = _maps(5, side=24)
    # As a tumor is: some places, and most of the slice far from them.
    truth[:, 8:] = 0
    truth[1] = -1
    truth[2] = 0
    rows = OutlineLoss(weight, reduction="none")(truth, logits)
    expected = [_outline_loss(each, found, weight) for each, found in zip(truth, logits, strict=True)]
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)
    # A batch counts every picture, known or not.
    assert float(OutlineLoss(weight)(truth, logits)) == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("scale", [1, 1e4, 1e30])
def test_a_picture_without_outline_has_no_say(scale):
    truth, logits = _maps(3)
    truth[1] = -1
    variable = tf.Variable(logits * np.float32(scale))
    with tf.GradientTape() as tape:
        rows = OutlineLoss(reduction="none")(truth, variable)
        total = tf.reduce_sum(rows)
    gradient = tape.gradient(total, variable).numpy()
    assert rows.numpy()[1] == 0
    assert (gradient[1] == 0).all()
    assert np.isfinite(rows.numpy()).all()
    assert np.isfinite(gradient).all()
    if scale == 1:
        assert np.abs(gradient[[0, 2]]).min() > 0


@pytest.mark.parametrize("drawn", [True, False])
def test_a_perfect_map_costs_nothing_and_its_opposite_much(drawn):
    truth = np.zeros((1, 12, 12, 1), np.float32)
    truth[0, 3:7, 2:9] = drawn
    perfect = np.where(truth > 0.5, 30, -30).astype(np.float32)
    assert float(OutlineLoss()(truth, perfect)) == pytest.approx(0, abs=1e-5)
    assert float(OutlineLoss()(truth, -perfect)) > 100


def test_more_of_a_tumor_found_costs_less():
    truth = np.zeros((1, 12, 12, 1), np.float32)
    truth[0, 3:9, 2:9] = 1
    losses = []
    for columns in range(2, 10):
        found = np.full_like(truth, -4)
        found[0, 3:9, 2:columns] = 4
        losses.append(float(OutlineLoss()(truth, found)))
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == len(losses)


def test_a_small_tumor_counts_as_much_as_a_large_one_in_the_dice_term():
    small, large = np.zeros((2, 1, 60, 60, 1), np.float32)
    small[0, :6, :6] = 1
    large[0, :40, :40] = 1
    nothing = np.full_like(small, -30)
    missed = [float(OutlineLoss(cross_entropy=0.0)(truth, nothing)) for truth in (small, large)]
    assert missed == pytest.approx([1, 1], abs=0.03)


def test_the_outline_loss_survives_its_config_and_a_saved_model(tmp_path):
    image = keras.Input((6, 6, 1))
    model = keras.Model(image, {"map": keras.layers.Conv2D(1, 1, name="map")(image)})
    model.compile("sgd", loss={"map": OutlineLoss(cross_entropy=2.5)})
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss["map"].cross_entropy == 2.5
    truth, logits = _maps(4)
    targets = {"map": truth}
    expected = model.evaluate(logits, targets, verbose=0)
    np.testing.assert_allclose(loaded.evaluate(logits, targets, verbose=0), expected, rtol=1e-6)
