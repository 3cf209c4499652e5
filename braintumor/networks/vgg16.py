"""VGG16 (Simonyan & Zisserman 2014, arXiv:1409.1556) with ImageNet weights, of which the last block learns on."""

from pathlib import Path

import keras
from keras import layers

from braintumor.networks.heads import answer
from braintumor.networks.imagenet import backbone
from braintumor.taxonomy import FOUR_CLASS

_TRAINED = ("block5_conv1", "block5_conv2", "block5_conv3")


def build(size: int, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the network: (n, size, size, 1) gray from 0 to 255 to {"logits": (n, 4)}; ``size`` is 32 or more.

    Flattened, dense 128 with dropout around it, and the classifier. With ``weights`` (see ``imagenet.backbone``, also
    for what is raised) only the last three convolutions are trained, as published; without, all are, since random
    ones that stay random say nothing.
    """
    image, base = backbone(keras.applications.VGG16, "VGG16", size, weights)
    if weights is not None:
        for layer in base.layers:
            layer.trainable = layer.name in _TRAINED
    x = layers.Activation("linear", name="features")(base.get_layer(_TRAINED[-1]).output)
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(2, name="features_pool")(x))
    x = layers.Dropout(0.3, name="dropout1")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    return answer(layers.Dropout(0.2, name="dropout2")(x), task, image, "vgg16")
