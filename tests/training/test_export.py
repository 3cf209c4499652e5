import keras
import numpy as np
import pytest
from scipy.special import expit

from braintumor.errors import InputError
from braintumor.inference import Graph
from braintumor.networks import NETWORKS, build
from braintumor.networks.registry import CLASSIFIER_LAYER, FEATURE_LAYER
from braintumor.training.export import export_graph, inference_model, without_optimizer
from tests.training.glass import MIDDLE, STEP, build_glass

SIZE = 64
CLOSED = ("squeeze_unet", "squeezenet")
"""Networks whose Grad-CAM has a closed form; the registry's own tests export every one."""


@pytest.fixture(scope="module", params=CLOSED)
def model(request):
    keras.utils.set_random_seed(4)
    model = build(request.param, size=SIZE)
    kernel, bias = model.get_layer(CLASSIFIER_LAYER).get_weights()
    model.get_layer(CLASSIFIER_LAYER).set_weights([kernel, np.arange(len(bias)) - 1.0])
    return model


@pytest.fixture(scope="module")
def graph(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "graph.tflite"
    export_graph(model, path)
    return Graph(path)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE), dtype=np.uint8)


def _as_input(pictures):
    return pictures[..., None].astype(np.float32)


def _features(model, pictures):
    return np.asarray(keras.Model(model.input, model.get_layer(FEATURE_LAYER).output)(_as_input(pictures)))


@pytest.mark.parametrize("count", [1, 5, 2, 16])
def test_the_graph_computes_what_the_model_does_for_any_number_of_pictures(model, graph, pictures, count):
    batch = np.resize(pictures, (count, SIZE, SIZE))
    wanted = inference_model(model)(_as_input(batch))
    found = graph.run(batch)
    for name in ("logits", "cam", "features"):
        assert getattr(found, name).dtype == np.float32
        np.testing.assert_allclose(getattr(found, name), wanted[name], rtol=1e-3, atol=1e-4)
    if "map" in model.output:
        np.testing.assert_allclose(found.tumor_map, expit(np.asarray(wanted["map"])[..., 0]), atol=1e-4)
        assert found.tumor_map.shape == (count, SIZE // 2, SIZE // 2)
    else:
        assert found.tumor_map is None


def test_outputs_are_told_apart_by_name_and_not_by_order(tmp_path):
    """Two outputs of one shape, and a network whose map is known for every gray value."""
    export_graph(build_glass(), tmp_path / "graph.tflite")
    gray = np.array([0, 100, 128, 150, 255], np.uint8)
    found = Graph(tmp_path / "graph.tflite").run(np.ones((5, 48, 48), np.uint8) * gray[:, None, None])
    chance = expit((gray.astype(float) - MIDDLE) / STEP)
    np.testing.assert_allclose(found.tumor_map, chance[:, None, None] * np.ones((24, 24)), atol=1e-4)
    p_tumor = 1 - np.exp(found.logits[:, 3]) / np.exp(found.logits).sum(axis=1)
    np.testing.assert_allclose(p_tumor, chance, atol=1e-4)


def test_grad_cam_is_the_rectified_product_of_features_and_weights(model, graph, pictures):
    kernel, _ = model.get_layer(CLASSIFIER_LAYER).get_weights()
    cam = graph.run(pictures).cam
    product = np.maximum(_features(model, pictures) @ kernel, 0)
    assert product.max() > 0
    np.testing.assert_allclose(cam, product, rtol=1e-3, atol=1e-3 * product.max())
    assert cam.shape[-1] == kernel.shape[-1]


def test_the_mean_of_a_class_map_before_rectifying_is_its_logit_without_bias(pictures):
    model = build("squeezenet", size=SIZE)
    kernel, bias = model.get_layer(CLASSIFIER_LAYER).get_weights()
    means = (_features(model, pictures) @ kernel).mean(axis=(1, 2))
    np.testing.assert_allclose(means + bias, model(_as_input(pictures))["logits"], rtol=1e-3, atol=1e-3)


def test_features_are_means_of_early_layers_and_of_the_last(model, graph, pictures):
    layers = [*NETWORKS[model.name].early_layers, FEATURE_LAYER]
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in layers])(_as_input(pictures))
    means = np.concatenate([np.asarray(output).mean(axis=(1, 2)) for output in outputs], axis=1)
    np.testing.assert_allclose(graph.run(pictures).features, means, rtol=1e-3, atol=1e-4)


def test_a_copy_has_the_weights_and_no_optimizer(model, pictures):
    model.compile("adam", dict.fromkeys(model.output, "mse"))
    copy = without_optimizer(model)
    assert not copy.compiled
    assert copy.name == model.name
    wanted, found = model(_as_input(pictures)), copy(_as_input(pictures))
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)


@pytest.mark.parametrize("name", CLOSED)
def test_a_copy_computes_in_float32_whatever_it_was_trained_in(name, pictures, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(name, size=SIZE)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    copy = without_optimizer(model)
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    for found, wanted in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    plain = build(name, size=SIZE)
    plain.set_weights(model.get_weights())
    exact, found = plain(_as_input(pictures)), copy(_as_input(pictures))
    for output, values in exact.items():
        np.testing.assert_allclose(found[output], values, rtol=1e-5, atol=1e-5)
    copy.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}


def test_a_graph_is_only_written_on_tensorflow(model, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="KERAS_BACKEND=tensorflow: a finished training is not repeated"):
        export_graph(model, tmp_path / "graph.tflite")
    assert not list(tmp_path.iterdir())
