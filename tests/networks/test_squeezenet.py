import h5py
import keras
import numpy as np
import pytest
from keras import layers

from braintumor.errors import InputError
from braintumor.networks import NETWORKS, build
from braintumor.networks.squeezenet import _IMAGENET_MEAN_BGR, _fold_to_gray, encode
from tests.networks.cells import seen_by_a_cell

ENCODED = ("squeeze_unet", "squeezenet")


@pytest.fixture(scope="module")
def imagenet_file(tmp_path_factory):
    """A file laid out like published SqueezeNet weights, with random values and three input channels."""
    random = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("imagenet") / "weights.h5"
    with h5py.File(path, "w") as file:
        for layer in build("squeezenet", size=64).layers:
            if isinstance(layer, layers.Conv2D):
                kernel, bias = layer.get_weights()
                if layer.name == "conv1":
                    kernel = np.repeat(kernel, 3, axis=2)
                name = layer.name.replace("_", "/")
                file[f"{name}/{name}_b"] = random.normal(size=bias.shape).astype(np.float32)
                file[f"{name}/kernel"] = random.normal(size=kernel.shape).astype(np.float32)
    return path


def test_the_folded_first_layer_computes_what_the_color_layer_did():
    random = np.random.default_rng(0)
    kernel = random.normal(size=(3, 3, 3, 8)).astype(np.float32)
    bias = random.normal(size=8).astype(np.float32)
    gray = random.uniform(0, 255, (2, 9, 9, 1)).astype(np.float32)
    color = np.repeat(gray, 3, axis=-1) - _IMAGENET_MEAN_BGR
    expected = keras.ops.conv(color, kernel, strides=2) + bias
    folded_kernel, folded_bias = _fold_to_gray(kernel, bias)
    found = keras.ops.conv(gray, folded_kernel, strides=2) + folded_bias
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("name", ENCODED)
def test_weights_of_a_file_arrive_in_every_layer_of_the_encoder(name, imagenet_file):
    model = build(name, size=64, weights=imagenet_file)
    with h5py.File(imagenet_file) as file:
        fires = [f"fire{n}/{part}" for n in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")]
        for fire in fires:
            found = model.get_layer(fire.replace("/", "_")).get_weights()
            np.testing.assert_array_equal(found[0], file[f"{fire}/kernel"][()])
            np.testing.assert_array_equal(found[1], file[f"{fire}/{fire}_b"][()])
        conv1 = file["conv1/kernel"][()]
    np.testing.assert_allclose(model.get_layer("conv1").get_weights()[0], conv1.sum(axis=2, keepdims=True), rtol=1e-6)


def _without(path, name):
    with h5py.File(path, "a") as file:
        del file[name]


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no weights"),
        lambda path: path.unlink(),
        lambda path: _without(path, "fire9"),
        lambda path: _without(path, "fire4/expand1x1/kernel"),
    ],
    ids=["no HDF5", "missing", "a layer short", "a kernel short"],
)
def test_a_file_of_anything_else_is_refused(name, damage, imagenet_file, tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(imagenet_file.read_bytes())
    damage(path)
    with pytest.raises(InputError, match="holds no weights of SqueezeNet"):
        build(name, size=64, weights=path)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("name", "padded"), [("squeeze_unet", True), ("squeezenet", False)])
def test_a_cell_sees_as_far_to_either_side_of_its_center(name, padded, axis):
    cell = 6
    seen = seen_by_a_cell(lambda image: encode(image, padded=padded)["fire9"], cell, axis, length=240)
    assert (seen[0] + seen[-1] + 1) / 2 == NETWORKS[name].first + NETWORKS[name].step * cell


@pytest.mark.parametrize("size", [48, 64, 96, 192])
def test_padded_stages_halve_the_picture_exactly(size):
    stages = encode(keras.Input((size, size, 1)), padded=True)
    sides = {name: stages[name].shape[1:3] for name in ("conv1", "fire3", "fire5", "fire9")}
    assert sides == {
        name: (size // divisor, size // divisor)
        for name, divisor in (("conv1", 2), ("fire3", 4), ("fire5", 8), ("fire9", 16))
    }
