import keras
import numpy as np
import pytest

from braintumor.inference import Graph
from braintumor.networks import NETWORKS, build
from braintumor.training.export import export_graph, inference_model, without_optimizer

SIZE = 64


@pytest.fixture(scope="module", params=list(NETWORKS))
def model(request):
    keras.utils.set_random_seed(4)
    return build(request.param, size=SIZE)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE), dtype=np.uint8)


def test_the_graph_computes_what_the_model_does_for_any_number_of_pictures(model, pictures, tmp_path):
    export_graph(model, tmp_path / "graph.tflite")
    graph = Graph(tmp_path / "graph.tflite")
    for count in (1, 5, 2):
        batch = pictures[:count]
        wanted = inference_model(model)(batch[..., None].astype(np.float32))
        found = graph.run(batch)
        for name in ("logits", "cam", "features"):
            np.testing.assert_allclose(getattr(found, name), wanted[name], rtol=1e-3, atol=1e-4)


def test_the_mean_of_a_class_map_before_rectifying_is_its_logit_without_bias(model, pictures):
    batch = pictures[..., None].astype(np.float32)
    features = keras.Model(model.input, model.get_layer("features").output)(batch)
    kernel, bias = model.get_layer("logits").get_weights()
    cams = np.asarray(features) @ kernel
    np.testing.assert_allclose(cams.mean(axis=(1, 2)) + bias, model(batch), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.maximum(cams, 0), inference_model(model)(batch)["cam"], rtol=1e-3, atol=1e-3)


def test_a_copy_has_the_weights_and_no_optimizer(model, pictures):
    model.compile("adam", "mse")
    copy = without_optimizer(model)
    assert not copy.compiled
    batch = pictures[..., None].astype(np.float32)
    np.testing.assert_allclose(copy(batch), model(batch), rtol=1e-5)
