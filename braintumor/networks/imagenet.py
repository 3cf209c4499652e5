"""Backbones of ``keras.applications`` for gray pictures, and where their weights come from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras import layers

from braintumor.errors import InputError

IMAGENET = "imagenet"
"""In the place of a file: fetch the weights that ``keras.applications`` names."""

_MEAN_BGR = (103.939, 116.779, 123.68)


def backbone(
    make: Callable[..., keras.Model], title: str, size: int, weights: Path | str | None
) -> tuple[Any, keras.Model]:
    """Give a gray input (n, size, size, 1) from 0 to 255 and, flat behind it, a backbone without its top.

    Gray is repeated in blue, green and red less the ImageNet mean, as the weights expect it. ``weights`` is "imagenet",
    a "notop" file of ``keras.applications``, or None. Raises ``InputError`` when the weights cannot be fetched, when
    the file holds others, and for a size that is too small.
    """
    image = keras.Input((size, size, 1), name="image")
    x = layers.Concatenate(name="repeated")([image, image, image])
    x = layers.Rescaling(1.0, [-mean for mean in _MEAN_BGR], name="centered")(x)
    try:
        return image, make(include_top=False, weights=str(weights) if weights else None, input_tensor=x)
    except Exception as error:
        # Keras raises a bare Exception when a download fails, so what failed shows in whether it fails without weights.
        _check_size(make, title, size, x)
        if str(weights) == IMAGENET:
            raise InputError(
                f"The ImageNet weights of {title} cannot be fetched ({_first_line(error)}); connect to the internet, "
                f"give --weights a file of them (…_notop.h5 from keras.applications), or omit it."
            ) from error
        if weights is None:
            raise
        raise InputError(
            f"{weights} holds no weights of {title} ({_first_line(error)}); name a …_notop.h5 file of "
            "keras.applications, imagenet, or none."
        ) from error


def _check_size(make: Callable[..., keras.Model], title: str, size: int, x: Any) -> None:
    try:
        make(include_top=False, weights=None, input_tensor=x)
    except ValueError as error:
        raise InputError(
            f"{title} cannot be built for {size} pixels; choose a larger --size, a multiple of 32."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
