import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

from braintumor.networks import build
from braintumor.networks.unet import Mirrored

LAST_OF_ENCODER = {"squeeze_unet": "fire9", "efficient_unet": "block11"}
"""Beginning of the names of the encoder's last layers."""


@pytest.fixture(scope="module", params=LAST_OF_ENCODER)
def model(request):
    keras.utils.set_random_seed(2)
    return build(request.param, size=48)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).uniform(0, 255, (6, 48, 48, 1)).astype(np.float32)


def _inner(model, *names):
    return keras.Model(model.input, [model.get_layer(name).output for name in names])


@pytest.mark.parametrize("size", [48, 64, 96])
@pytest.mark.parametrize("name", LAST_OF_ENCODER)
def test_the_map_has_half_the_side_of_the_picture(name, size):
    answer = build(name, size=size)(np.zeros((2, size, size, 1), np.float32))
    assert answer["map"].shape == (2, size // 2, size // 2, 1)
    assert answer["logits"].shape == (2, 4)


def test_the_answer_is_that_of_the_map_times_that_of_the_kind(model, pictures):
    kinds, score, tumor_map = _inner(model, "classifier", "score", "map")(pictures)
    answer = softmax(np.asarray(model(pictures)["logits"]), axis=1)
    p_tumor = expit(np.asarray(score))
    np.testing.assert_allclose(answer[:, :3], p_tumor * softmax(np.asarray(kinds), axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(answer[:, 3:], 1 - p_tumor, rtol=1e-4, atol=1e-6)
    # 40 cells of 96 × 96 are 2.5 of 24 × 24.
    highest = np.sort(np.asarray(tumor_map).reshape(len(pictures), -1), axis=1)[:, -2:]
    np.testing.assert_allclose(np.asarray(score)[:, 0], highest.mean(axis=1), rtol=1e-4)
    assert np.ptp(p_tumor) > 0


def test_an_untrained_map_expects_tumor_to_be_rare(model):
    bias = model.get_layer("map").get_weights()[1]
    assert expit(bias[0]) < 0.1


@pytest.mark.parametrize(("output", "moves_the_map"), [("classifier", False), ("score", True)])
def test_only_the_score_teaches_the_map_where_a_tumor_is(model, pictures, output, moves_the_map):
    inner = _inner(model, output)
    decoder = [weight for weight in model.trainable_weights if weight.path.startswith(("decode", "map/"))]
    encoder = [weight for weight in model.trainable_weights if weight.path.startswith(LAST_OF_ENCODER[model.name])]
    assert encoder
    assert decoder
    with tf.GradientTape() as tape:
        total = sum(tf.reduce_sum(values**2) for values in inner(pictures[:2]))
    gradients = tape.gradient(total, [weight.value for weight in (*encoder, *decoder)])
    reached = [gradient is not None and bool(np.any(gradient)) for gradient in gradients]
    assert all(reached[: len(encoder)])
    assert any(reached[len(encoder) :]) == moves_the_map


def test_the_cells_of_the_map_lie_over_the_picture(model):
    """A bright spot moves most the cells that lie over it, whatever the weights."""
    keras.utils.set_random_seed(3)
    network = build(model.name, size=96)
    dark = np.asarray(network(np.zeros((1, 96, 96, 1), np.float32))["map"])[0, ..., 0]
    for row, column in ((24, 24), (24, 72), (60, 36)):
        picture = np.zeros((1, 96, 96, 1), np.float32)
        picture[0, row - 3 : row + 3, column - 3 : column + 3] = 255
        moved = np.abs(np.asarray(network(picture)["map"])[0, ..., 0] - dark)
        hottest = np.array(np.unravel_index(moved.argmax(), moved.shape)) * 2 + 1
        assert np.abs(hottest - (row, column)).max() <= 6


@pytest.mark.parametrize(("turned", "wanted"), [(True, [[3, 2, 1]]), (False, [[1, 2, 3]])])
def test_features_are_mirrored_from_left_to_right(turned, wanted):
    mirrored = Mirrored(turned)(np.array([[[[1], [2], [3]]]], np.float32))
    np.testing.assert_array_equal(np.asarray(mirrored)[0, ..., 0], wanted)
