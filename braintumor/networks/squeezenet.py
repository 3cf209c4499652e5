"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360) for gray pictures: a classifier, and the encoder of others."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from braintumor.errors import InputError
from braintumor.networks.heads import answer
from braintumor.taxonomy import FOUR_CLASS

# squeeze and expand channels of fire2 to fire9; max pooling comes before fire2, fire4 and fire6.
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
_POOL_BEFORE = (2, 4, 6)
_IMAGENET_MEAN_BGR = np.array([103.939, 116.779, 123.68], dtype=np.float32)
# Padding turns from side to side, so that cells of no stage drift far from the picture below them.
_BEFORE, _AFTER = ((1, 0), (1, 0)), ((0, 1), (0, 1))
_PADDING = {"conv1": _BEFORE, "pool2": _AFTER, "pool4": _BEFORE, "pool6": _AFTER}


def build(size: int, weights: Path | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the classifier: (n, size, size, 1) gray from 0 to 255 to {"logits": (n, 4)}.

    Batch normalization follows every fire module, and global average pooling with one dense layer the last,
    so that Grad-CAM has a closed form. ``weights`` is a file for ``load_imagenet``. Raises ``InputError``
    for a task that is none of ``TASKS``.
    """
    image = keras.Input((size, size, 1), name="image")
    features = layers.Activation("linear", name="features")(encode(image, padded=False)["fire9"])
    pooled = layers.GlobalAveragePooling2D(name="pooled")(features)
    dropped = layers.Dropout(0.3, name="dropout")(pooled)
    model = answer(dropped, task, image, "squeezenet")
    if weights is not None:
        load_imagenet(model, weights)
    return model


def encode(image: Any, *, padded: bool) -> dict[str, Any]:
    """Give the outputs of ``conv1`` and of ``fire2`` to ``fire9`` (normalized) for an input (n, size, size, 1).

    With ``padded`` the stages have exactly 1/2, 1/4, 1/8 and 1/16 of the input's side; the centers of the last one's
    cells then lie 10.5 pixels from the edge and 16 apart. Without, as published, they are 15.5 from it.
    """
    pad = _pad if padded else lambda x, name: x
    stages = {"conv1": layers.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(pad(image, "conv1"))}
    x = stages["conv1"]
    for number, (squeeze, expand) in enumerate(_FIRES, start=2):
        if number in _POOL_BEFORE:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(pad(x, f"pool{number}"))
        x = _fire(x, f"fire{number}", squeeze, expand)
        stages[f"fire{number}"] = x
    return stages


def load_imagenet(model: keras.Model, path: Path) -> None:
    """Load an HDF5 file of ImageNet weights into the encoder's convolutions.

    Its first layer, made for BGR less the ImageNet mean, is folded for one gray channel without changing what it
    computes. Raises ``InputError`` when the file holds no such weights.
    """
    import h5py

    names = ["conv1", *(f"fire{n}_{part}" for n in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3"))]
    try:
        with h5py.File(path) as file:
            for name in names:
                kernel, bias = _arrays(file[name.replace("_", "/")])
                folded = _fold_to_gray(kernel, bias) if name == "conv1" else [kernel, bias]
                model.get_layer(name).set_weights(folded)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} holds no weights of SqueezeNet 1.1 ({error}); name another file or none.") from error


def _pad(x: Any, name: str) -> Any:
    return layers.ZeroPadding2D(_PADDING[name], name=f"{name}_padding")(x)


def _fire(x: Any, name: str, squeeze: int, expand: int) -> Any:
    squeezed = layers.Conv2D(squeeze, 1, activation="relu", name=f"{name}_squeeze1x1")(x)
    left = layers.Conv2D(expand, 1, activation="relu", name=f"{name}_expand1x1")(squeezed)
    right = layers.Conv2D(expand, 3, padding="same", activation="relu", name=f"{name}_expand3x3")(squeezed)
    joined = layers.Concatenate(name=f"{name}_concat")([left, right])
    return layers.BatchNormalization(momentum=0.98, name=f"{name}_norm")(joined)


def _arrays(folder: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    found: list[NDArray[np.float32]] = []
    folder.visititems(lambda _, item: found.append(item[()]) if hasattr(item, "shape") else None)
    bias, kernel = sorted(found, key=np.ndim)
    return kernel, bias


def _fold_to_gray(kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    shift = np.einsum("hwcf,c->f", kernel, _IMAGENET_MEAN_BGR)
    return [kernel.sum(axis=2, keepdims=True), bias - shift]
