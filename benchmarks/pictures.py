"""Pictures to measure with: phantom heads, each with its own noise."""

import io

import numpy as np
from PIL import Image

from braintumor.scans import phantom


def pngs(count: int) -> list[bytes]:
    """Draw ``count`` different phantom heads of 256 × 256 pixels, every second with a tumor, as PNG files."""
    heads = [phantom(256, tumor=bool(number % 2), seed=number).astype(np.int16) for number in range(20)]
    random = np.random.default_rng(0)
    files = []
    for number in range(count):
        noisy = heads[number % len(heads)] + random.integers(-8, 9, (256, 256), dtype=np.int16)
        file = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(file, "PNG")
        files.append(file.getvalue())
    return files


def jpegs(count: int) -> list[bytes]:
    """Draw ``count`` different phantom heads of 512 × 512 pixels as JPEG files."""
    head = phantom(512).astype(np.int16)
    random = np.random.default_rng(0)
    files = []
    for _ in range(count):
        noisy = head + random.integers(-8, 9, head.shape, dtype=np.int16)
        file = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files
