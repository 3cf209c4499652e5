"""EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946, without squeeze-and-excitation) for gray pictures: an encoder.

Its last stages, at 1/32 of the picture's side, hold four fifths of the parameters and are omitted.
"""

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from braintumor.errors import InputError

# Kernel, stride, expansion and channels of each block.
_BLOCKS = (
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    (3, 1, 6, 24),
    (5, 2, 6, 40),
    (5, 1, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 80),
    (3, 1, 6, 80),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
)
_STEM_CHANNELS = 32
_WIDEST_CHANNELS = 672
# Gray from 0 to 255 as the published weights expect each color.
_MEAN, _SCALE = 127.0, 128.0
_MOMENTUM = 0.98
# Halving steps pad in turn before and after, so that cells of no stage drift far from the picture below them.
_PADDED_BEFORE = (True, False, True, False)


def encode(image: Any) -> dict[int, Any]:
    """Give what an input (n, size, size, 1) becomes at 1/4, 1/8 and 1/16 of its side, by 4, 8 and 16.

    Each is the expanded input of the block after the stage: 144, 240 and 672 channels. ``size`` is a multiple of 16;
    the centers of the last one's cells lie 10.5 pixels from the edge and 16 apart.
    """
    halved = iter(_PADDED_BEFORE)
    stages: dict[int, Any] = {}
    x = _normalized(_strided(image, 3, next(halved), "stem", _STEM_CHANNELS), "stem")
    for number, (kernel, stride, expansion, channels) in enumerate(_BLOCKS):
        name = f"block{number}"
        wide = _expanded(x, expansion * x.shape[-1], name) if expansion > 1 else x
        if stride == 2:
            stages[image.shape[1] // x.shape[1]] = wide
            inner = _strided(wide, kernel, next(halved), f"{name}_depthwise")
        else:
            inner = layers.DepthwiseConv2D(kernel, padding="same", use_bias=False, name=f"{name}_depthwise")(wide)
        inner = _normalized(inner, f"{name}_depthwise")
        inner = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(inner)
        inner = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_project_norm")(inner)
        x = layers.Add(name=f"{name}_add")([x, inner]) if x.shape == inner.shape else inner
    stages[16] = _expanded(x, _WIDEST_CHANNELS, f"block{len(_BLOCKS)}")
    return {divisor: stages[divisor] for divisor in (4, 8, 16)}


def load_imagenet(model: keras.Model, path: Path) -> None:
    """Load ImageNet weights into the encoder, from an .npz file that ``scripts/convert_weights.py`` made.

    The file holds the arrays of efficientnet_lite_pytorch under their own names. The first layer, made for color less
    127 and divided by 128, is folded for one gray channel without changing what it computes inside the picture. Raises
    ``InputError`` when the file holds no such weights.
    """
    try:
        with np.load(path) as file:
            _load(model, "stem", file, "_conv_stem", "_bn0")
            for number in range(len(_BLOCKS) + 1):
                _load_block(model, number, file)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} holds no weights of EfficientNet-Lite0 ({error}); name another file or none."
        ) from error


def freeze(model: keras.Model, blocks: int) -> None:
    """Keep the stem and the first blocks of the encoder as they are, normalized by the statistics they came with."""
    kept = tuple(f"block{number}_" for number in range(blocks))
    for layer in model.layers:
        if layer.name.startswith(("stem", *kept)):
            layer.trainable = False


def _load_block(model: keras.Model, number: int, file: Any) -> None:
    there, here = f"_blocks.{number}", f"block{number}"
    if number:
        _load(model, f"{here}_expand", file, f"{there}._expand_conv", f"{there}._bn0")
    if number < len(_BLOCKS):
        _load(model, f"{here}_depthwise", file, f"{there}._depthwise_conv", f"{there}._bn1")
        _load(model, f"{here}_project", file, f"{there}._project_conv", f"{there}._bn2")


def _load(model: keras.Model, name: str, file: Any, conv: str, norm: str) -> None:
    layer = model.get_layer(name)
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    kernel = file[f"{conv}.weight"].transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    mean = file[f"{norm}.running_mean"]
    if name == "stem":
        # What the picture's mean added to each filter's answer moves with it into the normalization.
        mean = mean + kernel.sum(axis=(0, 1, 2)) * (_MEAN / _SCALE)
        kernel = kernel.sum(axis=2, keepdims=True) / _SCALE
    layer.set_weights([kernel])
    scaled = [file[f"{norm}.weight"], file[f"{norm}.bias"], mean, file[f"{norm}.running_var"]]
    model.get_layer(f"{name}_norm").set_weights(scaled)


def _strided(x: Any, kernel: int, before: bool, name: str, channels: int | None = None) -> Any:
    """Halve: a convolution to ``channels``, or one within each channel."""
    more, less = kernel // 2, kernel // 2 - 1
    pair = (more, less) if before else (less, more)
    x = layers.ZeroPadding2D((pair, pair), name=f"{name}_padding")(x)
    if channels is None:
        return layers.DepthwiseConv2D(kernel, strides=2, use_bias=False, name=name)(x)
    return layers.Conv2D(channels, kernel, strides=2, use_bias=False, name=name)(x)


def _expanded(x: Any, channels: int, name: str) -> Any:
    return _normalized(layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_expand")(x), f"{name}_expand")


def _normalized(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.Activation("relu6", name=f"{name}_relu")(x)
