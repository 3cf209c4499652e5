from contextlib import suppress
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

from braintumor.errors import InputError
from braintumor.explanation import ExplanationError, explain
from braintumor.inference import Graph
from braintumor.networks import NETWORKS, build, registered
from braintumor.networks.registry import CLASSIFIER_LAYER, FEATURE_LAYER
from braintumor.scans import phantom, prepare
from braintumor.settings import DEFAULT_MODEL
from braintumor.taxonomy import ANY_TUMOR, BINARY, CLASSES, FOUR_CLASS, NO_TUMOR, TUMOR_CLASSES
from braintumor.training.export import export_graph, inference_model
from braintumor.training.losses import LOSSES
from braintumor.training.recipes import RECIPES

SIZES = {"alexnet": 67, "vgg16": 32, "ensemble": 32}
"""The smallest input of those that need more, or can do with less, than 64 pixels."""

ALONE = [name for name in NETWORKS if name not in ("vgg16", "resnet50")]
"""Networks for what takes long: the two that are left out are the ensemble's members."""

LOCATING = {"efficient_unet", "squeeze_unet"}
"""Networks with a map, whose classifier knows no "notumor"."""


@dataclass
class Built:
    """A network with noise in every weight, two pictures for it, and what it says of them."""

    name: str
    task: str
    model: keras.Model
    pictures: np.ndarray
    answer: dict

    @property
    def network(self):
        return NETWORKS[self.name]


def _pictures(size):
    heads = [prepare(phantom(seed=seed).astype(np.float32), size).image for seed in (0, 1)]
    return np.stack(heads)


def _built(name, task=FOUR_CLASS):
    keras.utils.set_random_seed(3)
    size = SIZES.get(name, 64)
    model = build(name, size=size, task=task)
    random = np.random.default_rng(1)
    # Moving statistics included; variances stay above 0. Of many inputs each counts less, lest all answers be alike.
    noise = [random.uniform(0, 0.3 / max(8, np.prod(weight.shape[:-1])), weight.shape) for weight in model.weights]
    model.set_weights([weight + more for weight, more in zip(model.get_weights(), noise, strict=True)])
    pictures = _pictures(size)
    answer = model(pictures[..., None].astype(np.float32))
    return Built(name, task, model, pictures, {key: np.asarray(values) for key, values in answer.items()})


@pytest.fixture(scope="module", params=NETWORKS)
def built(request):
    return _built(request.param)


# The ensemble is what its members are.
@pytest.fixture(scope="module", params=[name for name, network in NETWORKS.items() if not network.members])
def binary(request):
    return _built(request.param, BINARY)


def test_a_network_answers_with_one_logit_a_class(built):
    wanted = {"logits", "map"} if built.name in LOCATING else {"logits"}
    assert set(built.answer) == wanted
    assert built.answer["logits"].shape == (2, len(CLASSES))
    assert all(np.isfinite(values).all() and np.ptp(values) > 0 for values in built.answer.values())


def test_a_network_is_flat_and_functional(built):
    assert type(built.model).__name__ == "Functional"
    assert built.model.name == built.name
    assert not any(isinstance(layer, keras.Model) for layer in built.model.layers), "nested models break heatmaps"


def test_what_the_registry_says_of_a_network_holds(built):
    network, names = built.network, {layer.name for layer in built.model.layers}
    assert network.name == built.name
    assert network.title
    assert network.source
    assert network.recipe in RECIPES
    assert network.loss in LOSSES
    assert set(network.early_layers) <= names
    assert set(network.members) <= set(NETWORKS)
    assert (FEATURE_LAYER in names) == network.feature_map
    assert network.feature_map or network.early_layers, "something must tell scans from other pictures"
    if network.feature_map:
        assert len(built.model.get_layer(FEATURE_LAYER).output.shape) == 4
    if not network.members:
        units = built.model.get_layer(CLASSIFIER_LAYER).units
        assert units == len(TUMOR_CLASSES if built.name in LOCATING else CLASSES)
    assert registered(built.name).start().input_shape == (None, network.size, network.size, 1)


def test_the_closed_form_is_claimed_where_the_classifier_weighs_mean_features(built):
    if not built.network.feature_map:
        assert not built.network.closed_form
        return
    channels = built.model.get_layer(FEATURE_LAYER).output.shape[-1]
    is_flattened = any(isinstance(layer, keras.layers.Flatten) for layer in built.model.layers)
    fits = built.model.get_layer(CLASSIFIER_LAYER).kernel.shape[0] == channels
    assert built.network.closed_form == (fits and not is_flattened)


def test_a_gradient_reaches_every_weight_that_is_trained(built):
    """More pictures than two, since a unit may be silent for some."""
    model, size = built.model, built.pictures.shape[1]
    pictures = np.random.default_rng(0).uniform(0, 255, (4, size, size, 1)).astype(np.float32)
    with tf.GradientTape() as tape:
        answer = model(pictures)
        total = sum(tf.reduce_sum(values**2) for values in answer.values())
    gradients = tape.gradient(total, [weight.value for weight in model.trainable_weights])
    unreached = [
        weight.path
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert not unreached
    assert len(gradients) > 1


# Every network survives a file of Keras's own; of the older kind, one with a map and one without are enough.
@pytest.mark.parametrize(
    ("built", "ending"),
    [*((name, ".keras") for name in NETWORKS), ("squeeze_unet", ".h5"), ("lenet", ".h5")],
    indirect=["built"],
)
def test_a_saved_network_answers_as_it_did(built, ending, tmp_path):
    built.model.save(tmp_path / f"model{ending}")
    loaded = keras.saving.load_model(tmp_path / f"model{ending}", compile=False)
    found = loaded(built.pictures[..., None].astype(np.float32))
    assert set(found) == set(built.answer)
    for name, values in built.answer.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("built", ALONE, indirect=True)
def test_the_exported_graph_says_what_the_network_does(built, tmp_path):
    export_graph(built.model, tmp_path / "graph.tflite")
    found = Graph(tmp_path / "graph.tflite").run(built.pictures)
    wanted = inference_model(built.model)(built.pictures[..., None].astype(np.float32))
    np.testing.assert_allclose(found.logits, built.answer["logits"], atol=1e-3)
    np.testing.assert_allclose(found.features, wanted["features"], rtol=1e-3, atol=1e-3)
    assert found.features.ndim == 2
    assert (found.cam is not None) == built.network.closed_form
    assert (found.tumor_map is not None) == ("map" in built.answer)
    if found.cam is not None:
        np.testing.assert_allclose(found.cam, wanted["cam"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("built", ALONE, indirect=True)
@pytest.mark.parametrize("method", ["gradcam", "saliency"])
def test_a_network_can_be_asked_where_it_looks(built, method):
    if method == "gradcam" and not built.network.feature_map:
        with pytest.raises(ValueError, match="features"):
            explain(built.model, built.pictures[0], "glioma", method)
        return
    heat = _first_map(built, TUMOR_CLASSES, method)
    side = built.pictures.shape[1] if method == "saliency" else built.model.get_layer(FEATURE_LAYER).output.shape[1]
    assert heat.shape == (side, side)
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1)


def _first_map(built, names, method):
    """Give the map of the first class that has one: of random weights Grad-CAM may find nothing for some."""
    for name in names:
        with suppress(ExplanationError):
            return explain(built.model, built.pictures[0], name, method)
    return pytest.fail(f"{built.name} has no {method} of any class")


def test_a_binary_network_gives_the_kinds_equal_shares_of_a_tumors_probability(binary):
    logits = binary.answer["logits"]
    chances = softmax(logits, axis=1)
    np.testing.assert_allclose(chances[:, :3], np.repeat(chances[:, :1], 3, axis=1), rtol=1e-5)
    tumor = keras.Model(binary.model.input, binary.model.get_layer(CLASSIFIER_LAYER).output)
    stated = np.asarray(tumor(binary.pictures[..., None].astype(np.float32)))
    np.testing.assert_allclose(1 - chances[:, 3:], expit(stated), rtol=1e-4, atol=1e-6)
    assert stated.shape == (2, 1)


@pytest.mark.parametrize("binary", ["logistic", "squeeze_unet"], indirect=True)
def test_a_binary_network_is_explained_for_and_against_a_tumor(binary):
    if binary.network.feature_map:
        _first_map(binary, (ANY_TUMOR, NO_TUMOR), "gradcam")
    with_and_against = [explain(binary.model, binary.pictures[0], name, "saliency") for name in (ANY_TUMOR, NO_TUMOR)]
    assert np.corrcoef(*(heat.ravel() for heat in with_and_against))[0, 1] > 0.5, "the same pixels, for and against"
    with pytest.raises(ValueError, match="must be one of tumor, notumor"):
        explain(binary.model, binary.pictures[0], "glioma", "gradcam")


@pytest.mark.parametrize("binary", ["lenet", "squeeze_unet"], indirect=True)
def test_a_binary_network_survives_a_file(binary, tmp_path):
    binary.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    found = loaded(binary.pictures[..., None].astype(np.float32))["logits"]
    np.testing.assert_allclose(found, binary.answer["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("binary", ["cnn512", "squeeze_unet"], indirect=True)
def test_the_exported_graph_of_a_binary_network_says_what_it_does(binary, tmp_path):
    export_graph(binary.model, tmp_path / "graph.tflite")
    found = Graph(tmp_path / "graph.tflite").run(binary.pictures)
    np.testing.assert_allclose(found.logits, binary.answer["logits"], atol=1e-3)
    assert (found.tumor_map is not None) == (binary.name in LOCATING)
    # Where a map gives the score, no weights of features stand behind it.
    assert (found.cam is not None) == (binary.network.closed_form and binary.name not in LOCATING)


@pytest.mark.parametrize("name", ["resnet-9000", "", "Squeezenet"])
def test_an_unknown_network_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match="efficient_unet, squeeze_unet, squeezenet"):
        build(name)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("lenet", {"task": "three"}, "task is 'three'; it must be one of four_class, binary"),
        ("efficient_unet", {"task": "three"}, "task is 'three'; it must be one of four_class, binary"),
        (
            "squeeze_unet",
            {"weights": "imagenet"},
            "no ImageNet weights of squeeze_unet to fetch, only of vgg16, resnet50",
        ),
        ("cnn240", {"weights": "imagenet"}, "no ImageNet weights of cnn240"),
        ("logistic", {"size": 70}, "must be a multiple of 32"),
    ],
)
def test_what_a_network_cannot_be_is_refused(name, options, sentence):
    with pytest.raises(InputError, match=sentence):
        build(name, **options)


@pytest.mark.parametrize("name", ["cnn240", "cnn512", "lenet", "alexnet", "manual_cnn", "logistic"])
def test_a_network_without_published_weights_takes_no_file(name, tmp_path):
    with pytest.raises(InputError, match=f"no published weights of {name}; omit --weights"):
        build(name, weights=tmp_path / "weights.h5")


def test_the_default_comes_first():
    assert next(iter(NETWORKS)) == DEFAULT_MODEL
