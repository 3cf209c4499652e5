import time

import keras
import numpy as np
import pytest
from tf_keras_vis.gradcam import Gradcam

from braintumor import explanation
from braintumor.bundles import load_bundle
from braintumor.explanation import METHODS, ExplanationError, explain, explain_apart
from braintumor.heatmaps import scaled_map
from braintumor.inference import Graph
from braintumor.scans import phantom, prepare
from braintumor.taxonomy import CLASSES
from tests.conftest import SHIPPED


@pytest.fixture(scope="module")
def model():
    return keras.saving.load_model(SHIPPED / "model.keras", compile=False)


@pytest.fixture(scope="module")
def images():
    size = load_bundle(SHIPPED).size
    random = np.random.default_rng(2)
    pictures = [prepare(phantom(seed=seed).astype(np.float32), size).image for seed in range(3)]
    return [*pictures, random.integers(0, 255, (size, size), dtype=np.uint8)]


@pytest.mark.parametrize("name", CLASSES)
def test_grad_cam_of_the_graph_equals_tf_keras_vis(model, images, name):
    number = CLASSES.index(name)
    cams = Graph(SHIPPED / "graph.tflite").run(np.stack(images)).cam[..., number]
    reference = Gradcam(model, clone=False)(
        lambda output: output[:, number],
        np.stack(images)[..., None].astype(np.float32),
        penultimate_layer="features",
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    assert any(np.ptp(cam) > 0 for cam in cams), "flat maps would be equal to anything flat"
    for cam, expected in zip(cams, np.asarray(reference), strict=True):
        np.testing.assert_allclose(scaled_map(cam), scaled_map(expected), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_draws_a_map(model, images, method):
    name = CLASSES[int(np.argmax(model(images[0][None, ..., None].astype(np.float32))))]
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
    [("glioma", "tea leaves", "method is 'tea leaves'"), ("cyst", "gradcam", "class is 'cyst'")],
)
def test_unknown_wishes_are_refused(model, images, name, method, sentence):
    with pytest.raises(ValueError, match=sentence):
        explain(model, images[0], name, method)


def test_a_flat_map_is_said_to_be_none(images):
    image = keras.Input((images[0].shape[0], images[0].shape[1], 1))
    features = keras.layers.Conv2D(4, 3, kernel_initializer="zeros", name="features")(image)
    logits = keras.layers.Dense(4, name="logits")(keras.layers.GlobalAveragePooling2D()(features))
    with pytest.raises(ExplanationError, match="choose another method"):
        explain(keras.Model(image, logits), images[0], "glioma", "gradcam")


def test_a_process_of_its_own_draws_the_same_map(model, images):
    told = []
    heat = explain_apart(
        load_bundle(SHIPPED), images[0], "glioma", "gradcam++", lambda share, doing: told.append((share, doing))
    )
    cells = explain(model, images[0], "glioma", "gradcam++")
    np.testing.assert_allclose(heat, load_bundle(SHIPPED).grid.to_square(cells), atol=1e-3)
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] == 1.0


def test_a_process_that_takes_too_long_is_stopped_and_frees_its_place(images, monkeypatch):
    monkeypatch.setattr(explanation, "_SECONDS_ALLOWED", 0.3)
    for _ in range(2):
        with pytest.raises(ExplanationError, match=r"took too long or too much memory and was stopped"):
            explain_apart(load_bundle(SHIPPED), images[0], "glioma", "saliency")


def test_who_leaves_the_page_takes_the_process_along(images):
    class LeftError(Exception):
        pass

    def leave(share, doing):
        if share > 0.1:
            raise LeftError

    started = time.monotonic()
    with pytest.raises(LeftError):
        explain_apart(load_bundle(SHIPPED), images[0], "glioma", "scorecam", leave)
    assert time.monotonic() - started < 30
    assert not explanation._ONE_AT_A_TIME.locked()


def test_the_process_gets_no_setting_of_the_server(monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_COOKIE_KEY", "k" * 40)
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    assert not {"BRAINTUMOR_COOKIE_KEY", "DATABASE_URL"} & set(explanation._environment())


def test_a_process_that_fails_leaves_one_sentence(tiny_bundle, images):
    with pytest.raises(ExplanationError, match=r"could not be computed; Grad-CAM is still shown\.$"):
        explain_apart(load_bundle(tiny_bundle), images[0][:5, :5], "glioma", "saliency")
