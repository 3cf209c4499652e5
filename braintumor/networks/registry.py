"""One list of all networks; it drives training, export and the tests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from braintumor.errors import InputError
from braintumor.networks import squeeze_unet, squeezenet

FEATURE_LAYER = "features"
"""Layer whose output, (n, height, width, channels), is averaged and weighed by the classifier."""

CLASSIFIER_LAYER = "classifier"
"""Dense layer with a unit for each of ``CLASSES``, in order; a network that locates tumors has none for "notumor"."""


@dataclass(frozen=True)
class Network:
    """A network that can be built.

    ``size`` is the square input it was made for in pixels, ``source`` who published it. ``early_layers`` name the
    layers whose mean activations, beside the last ones, tell scans from pictures of another kind. The center of the
    last feature map's first cell lies ``first`` pixels from the picture's edge, the others ``step`` apart.
    """

    name: str
    size: int
    source: str
    early_layers: tuple[str, ...]
    first: float
    step: float
    build: Callable[[int, Path | None], keras.Model]


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network(
            "squeeze_unet",
            192,
            "SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360) with batch normalization as encoder of a light "
            "U-Net (Ronneberger et al. 2015, arXiv:1505.04597)",
            ("fire3_norm", "fire5_norm"),
            10.5,
            16.0,
            squeeze_unet.build,
        ),
        Network(
            "squeezenet",
            192,
            "SqueezeNet 1.1, Iandola et al. 2016, arXiv:1602.07360, with batch normalization and a linear head",
            ("fire3_norm", "fire5_norm"),
            15.5,
            16.0,
            squeezenet.build,
        ),
    )
}
DEFAULT = "squeeze_unet"


def registered(name: str) -> Network:
    """Give a network by its name; raises ``InputError`` for one that is not registered."""
    if name not in NETWORKS:
        raise InputError(f"The network is {name!r}; it must be one of {', '.join(NETWORKS)}.")
    return NETWORKS[name]


def build(name: str, *, size: int | None = None, weights: Path | None = None) -> keras.Model:
    """Build a network: input (n, size, size, 1) grey from 0 to 255, output {"logits": (n, 4)}.

    Logits are in the order of ``CLASSES``. A network that locates tumors adds "map", logits (n, height, width, 1).
    ``weights`` is a file of ImageNet weights to start from. Raises ``InputError`` for a name that is not registered.
    """
    network = registered(name)
    return network.build(size or network.size, weights)
