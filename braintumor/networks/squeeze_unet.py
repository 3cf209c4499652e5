"""SqueezeNet 1.1 as encoder of the U-Net of ``unet``."""

from pathlib import Path

import keras

from braintumor.networks import squeezenet
from braintumor.networks.unet import located
from braintumor.taxonomy import FOUR_CLASS


def build(size: int, weights: Path | None = None, task: str = FOUR_CLASS) -> keras.Model:
    """Build the network: (n, size, size, 1) gray from 0 to 255 to what ``unet.located`` gives.

    ``size`` is a multiple of 16; ``weights`` is a file for ``squeezenet.load_imagenet``.
    """
    image = keras.Input((size, size, 1), name="image")
    stages = squeezenet.encode(image, padded=True)
    model = located(image, stages["fire9"], {8: stages["fire5"], 4: stages["fire3"]}, "squeeze_unet", task)
    if weights is not None:
        squeezenet.load_imagenet(model, weights)
    return model
