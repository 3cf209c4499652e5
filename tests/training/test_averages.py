import keras
import numpy as np
import pytest

from braintumor.training.averages import blend, settle
from tests.training.glass import ROWS, build_glass, first_statistics, glass_data


def _model(value):
    """A network of one number."""
    image = keras.Input((1,))
    model = keras.Model(image, keras.layers.Dense(1, use_bias=False)(image))
    model.set_weights([np.array([[value]], np.float32)])
    return model


@pytest.mark.parametrize(
    ("states", "wanted", "chosen", "mean"),
    [
        ([2.0], 5.0, [0], 2.0),
        ([4.0, 6.0], 5.0, [0, 1], 5.0),
        ([4.0, 3.0], 5.0, [0], 4.0),
        ([4.0, 3.0, 6.0], 5.0, [0, 2], 5.0),
        ([4.0, 5.0, 6.0], 5.0, [0, 1, 2], 5.0),
        ([5.0, 5.0], 5.0, [0], 5.0),
        ([4.0, 6.0, float("nan")], 5.0, [0, 1], 5.0),
    ],
    ids=["one", "both", "worse", "the third", "all", "no better", "not a number"],
)
def test_states_are_averaged_as_long_as_that_helps(states, wanted, chosen, mean):
    model, arrays = _model(0.0), [[np.array([[value]], np.float32)] for value in states]
    assert blend(model, arrays, lambda one: abs(float(one.get_weights()[0][0, 0]) - wanted)) == chosen
    assert model.get_weights()[0][0, 0] == pytest.approx(mean)


def test_settling_estimates_what_the_layers_are_given_and_nothing_else():
    model, batches = build_glass(), np.split(glass_data(ROWS).pictures[:28, ..., None].astype(np.float32), 4)
    second = model.get_layer("fire5_norm")
    second.trainable = False
    frozen, before = second.get_weights(), [np.asarray(weight) for weight in model.trainable_weights]
    settle(model, batches)
    found = model.get_layer("fire3_norm").get_weights()[2:]
    np.testing.assert_allclose(found, first_statistics(model, batches), rtol=1e-4, atol=1e-6)
    for now, then in zip([*second.get_weights(), *model.trainable_weights], [*frozen, *before], strict=True):
        np.testing.assert_array_equal(now, then)
    assert {layer.momentum for layer in model.layers if hasattr(layer, "momentum")} == {0.99}
