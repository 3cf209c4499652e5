import keras
import numpy as np
import pytest

from braintumor.errors import InputError
from braintumor.networks import NETWORKS, build, registered
from braintumor.networks.registry import CLASSIFIER_LAYER, DEFAULT, FEATURE_LAYER
from braintumor.taxonomy import CLASSES, TUMOR_CLASSES

SIZE = 64
OUTPUTS = {"squeeze_unet": {"logits", "map"}, "squeezenet": {"logits"}}
UNITS = {"squeeze_unet": len(TUMOR_CLASSES), "squeezenet": len(CLASSES)}


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    """A network whose every weight, moving statistics included, is another than it starts with."""
    model = build(request.param, size=SIZE)
    random = np.random.default_rng(1)
    # Variances stay above 0.
    model.set_weights([weight + random.uniform(0, 0.05, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 1)).astype(np.float32)


def test_a_network_answers_with_one_logit_a_class(model, pictures):
    answer = model(pictures)
    assert set(answer) == OUTPUTS[model.name]
    assert answer["logits"].shape == (3, len(CLASSES))
    assert all(np.isfinite(keras.ops.convert_to_numpy(values)).all() for values in answer.values())


def test_a_network_is_flat_and_functional(model):
    assert type(model).__name__ == "Functional"
    assert not any(isinstance(layer, keras.Model) for layer in model.layers), "nested models break heatmaps"


def test_the_classifier_weighs_the_features(model):
    kernel = model.get_layer(CLASSIFIER_LAYER).kernel
    assert kernel.shape == (model.get_layer(FEATURE_LAYER).output.shape[-1], UNITS[model.name])


def test_what_the_registry_names_is_there(model):
    network = NETWORKS[model.name]
    assert all(len(model.get_layer(name).output.shape) == 4 for name in network.early_layers)
    assert build(network.name).input_shape == (None, network.size, network.size, 1)


def test_a_saved_network_answers_as_it_did(model, pictures, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    wanted, found = model(pictures), loaded(pictures)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert np.ptp(values) > 0
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet-9000", "", "Squeezenet"])
def test_an_unknown_network_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match="squeeze_unet, squeezenet"):
        build(name)


def test_the_default_is_registered():
    assert registered(DEFAULT).name == DEFAULT
