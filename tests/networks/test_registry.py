import keras
import numpy as np
import pytest

from braintumor.networks import NETWORKS, build
from braintumor.networks.registry import FEATURE_LAYER, LOGIT_LAYER
from braintumor.taxonomy import CLASSES

SIZE = 64


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_with_one_logit_a_class(name):
    model = build(name, size=SIZE)
    assert isinstance(model, keras.Model)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers), "nested models break heatmaps"
    pictures = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 1)).astype(np.float32)
    logits = keras.ops.convert_to_numpy(model(pictures))
    assert logits.shape == (3, len(CLASSES))
    assert np.isfinite(logits).all()
    assert model.get_layer(FEATURE_LAYER).output.shape[-1] == model.get_layer(LOGIT_LAYER).kernel.shape[0]


def test_an_unknown_network_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="squeezenet"):
        build("resnet-9000")
