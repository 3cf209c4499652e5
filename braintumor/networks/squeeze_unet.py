"""SqueezeNet encoder and a light U-Net decoder: first where a tumor is, then of what kind."""

from pathlib import Path
from typing import Any

import keras
from keras import layers

from braintumor.networks import squeezenet
from braintumor.networks.answering import JointLogits, RegionPooling, TopMean
from braintumor.taxonomy import TUMOR_CLASSES

# Encoder stage and channels of each decoder step, from coarse to fine.
_STEPS = (("fire5", 64), ("fire3", 32), ("conv1", 16))
_DEEPEST_CHANNELS = (128, 96)
_RAREST_LOGIT = -3.0


def build(size: int, weights: Path | None = None) -> keras.Model:
    """Build the network: (n, size, size, 1) grey from 0 to 255 to {"logits": (n, 4), "map": (n, size/2, size/2, 1)}.

    ``map`` holds a logit of tumor a cell. Its highest cells give P(tumor), and the features below them and of the
    whole slice the kind: softmax(logits) is P(tumor) × P(kind | tumor) and 1 - P(tumor). Skip connections as in
    U-Net (Ronneberger et al. 2015, arXiv:1505.04597), narrowed to the decoder's channels. ``size`` is a multiple of
    16; ``weights`` is a file for ``squeezenet.load_imagenet``.
    """
    image = keras.Input((size, size, 1), name="image")
    stages = squeezenet.encode(image, padded=True)
    features = layers.Activation("linear", name="features")(stages["fire9"])
    tumor_map = _decode(features, stages)
    pooled = RegionPooling(name="pooled")([features, tumor_map])
    dropped = layers.Dropout(0.3, name="dropout")(pooled)
    kinds = layers.Dense(len(TUMOR_CLASSES), name="classifier", dtype="float32")(dropped)
    logits = JointLogits(name="logits", dtype="float32")([kinds, TopMean(name="score", dtype="float32")(tumor_map)])
    model = keras.Model(image, {"logits": logits, "map": tumor_map}, name="squeeze_unet")
    if weights is not None:
        squeezenet.load_imagenet(model, weights)
    return model


def _decode(features: Any, stages: dict[str, Any]) -> Any:
    first, second = _DEEPEST_CHANNELS
    x = _convolve(_convolve(features, first, 1, "decode16_skip"), second, 3, "decode16")
    for divisor, (stage, channels) in zip((8, 4, 2), _STEPS, strict=True):
        name = f"decode{divisor}"
        x = layers.UpSampling2D(2, name=f"{name}_up")(x)
        skipped = _convolve(stages[stage], channels, 1, f"{name}_skip")
        x = _convolve(layers.Concatenate(name=f"{name}_concat")([x, skipped]), channels, 3, name)
    # Most cells show no tumor; a start that knows it spares the first steps a large loss.
    rare = keras.initializers.Constant(_RAREST_LOGIT)
    return layers.Conv2D(1, 1, bias_initializer=rare, name="map", dtype="float32")(x)


def _convolve(x: Any, channels: int, kernel: int, name: str) -> Any:
    x = layers.Conv2D(channels, kernel, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.Activation("relu", name=name)(layers.BatchNormalization(momentum=0.98, name=f"{name}_norm")(x))
