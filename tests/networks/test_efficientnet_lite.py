import keras
import numpy as np
import pytest
from keras import layers

from braintumor.errors import InputError
from braintumor.networks import NETWORKS, build
from braintumor.networks.efficientnet_lite import encode
from tests.networks.cells import seen_by_a_cell


def _published():
    """Random arrays named and shaped as those of efficientnet_lite_pytorch, PyTorch's order of axes included."""
    random = np.random.default_rng(3)
    arrays = {}

    def add(conv, norm, shape):
        arrays[f"{conv}.weight"] = random.normal(0, 0.1, shape)
        for part in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"{norm}.{part}"] = random.uniform(0.1, 1, shape[0])

    add("_conv_stem", "_bn0", (32, 3, 3, 3))
    channels = (32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192)
    kernels = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5)
    for number, kernel in enumerate(kernels):
        name, wide = f"_blocks.{number}", channels[number] * (6 if number else 1)
        if number:
            add(f"{name}._expand_conv", f"{name}._bn0", (wide, channels[number], 1, 1))
        add(f"{name}._depthwise_conv", f"{name}._bn1", (wide, 1, kernel, kernel))
        add(f"{name}._project_conv", f"{name}._bn2", (channels[number + 1], wide, 1, 1))
    return {name: values.astype(np.float32) for name, values in arrays.items()}


@pytest.fixture(scope="module")
def published():
    return _published()


@pytest.fixture(scope="module")
def weights_file(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("imagenet") / "weights.npz"
    np.savez(path, **published)
    return path


@pytest.fixture(scope="module")
def loaded(weights_file):
    return build("efficient_unet", size=48, weights=weights_file)


@pytest.mark.parametrize(
    ("layer", "conv", "norm", "axes"),
    [
        ("block0_depthwise", "_blocks.0._depthwise_conv", "_blocks.0._bn1", (2, 3, 0, 1)),
        ("block0_project", "_blocks.0._project_conv", "_blocks.0._bn2", (2, 3, 1, 0)),
        ("block3_expand", "_blocks.3._expand_conv", "_blocks.3._bn0", (2, 3, 1, 0)),
        ("block10_project", "_blocks.10._project_conv", "_blocks.10._bn2", (2, 3, 1, 0)),
        ("block11_expand", "_blocks.11._expand_conv", "_blocks.11._bn0", (2, 3, 1, 0)),
    ],
)
def test_weights_of_a_file_arrive_in_their_layers(loaded, published, layer, conv, norm, axes):
    kernel = published[f"{conv}.weight"].transpose(axes)
    np.testing.assert_array_equal(loaded.get_layer(layer).get_weights()[0], kernel)
    parts = ("weight", "bias", "running_mean", "running_var")
    for found, part in zip(loaded.get_layer(f"{layer}_norm").get_weights(), parts, strict=True):
        np.testing.assert_array_equal(found, published[f"{norm}.{part}"])


def test_no_layer_of_the_encoder_keeps_its_random_weights(loaded):
    fresh = build("efficient_unet", size=48)
    encoder = [layer for layer in fresh.layers if layer.name.startswith(("stem", "block")) and layer.weights]
    assert len(encoder) == 2 * (1 + 3 * 11)
    for layer in encoder:
        for own, other in zip(layer.get_weights(), loaded.get_layer(layer.name).get_weights(), strict=True):
            assert not np.allclose(own, other)


def test_the_folded_first_layer_computes_what_the_color_layer_did(loaded, published):
    gray = np.random.default_rng(0).uniform(0, 255, (2, 48, 48, 1)).astype(np.float32)
    color = (np.repeat(gray, 3, axis=-1) - 127) / 128
    # A line is padded before the picture, so the second cell's first pixel is the picture's second.
    kernel = published["_conv_stem.weight"].transpose(2, 3, 1, 0)
    answer = np.asarray(keras.ops.conv(color[:, 1:, 1:], kernel, strides=2))
    gamma, beta, mean, variance = (
        published[f"_bn0.{name}"] for name in ("weight", "bias", "running_mean", "running_var")
    )
    expected = (answer - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    stem = keras.Model(loaded.input, loaded.get_layer("stem_norm").output)
    np.testing.assert_allclose(np.asarray(stem(gray))[:, 1:, 1:], expected, rtol=1e-3, atol=1e-3)


def test_the_first_blocks_stay_as_they_came_and_the_rest_is_trained(loaded):
    trained = {weight.path.split("/")[0] for weight in loaded.trainable_weights}
    assert not any(name.startswith(("stem", "block0_", "block1_", "block2_")) for name in trained)
    assert {"block3_expand", "block3_expand_norm", "block10_project", "block11_expand"} <= trained
    fresh = build("efficient_unet", size=48)
    assert all(layer.trainable for layer in fresh.layers), "random weights are all to be trained"


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, _: path.write_bytes(b"no weights"),
        lambda path, _: path.unlink(),
        lambda path, _: path.write_bytes(b""),
        lambda path, _: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path, arrays: np.savez(path, **{k: v for k, v in arrays.items() if "_blocks.11" not in k}),
        lambda path, arrays: np.savez(path, **{k: v[..., :1] for k, v in arrays.items()}),
    ],
    ids=["no arrays", "missing", "empty", "half a file", "a block short", "other shapes"],
)
def test_a_file_of_anything_else_is_refused(damage, published, tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **published)
    damage(path, published)
    with pytest.raises(InputError, match="holds no weights of EfficientNet-Lite0"):
        build("efficient_unet", size=48, weights=path)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_cell_sees_as_far_to_either_side_of_its_center(axis):
    cell = 12
    seen = seen_by_a_cell(lambda image: encode(image)[16], cell, axis, length=416)
    network = NETWORKS["efficient_unet"]
    assert (seen[0] + seen[-1] + 1) / 2 == network.first + network.step * cell


@pytest.mark.parametrize("size", [48, 96, 192])
def test_stages_halve_the_picture_exactly(size):
    stages = encode(keras.Input((size, size, 1)))
    assert {divisor: (stage.shape[1], stage.shape[-1]) for divisor, stage in stages.items()} == {
        4: (size // 4, 144),
        8: (size // 8, 240),
        16: (size // 16, 672),
    }


def test_only_halving_steps_pad_unevenly():
    image = keras.Input((96, 96, 1))
    model = keras.Model(image, encode(image)[16])
    padded = [layer.padding for layer in model.layers if isinstance(layer, layers.ZeroPadding2D)]
    assert padded == [((1, 0), (1, 0)), ((0, 1), (0, 1)), ((2, 1), (2, 1)), ((0, 1), (0, 1))]
