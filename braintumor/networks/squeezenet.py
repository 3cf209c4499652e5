"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360) for grey pictures, with a head that explains itself."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from braintumor.errors import InputError
from braintumor.taxonomy import CLASSES

# squeeze and expand channels of fire2 to fire9; max pooling comes before fire2, fire4 and fire6.
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
_POOL_BEFORE = (2, 4, 6)
_IMAGENET_MEAN_BGR = np.array([103.939, 116.779, 123.68], dtype=np.float32)


def build(size: int, weights: Path | None = None) -> keras.Model:
    """Build the network: (n, size, size, 1) grey from 0 to 255 to (n, 4) logits.

    Batch normalization follows every fire module, and global average pooling with one dense layer the last,
    so that Grad-CAM has a closed form. ``weights`` names an HDF5 file of ImageNet weights; its first layer, made for
    BGR less the ImageNet mean, is folded for one grey channel without changing what it computes.
    """
    image = keras.Input((size, size, 1), name="image")
    x = layers.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(image)
    for number, (squeeze, expand) in enumerate(_FIRES, start=2):
        if number in _POOL_BEFORE:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(x)
        x = _fire(x, f"fire{number}", squeeze, expand)
    x = layers.Activation("linear", name="features")(x)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(x)
    dropped = layers.Dropout(0.3, name="dropout")(pooled)
    logits = layers.Dense(len(CLASSES), name="logits", dtype="float32")(dropped)
    model = keras.Model(image, logits, name="squeezenet")
    if weights is not None:
        _load_imagenet(model, weights)
    return model


def _fire(x: Any, name: str, squeeze: int, expand: int) -> Any:
    squeezed = layers.Conv2D(squeeze, 1, activation="relu", name=f"{name}_squeeze1x1")(x)
    left = layers.Conv2D(expand, 1, activation="relu", name=f"{name}_expand1x1")(squeezed)
    right = layers.Conv2D(expand, 3, padding="same", activation="relu", name=f"{name}_expand3x3")(squeezed)
    joined = layers.Concatenate(name=f"{name}_concat")([left, right])
    return layers.BatchNormalization(momentum=0.98, name=f"{name}_norm")(joined)


def _load_imagenet(model: keras.Model, path: Path) -> None:
    import h5py

    try:
        with h5py.File(path) as file:
            for layer in model.layers:
                if isinstance(layer, layers.Conv2D):
                    kernel, bias = _arrays(file[layer.name.replace("_", "/")])
                    layer.set_weights(_fold_to_grey(kernel, bias) if layer.name == "conv1" else [kernel, bias])
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} holds no weights of SqueezeNet 1.1 ({error}); name another file or none.") from error


def _arrays(folder: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    found: list[NDArray[np.float32]] = []
    folder.visititems(lambda _, item: found.append(item[()]) if hasattr(item, "shape") else None)
    bias, kernel = sorted(found, key=np.ndim)
    return kernel, bias


def _fold_to_grey(kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    shift = np.einsum("hwcf,c->f", kernel, _IMAGENET_MEAN_BGR)
    return [kernel.sum(axis=2, keepdims=True), bias - shift]
