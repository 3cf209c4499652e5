"""The first stages of EfficientNet-Lite0 as encoder of the U-Net of ``unet``."""

from pathlib import Path

import keras

from braintumor.networks import efficientnet_lite
from braintumor.networks.unet import located
from braintumor.taxonomy import FOUR_CLASS

_KEPT_BLOCKS = 3


def build(size: int, weights: Path | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the network: (n, size, size, 1) gray from 0 to 255 to what ``unet.located`` gives.

    ``size`` is a multiple of 16; ``weights`` is a file for ``efficientnet_lite.load_imagenet``. Of these the first
    blocks, down to a quarter of the side, stay as they are: training them too takes twice the time.
    """
    image = keras.Input((size, size, 1), name="image")
    stages = efficientnet_lite.encode(image)
    model = located(image, stages[16], stages, "efficient_unet", task)
    if weights is not None:
        efficientnet_lite.load_imagenet(model, weights)
        efficientnet_lite.freeze(model, blocks=_KEPT_BLOCKS)
    return model
