"""One epoch of a run on its own, as a site of federated training fits it."""

import keras
import numpy as np
import pytest

from braintumor.training.fit import compile_apart, fit_epoch, schedule
from tests.federated.made_sites import build_tiny, made_data, made_options

OPTIONS = made_options(rounds=4, epoch_images=32).fitting


@pytest.fixture(scope="module")
def compiled():
    keras.utils.set_random_seed(0)
    model = build_tiny(16)
    first_step = compile_apart(model, OPTIONS)
    return model, first_step, model.get_weights()


def fitted(compiled, epoch):
    model, first_step, start = compiled
    model.set_weights(start)
    figures = fit_epoch(model, made_data().part("train"), OPTIONS, epoch, first_step)
    return figures, model.get_weights()


def test_an_epoch_is_that_of_its_place_in_the_run(compiled):
    model = compiled[0]
    for epoch in (0, 2):
        fitted(compiled, epoch)
        last = (epoch + 1) * OPTIONS.steps
        assert float(model.optimizer.learning_rate) == pytest.approx(float(schedule(OPTIONS)(last)), rel=1e-5)


def test_the_optimizer_knows_nothing_of_epochs_before(compiled):
    fitted(compiled, 1)
    model = compiled[0]
    assert int(model.optimizer.iterations) == OPTIONS.steps
    fitted(compiled, 3)
    assert int(model.optimizer.iterations) == OPTIONS.steps


def test_an_epoch_learns(compiled):
    figures, weights = fitted(compiled, 0)
    assert np.isfinite(figures["loss"])
    assert 0 <= figures["accuracy"] <= 1
    assert any(not np.allclose(one, start) for one, start in zip(weights, compiled[2], strict=True))
