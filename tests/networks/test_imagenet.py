import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from braintumor.errors import InputError
from braintumor.networks import NETWORKS, build, ensemble, imagenet
from tests.networks.cells import make_even

MAKERS = {"vgg16": keras.applications.VGG16, "resnet50": keras.applications.ResNet50}


@pytest.fixture(scope="module", params=MAKERS)
def published(request, tmp_path_factory):
    """A backbone in color with random weights, and a file of them laid out as those of keras.applications are."""
    keras.utils.set_random_seed(1)
    base = MAKERS[request.param](include_top=False, weights=None)
    path = tmp_path_factory.mktemp("weights") / f"{request.param}_notop.h5"
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, base)
    return request.param, base, path


def test_weights_of_a_file_compute_on_gray_what_they_do_on_color(published):
    name, base, path = published
    model = build(name, size=32, weights=path)
    gray = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    color = np.repeat(gray, 3, axis=-1) - np.array([103.939, 116.779, 123.68], np.float32)
    last = "block5_conv3" if name == "vgg16" else "conv5_block3_out"
    wanted = keras.Model(base.input, base.get_layer(last).output)(color)
    found = keras.Model(model.input, model.get_layer("features").output)(gray)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * float(np.abs(wanted).max()))


def test_what_is_trained_depends_on_what_it_starts_from(published):
    name, _, path = published
    trained = {layer.name for layer in build(name, size=32, weights=path).layers if layer.trainable_weights}
    everything = {layer.name for layer in build(name, size=32).layers if layer.weights}
    if name == "vgg16":
        assert trained == {"block5_conv1", "block5_conv2", "block5_conv3", "dense", "classifier"}
    else:
        assert trained == everything
    assert {layer.name for layer in build(name, size=32).layers if layer.trainable_weights} == everything


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("content", [b"no weights", None])
def test_a_file_of_anything_else_is_refused(name, content, tmp_path):
    path = tmp_path / "weights.h5"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights.h5 holds no weights of .* name a …_notop.h5 file"):
        build(name, size=32, weights=path)


@pytest.mark.parametrize("failure", [Exception("URL fetch failure on https://…: None"), TimeoutError("timed out")])
def test_without_a_connection_the_alternatives_are_named(failure, monkeypatch):
    def fail(weights, **options):
        if weights:
            raise failure

    with pytest.raises(InputError, match=r"cannot be fetched \(.*\); connect .* a file of them .* or omit it"):
        imagenet.backbone(fail, "VGG16", 32, "imagenet")


@pytest.mark.parametrize("weights", [None, "imagenet", "weights.h5"])
def test_a_size_that_is_too_small_is_not_blamed_on_the_weights(weights):
    def fail(**options):
        raise ValueError("Computed output size would be zero or negative.")

    with pytest.raises(InputError, match=r"^VGG16 cannot be built for 16 pixels; choose a larger --size"):
        imagenet.backbone(fail, "VGG16", 16, weights)


def test_an_ensemble_takes_no_file_and_says_so(tmp_path):
    with pytest.raises(InputError, match="give --weights imagenet, or omit it"):
        build("ensemble", size=32, weights=tmp_path / "weights.h5")


def test_an_ensemble_says_the_mean_of_what_its_members_do():
    members = [build(name, size=32) for name in MAKERS]
    pictures = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 1)).astype(np.float32)
    chances = [np.asarray(keras.ops.softmax(model(pictures)["logits"])) for model in members]
    found = keras.ops.softmax(ensemble.joined(members)(pictures)["logits"])
    assert np.abs(chances[0] - chances[1]).max() > 0.01
    np.testing.assert_allclose(found, np.mean(chances, axis=0), rtol=1e-4, atol=1e-6)


def test_members_of_several_sizes_are_refused():
    with pytest.raises(InputError, match=r"inputs of \[32, 64\] pixels"):
        ensemble.joined([build("vgg16", size=32), build("vgg16", size=64)])


def test_the_cells_of_resnet50_lie_where_the_registry_says():
    """As in tests/test_heatmaps.py, on a picture as long as a cell sees and narrow, so that it takes seconds."""
    length, thickness, cell = 640, 8, 10
    model = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(length, 32, 3))
    make_even(model)
    pictures = np.zeros((length // thickness, length, 32, 3), np.float32)
    for number, picture in enumerate(pictures):
        picture[number * thickness : (number + 1) * thickness] = 255
    answer = model.predict(pictures, batch_size=8, verbose=0)[:, cell, 0, 0]
    seen = answer - answer.min()
    center = (seen * (np.arange(len(pictures)) + 0.5) * thickness).sum() / seen.sum()
    assert center == pytest.approx(NETWORKS["resnet50"].first + NETWORKS["resnet50"].step * cell, abs=1)
