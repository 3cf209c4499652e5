"""SqueezeNet encoder and a light U-Net decoder: first where a tumor is, then of what kind."""

from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from braintumor.networks import squeezenet
from braintumor.networks.answering import JointLogits, RegionPooling, TopMean
from braintumor.taxonomy import TUMOR_CLASSES

# Encoder stage and channels of each decoder step, from coarse to fine.
_STEPS = ((8, "fire5", 64), (4, "fire3", 32))
_COARSEST_CHANNELS = (96, 64)
_MIRRORED_CHANNELS = 32
_RAREST_LOGIT = -3.0


@keras.saving.register_keras_serializable("braintumor")
class Mirrored(layers.Layer):
    """Mirror features (n, h, w, c) from left to right, so that each place can be compared with the other side's.

    Heads are cut out upright and centered, and a healthy one is nearly its own mirror image. Without ``turned`` they
    stay as they are, to measure what the comparison is worth.
    """

    def __init__(self, turned: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.turned = turned

    def call(self, inputs: Any) -> Any:
        return ops.flip(inputs, axis=2) if self.turned else inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "turned": self.turned}


def build(size: int, weights: Path | None = None) -> keras.Model:
    """Build the network: (n, size, size, 1) grey from 0 to 255 to {"logits": (n, 4), "map": (n, size/2, size/2, 1)}.

    ``map`` holds a logit of tumor a cell. Its highest cells give P(tumor), and the features below them the kind:
    softmax(logits) is P(tumor) × P(kind | tumor) and 1 - P(tumor). Skip connections as in U-Net (Ronneberger et al.
    2015, arXiv:1505.04597), added rather than joined as in LinkNet (Chaurasia & Culurciello 2017, arXiv:1707.03718)
    to halve the decoder's work. ``size`` is a multiple of 16; ``weights`` is a file for ``squeezenet.load_imagenet``.
    """
    image = keras.Input((size, size, 1), name="image")
    stages = squeezenet.encode(image, padded=True)
    features = layers.Activation("linear", name="features")(stages["fire9"])
    tumor_map = _decode(features, stages)
    pooled = RegionPooling(whole=False, name="pooled")([features, tumor_map])
    dropped = layers.Dropout(0.3, name="dropout")(pooled)
    kinds = layers.Dense(len(TUMOR_CLASSES), name="classifier", dtype="float32")(dropped)
    logits = JointLogits(name="logits", dtype="float32")([kinds, TopMean(name="score", dtype="float32")(tumor_map)])
    model = keras.Model(image, {"logits": logits, "map": tumor_map}, name="squeeze_unet")
    if weights is not None:
        squeezenet.load_imagenet(model, weights)
    return model


def _decode(features: Any, stages: dict[str, Any]) -> Any:
    first, second = _COARSEST_CHANNELS
    x = _convolve(_beside_mirrored(_convolve(features, first, 1, "decode16_skip"), "decode16"), second, 3, "decode16")
    for divisor, stage, channels in _STEPS:
        name = f"decode{divisor}"
        if x.shape[-1] != channels:
            x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_narrow")(x)
        skipped = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_skip_conv")(stages[stage])
        skipped = layers.BatchNormalization(momentum=0.98, name=f"{name}_skip_norm")(skipped)
        x = layers.Add(name=f"{name}_add")([layers.UpSampling2D(2, name=f"{name}_up")(x), skipped])
        x = layers.Activation("relu", name=f"{name}_sum")(x)
        if divisor == _STEPS[0][0]:
            x = _beside_mirrored(x, name, _MIRRORED_CHANNELS)
        x = _convolve(x, channels, 3, name)
    # Most cells show no tumor; a start that knows it spares the first steps a large loss.
    rare = keras.initializers.Constant(_RAREST_LOGIT)
    return layers.Conv2DTranspose(1, 2, strides=2, bias_initializer=rare, name="map", dtype="float32")(x)


def _beside_mirrored(x: Any, name: str, channels: int | None = None) -> Any:
    """Join features and their mirror image, narrowed first where ``channels`` says so."""
    other = _convolve(x, channels, 1, f"{name}_other") if channels else x
    return layers.Concatenate(name=f"{name}_both")([x, Mirrored(name=f"{name}_mirrored")(other)])


def _convolve(x: Any, channels: int, kernel: int, name: str) -> Any:
    x = layers.Conv2D(channels, kernel, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.Activation("relu", name=name)(layers.BatchNormalization(momentum=0.98, name=f"{name}_norm")(x))
