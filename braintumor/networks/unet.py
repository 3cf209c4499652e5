"""A light U-Net decoder on any encoder: first where a tumor is, then of what kind."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from braintumor.networks.heads import TumorLogits, check_task
from braintumor.networks.layers import JointLogits, RegionPooling, TopMean
from braintumor.taxonomy import BINARY, FOUR_CLASS, TUMOR_CLASSES

# By what the picture's side is divided, and channels, of each decoder step from coarse to fine.
_STEPS = ((8, 64), (4, 32))
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


def located(image: Any, features: Any, skips: Mapping[int, Any], name: str, task: str = FOUR_CLASS) -> keras.Model:
    """Join an encoder's stages to a network: (n, size, size, 1) to {"logits": (n, 4), "map": (n, size/2, size/2, 1)}.

    ``features`` are the last ones, at 1/16 of the picture's side, and ``skips`` those at 1/8 and 1/4, by 8 and 4.
    ``map`` holds a logit of tumor a cell. Its highest cells give P(tumor), and the features below them the kind:
    softmax(logits) is P(tumor) × P(kind | tumor) and 1 - P(tumor). With the task "binary" the map's score alone is
    the classifier. Raises ``InputError`` for a task that is none of ``TASKS``.

    Skip connections as in U-Net (Ronneberger et al. 2015, arXiv:1505.04597), added rather than joined as in LinkNet
    (Chaurasia & Culurciello 2017, arXiv:1707.03718) to halve the decoder's work.
    """
    check_task(task)
    features = layers.Activation("linear", name="features")(features)
    tumor_map = _decode(features, skips)
    if task == BINARY:
        logits = TumorLogits(name="logits", dtype="float32")(TopMean(name="classifier", dtype="float32")(tumor_map))
        return keras.Model(image, {"logits": logits, "map": tumor_map}, name=name)
    pooled = RegionPooling(whole=False, name="pooled")([features, tumor_map])
    dropped = layers.Dropout(0.3, name="dropout")(pooled)
    kinds = layers.Dense(len(TUMOR_CLASSES), name="classifier", dtype="float32")(dropped)
    logits = JointLogits(name="logits", dtype="float32")([kinds, TopMean(name="score", dtype="float32")(tumor_map)])
    return keras.Model(image, {"logits": logits, "map": tumor_map}, name=name)


def _decode(features: Any, skips: Mapping[int, Any]) -> Any:
    first, second = _COARSEST_CHANNELS
    x = _convolve(_beside_mirrored(_convolve(features, first, 1, "decode16_skip"), "decode16"), second, 3, "decode16")
    for divisor, channels in _STEPS:
        name = f"decode{divisor}"
        if x.shape[-1] != channels:
            x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_narrow")(x)
        skipped = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_skip_conv")(skips[divisor])
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
