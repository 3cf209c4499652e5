import signal
import subprocess

import keras
import numpy as np
import pytest
from tf_keras_vis.gradcam import Gradcam

from braintumor import explanation
from braintumor.bundles import load_bundle
from braintumor.explanation import METHODS, ExplanationError, explain, explain_apart
from braintumor.heatmaps import scaled_map
from braintumor.inference import Graph
from braintumor.networks import build
from braintumor.scans import phantom, prepare
from braintumor.taxonomy import CLASSES, TUMOR_CLASSES
from braintumor.training.export import export_graph
from tests.conftest import SHIPPED


@pytest.fixture(scope="module")
def model():
    return keras.saving.load_model(SHIPPED / "model.keras", compile=False)


@pytest.fixture(scope="module")
def cams(images):
    """Grad-CAM of each image and class as the shipped graph gives it."""
    return Graph(SHIPPED / "graph.tflite").run(np.stack(images)).cam


@pytest.fixture(scope="module")
def name(cams):
    """The class whose Grad-CAM stands out most on the first image."""
    return CLASSES[int(np.ptp(cams[0], axis=(0, 1)).argmax())]


@pytest.fixture(scope="module")
def plain():
    """A network that explains "notumor" as well, and finds places for and against each class in a head."""
    keras.utils.set_random_seed(0)
    network = build("squeezenet", size=64)
    layer = network.get_layer("classifier")
    features = keras.Model(network.input, layer.input)(_heads(64)[:1, ..., None].astype(np.float32))
    mean = np.asarray(features)[0]
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel - np.outer(mean, mean @ kernel) / (mean @ mean), bias])
    return network


def _heads(size):
    return np.stack([prepare(phantom(seed=seed).astype(np.float32), size).image for seed in range(3)])


@pytest.fixture(scope="module")
def images():
    size = load_bundle(SHIPPED).size
    return [*_heads(size), np.random.default_rng(2).integers(0, 255, (size, size), dtype=np.uint8)]


def _reference(model, images, number):
    classifier = keras.Model(model.input, model.get_layer("classifier").output)
    return Gradcam(classifier, clone=False)(
        lambda output: output[:, number],
        np.stack(images)[..., None].astype(np.float32),
        penultimate_layer="features",
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )


def _same_up_to_scale(network, images, cams):
    assert np.ptp(cams, axis=(1, 2)).max() > 0, "flat maps would be equal to anything flat"
    for number in range(cams.shape[-1]):
        for cam, expected in zip(cams[..., number], np.asarray(_reference(network, images, number)), strict=True):
            np.testing.assert_allclose(scaled_map(cam), scaled_map(expected), atol=1e-3)


def test_grad_cam_of_the_graph_equals_tf_keras_vis(model, images, cams):
    assert cams.shape[-1] == len(TUMOR_CLASSES)
    _same_up_to_scale(model, images, cams)


def test_grad_cam_of_a_plain_network_equals_tf_keras_vis(plain, tmp_path):
    pictures = _heads(64)
    export_graph(plain, tmp_path / "graph.tflite")
    cams = Graph(tmp_path / "graph.tflite").run(pictures).cam
    assert cams.shape[-1] == len(CLASSES)
    assert np.ptp(cams, axis=(1, 2)).max(axis=0).min() > 0, "every class is for something somewhere"
    _same_up_to_scale(plain, pictures, cams)


def test_grad_cam_on_demand_is_that_of_the_graph(model, images, cams, name):
    cam = cams[0, ..., CLASSES.index(name)]
    np.testing.assert_allclose(explain(model, images[0], name, "gradcam"), scaled_map(cam), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_draws_a_map(model, images, name, method):
    heat = explain(model, images[0], name, method)
    assert heat.ndim == 2
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1)
    assert np.ptp(heat) > 0


def test_a_map_depends_on_the_weights(images, model):
    other = keras.Model.from_config(model.get_config())
    ours, random = (explain(each, images[0], "glioma", "saliency") for each in (model, other))
    assert np.corrcoef(ours.ravel(), random.ravel())[0, 1] < 0.9


@pytest.mark.parametrize(
    ("name", "method", "sentence"),
    [
        ("glioma", "tea leaves", "method is 'tea leaves'"),
        ("cyst", "gradcam", "class is 'cyst'; it must be one of glioma, meningioma, pituitary$"),
        ("notumor", "gradcam", "class is 'notumor'; it must be one of glioma, meningioma, pituitary$"),
        ("notumor", "saliency", "class is 'notumor'"),
        ("tumor", "scorecam", "class is 'tumor'"),
    ],
)
def test_unknown_wishes_are_refused(model, images, name, method, sentence):
    with pytest.raises(ValueError, match=sentence):
        explain(model, images[0], name, method)


@pytest.mark.parametrize("method", METHODS)
def test_a_plain_network_explains_why_it_sees_no_tumor(plain, method):
    heat = explain(plain, _heads(64)[0], "notumor", method)
    assert heat.max() == pytest.approx(1)
    with pytest.raises(ValueError, match="glioma, meningioma, pituitary, notumor"):
        explain(plain, np.zeros((64, 64), np.uint8), "cyst", method)


def test_a_flat_map_is_said_to_be_none(images):
    image = keras.Input((images[0].shape[0], images[0].shape[1], 1))
    features = keras.layers.Conv2D(4, 3, kernel_initializer="zeros", name="features")(image)
    logits = keras.layers.Dense(4, name="classifier")(keras.layers.GlobalAveragePooling2D()(features))
    with pytest.raises(ExplanationError, match="choose another method"):
        explain(keras.Model(image, logits), images[0], "glioma", "gradcam")


@pytest.fixture(autouse=True, scope="module")
def no_process_left():
    yield
    explanation._WORKER.end()


def test_a_process_of_its_own_draws_the_same_map(model, images, name):
    told = []
    heat = explain_apart(
        load_bundle(SHIPPED), images[0], name, "gradcam++", lambda share, doing: told.append((share, doing))
    )
    cells = explain(model, images[0], name, "gradcam++")
    np.testing.assert_allclose(heat, load_bundle(SHIPPED).grid.to_square(cells), atol=1e-3)
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] == 1.0


def test_a_process_that_takes_too_long_is_stopped_and_frees_its_place(images, monkeypatch):
    monkeypatch.setattr(explanation, "_SECONDS_ALLOWED", 0.3)
    for _ in range(2):
        with pytest.raises(ExplanationError, match=r"took too long or too much memory and was stopped"):
            explain_apart(load_bundle(SHIPPED), images[0], "glioma", "saliency")


def test_who_leaves_the_page_takes_the_process_along(images, monkeypatch):
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *words, **options: started.append(popen(*words, **options)) or started[-1]
    )

    class LeftError(Exception):
        pass

    def leave(share, doing):
        if share > 0.1:
            raise LeftError

    with pytest.raises(LeftError):
        explain_apart(load_bundle(SHIPPED), images[0], "glioma", "scorecam", leave)
    assert [process.returncode for process in started] == [-signal.SIGKILL]
    assert not explanation._ONE_AT_A_TIME.locked()


def test_the_process_gets_no_setting_of_the_server(monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_COOKIE_KEY", "k" * 40)
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    assert not {"BRAINTUMOR_COOKIE_KEY", "DATABASE_URL"} & set(explanation._environment())


def test_a_process_that_fails_leaves_one_sentence(images):
    with pytest.raises(ExplanationError, match=r"could not be computed; choose another method\.$"):
        explain_apart(load_bundle(SHIPPED), images[0][:5, :5], "glioma", "saliency")


def test_the_process_stays_warm_for_the_next_map_and_ends_when_idle(images, monkeypatch):
    bundle = load_bundle(SHIPPED)
    explain_apart(bundle, images[0], "glioma", "gradcam++")
    first = explanation._WORKER._process
    told = []
    explain_apart(bundle, images[1], "glioma", "gradcam++", lambda share, doing: told.append(share))
    assert explanation._WORKER._process is first
    assert min(told) > 0.5, "neither TensorFlow nor the network is loaded again"
    monkeypatch.setattr(explanation, "_IDLE_SECONDS", 0.1)
    explain_apart(bundle, images[0], "glioma", "gradcam++")
    assert first.wait(30) is not None
    assert not explanation._ONE_AT_A_TIME.locked()
