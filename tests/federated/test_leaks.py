"""What an attacker learns from weights that travel, and what clipping, noise and averaging take from it."""

import keras
import numpy as np
import pytest
from keras import layers

from braintumor.federated.leaks import gradients, inverted, likeness, membership_auc, protected
from braintumor.networks.heads import answer, scaled_input
from braintumor.taxonomy import FOUR_CLASS
from tests.training.heads import head

SIZE = 12
GLIOMA = np.eye(4, dtype=np.float32)[:1]


@pytest.fixture(scope="module")
def model():
    """A dense network, the easiest to invert: the gradient of its first layer is the picture, scaled."""
    keras.utils.set_random_seed(3)
    image, x = scaled_input(SIZE)
    x = layers.Dense(24, activation="sigmoid", name="hidden")(layers.Flatten()(x))
    return answer(x, FOUR_CLASS, image, "dense")


@pytest.fixture(scope="module")
def picture():
    return head(SIZE, seed=4).astype(np.float32)


def found_from(model, update, picture):
    return likeness(inverted(model, update, GLIOMA, steps=150), picture)


def updates(model, pictures):
    allowed = np.repeat(GLIOMA, len(pictures), axis=0)
    return [np.asarray(one) for one in gradients(model, np.stack(pictures)[..., None], allowed)]


def test_a_picture_is_seen_in_the_bare_update_of_a_single_scan(model, picture):
    assert found_from(model, updates(model, [picture]), picture) > 0.9


def test_cutting_alone_hides_nothing_and_noise_does(model, picture):
    bare = updates(model, [picture])
    assert found_from(model, protected(bare, 0.1, 0.0), picture) > 0.9
    assert abs(found_from(model, protected(bare, 0.1, 1.0), picture)) < 0.6


def test_noise_has_the_length_that_privacy_asks_for():
    update = [np.full(40_000, 5.0, np.float32)]
    (changed,) = protected(update, 2.0, 0.5)
    assert np.std(changed - 2.0 / 200) == pytest.approx(1.0, rel=0.02)


def test_scans_that_were_learned_by_heart_are_told_from_others():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    image, x = scaled_input(SIZE)
    network = answer(layers.Flatten()(x), FOUR_CLASS, image, "linear")
    # Labels without a reason can be learned only by heart.
    pictures = random.uniform(0, 255, (40, SIZE, SIZE, 1)).astype(np.float32)
    allowed = np.eye(4, dtype=np.float32)[random.integers(0, 4, 40)]
    members, others = (pictures[:20], allowed[:20]), (pictures[20:], allowed[20:])
    assert 0.25 < membership_auc(network, members, others) < 0.75
    start = network.get_weights()
    network.compile("adam", {"logits": keras.losses.CategoricalCrossentropy(from_logits=True)})
    network.optimizer.learning_rate = 0.01
    network.fit(members[0], {"logits": members[1]}, epochs=60, verbose=0, batch_size=20)
    learned = network.get_weights()
    assert membership_auc(network, members, others) > 0.95
    bare = [one - first for one, first in zip(learned, start, strict=True)]
    network.set_weights([first + one for first, one in zip(start, protected(bare, 1.0, 1.0), strict=True)])
    assert membership_auc(network, members, others) < 0.75
