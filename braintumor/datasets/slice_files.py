"""Slices of a volume as the files that an index lists: gray pictures of 16 bits, and masks of 0 and 255."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write_picture(file: Path, layer: NDArray[np.int16] | NDArray[np.float32], low: float, high: float) -> None:
    """Write a slice, (height, width), scaled from the smallest to the largest value of its volume, which differ.

    Makes the folder.
    """
    scaled = np.rint((layer.astype(np.float32) - low) / (high - low) * 65535).astype(np.uint16)
    _write(file, Image.fromarray(scaled))


def write_mask(file: Path, mask: NDArray[np.bool_]) -> None:
    """Write the mask of a slice, (height, width); makes the folder."""
    _write(file, Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))))


def _write(file: Path, picture: Image.Image) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
