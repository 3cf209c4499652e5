"""ResNet-50 (He et al. 2015, arXiv:1512.03385) with ImageNet weights, trained on as a whole."""

from pathlib import Path

import keras
from keras import layers

from braintumor.networks.heads import answer
from braintumor.networks.imagenet import backbone
from braintumor.taxonomy import FOUR_CLASS


def build(size: int, weights: Path | str | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the network: (n, size, size, 1) gray from 0 to 255 to {"logits": (n, 4)}; ``size`` is 32 or more.

    Global average pooling and one dense layer, so that Grad-CAM has a closed form. All layers are trained, whether
    they start from ``weights`` (see ``imagenet.backbone``, also for what is raised) or from none.
    """
    image, base = backbone(keras.applications.ResNet50, "ResNet-50", size, weights)
    x = layers.Activation("linear", name="features")(base.output)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return answer(layers.Dropout(0.3, name="dropout")(x), task, image, "resnet50")
