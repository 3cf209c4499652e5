"""Reader of flat pictures: PNG, JPEG, BMP, GIF, TIFF and WebP, by content and not by file name."""

import io
import warnings
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from braintumor.scans.color import GRAY, coloring
from braintumor.scans.grayscale import depth, to_gray
from braintumor.scans.limits import Limits, PixelBudget
from braintumor.scans.scan import Scan, ScanError, fill_missing

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
# What Pillow warns of, a size above its own bound or odd metadata, is checked here or of no matter.
warnings.filterwarnings("ignore", module="PIL")

_SMALLEST_SIDE = 16
_COPIES = {"WEBP": 2}
"""How often a format's pixels count: libwebp draws frames on canvases of its own before Pillow has them."""
_EXPORT = "Export it again as PNG or JPEG and try once more."


def may_be_picture(data: bytes, name: str) -> bool:
    """Take any file: what is not a picture is refused when it is read."""
    return True


def read_raster(data: bytes, source: str, sha256: str, limits: Limits, budget: PixelBudget) -> Scan:
    """Read a picture as a scan: one slice, or one for each page of a TIFF file and each frame of an animation.

    Gray values keep the file's range (0 to 255, 0 to 65535, or floats); color turns to luminance (ITU-R BT.601);
    transparent parts turn black; EXIF rotation is applied; what is not a number becomes the lowest value there is. A
    picture that an animation shows only where it cannot run is no slice of it. Raises ``ScanError`` when the bytes are
    no such picture, are damaged, hold more than ``max_slices`` or, over all slices, ``max_pixels`` of ``limits``, or
    more than is left of ``budget``.
    """
    try:
        pixels, facts = _read(data, limits, budget)
        return Scan(fill_missing(pixels), source, sha256, facts=facts)
    except ScanError as error:
        error.source = source
        raise
    except (Image.DecompressionBombError, MemoryError):
        raise _too_large(source) from None
    except UnidentifiedImageError:
        raise ScanError("This file is not a picture that can be read.", _EXPORT, source) from None
    # Decoders of six formats raise nearly every built-in exception on damaged input.
    except Exception:
        raise ScanError("This picture is damaged or cut short.", _EXPORT, source) from None


def _read(
    data: bytes, limits: Limits, budget: PixelBudget
) -> tuple[NDArray[np.float32], dict[str, str | int | float | bool]]:
    image = _open(data)
    twin = cache(partial(_open, data))
    facts: dict[str, str | int | float | bool] = {}
    slices: list[NDArray[np.float32]] = []
    left = limits.max_pixels
    first = 1 if getattr(image, "default_image", False) else 0
    # How many there are is found by walking: a small file may claim thousands of pages, and to count is to visit all.
    for page in range(first, first + limits.max_slices + 1):
        try:
            image.seek(page)
        except EOFError:
            break
        if len(slices) == limits.max_slices:
            reason = f"This file holds more than {limits.max_slices} pictures."
            raise ScanError(reason, "Save fewer of them in one file.")
        pixels = _pixels_held(image)
        if pixels > left:
            raise _too_large()
        _check_size(image.size)
        left -= pixels
        budget.take(pixels)
        bits = depth(image)
        gray, sample = to_gray(image, twin)
        if not facts:
            facts = {"format": str(image.format), "bits": bits, "color": GRAY if sample is None else coloring(sample)}
        slices.append(gray)
    if len({gray.shape for gray in slices}) > 1:
        raise ScanError("The pages of this file differ in size.", "Save each as a file of its own.")
    return slices[0][np.newaxis] if len(slices) == 1 else np.stack(slices), facts


def _open(data: bytes) -> ImageFile:
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _pixels_held(image: ImageFile) -> int:
    """Give the pixels that decoding a frame takes memory for: a tile may be larger than its picture."""
    tile = getattr(image, "tag_v2", {}).get
    in_tile = tile(TiffImagePlugin.TILEWIDTH, 0) * tile(TiffImagePlugin.TILELENGTH, 0)
    return max(image.width * image.height * _COPIES.get(str(image.format), 1), int(in_tile))


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < _SMALLEST_SIDE:
        raise ScanError(
            f"This picture is {width} × {height} pixels, too small to show a brain.",
            f"Use one of at least {_SMALLEST_SIDE} pixels a side.",
        )


def _too_large(source: str = "") -> ScanError:
    return ScanError("This picture has more pixels than are accepted.", "Make it smaller and try again.", source)
