import h5py
import keras
import numpy as np
import pytest
from keras import layers

from braintumor.networks import build
from braintumor.networks.squeezenet import _IMAGENET_MEAN_BGR, _fold_to_grey


@pytest.fixture
def imagenet_file(tmp_path):
    """A file laid out like published SqueezeNet weights, with random values and three input channels."""
    random = np.random.default_rng(3)
    path = tmp_path / "weights.h5"
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
    grey = random.uniform(0, 255, (2, 9, 9, 1)).astype(np.float32)
    color = np.repeat(grey, 3, axis=-1) - _IMAGENET_MEAN_BGR
    expected = keras.ops.conv(color, kernel, strides=2) + bias
    folded_kernel, folded_bias = _fold_to_grey(kernel, bias)
    found = keras.ops.conv(grey, folded_kernel, strides=2) + folded_bias
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)


def test_weights_of_a_file_arrive_in_every_layer(imagenet_file):
    model = build("squeezenet", size=64, weights=imagenet_file)
    with h5py.File(imagenet_file) as file:
        expected = file["fire5/expand3x3/kernel"][()]
        conv1 = file["conv1/kernel"][()]
    np.testing.assert_array_equal(model.get_layer("fire5_expand3x3").get_weights()[0], expected)
    np.testing.assert_allclose(model.get_layer("conv1").get_weights()[0], conv1.sum(axis=2, keepdims=True), rtol=1e-6)
