"""Reader of flat pictures: PNG, JPEG, BMP, GIF, TIFF and WebP, by content and not by file name."""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from braintumor.scans.color import GRAY, coloring
from braintumor.scans.scan import Scan, ScanError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
# What Pillow warns of, a size above its own bound or odd metadata, is checked here or of no matter.
warnings.filterwarnings("ignore", module="PIL")

_SMALLEST_SIDE = 16
_SAMPLE_SIDE = 1024
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_EXPORT = "Export it again as PNG or JPEG and try once more."


def read_raster(data: bytes, source: str, sha256: str, max_pixels: int, max_slices: int) -> Scan:
    """Read a picture as a scan: one slice, or one for each page of a TIFF file and each frame of an animation.

    Grey values keep the file's range (0 to 255, 0 to 65535, or floats); color turns to luminance (ITU-R BT.601);
    transparent parts turn black; EXIF rotation is applied. Raises ``ScanError`` when the bytes are no such picture, are
    damaged, or hold more than ``max_slices`` or, over all of them, ``max_pixels``.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(image.size, max_pixels, source)
        image.load()
        bits = 32 if image.mode in ("I", "F") else 16 if image.mode.startswith("I;16") else 8
        sample = _sample(image)
        color = GRAY if sample is None else coloring(sample)
        slices = _slices(image, max_pixels, max_slices, source)
    except ScanError:
        raise
    except (Image.DecompressionBombError, MemoryError):
        raise _too_large(source) from None
    except UnidentifiedImageError:
        raise ScanError("This file is not a picture that can be read.", _EXPORT, source) from None
    # Decoders of six formats raise nearly every built-in exception on damaged input.
    except Exception:
        raise ScanError("This picture is damaged or cut short.", _EXPORT, source) from None
    if not np.isfinite(slices).all():
        raise ScanError("This picture holds values that are no numbers.", _EXPORT, source)
    facts: dict[str, str | int | float | bool] = {"format": str(image.format), "bits": bits, "color": color}
    return Scan(slices, source, sha256, facts=facts)


def _slices(image: Image.Image, max_pixels: int, max_slices: int, source: str) -> NDArray[np.float32]:
    pages: list[NDArray[np.float32]] = []
    left = max_pixels
    # How many there are is found by walking: a small file may claim thousands of pages, and to count is to visit all.
    for page in range(max_slices + 1):
        try:
            image.seek(page)
        except EOFError:
            break
        if page == max_slices:
            raise ScanError(
                f"This file holds more than {max_slices} pictures.", "Save fewer of them in one file.", source
            )
        left -= image.width * image.height
        if left < 0:
            raise _too_large(source)
        pages.append(_to_grey(ImageOps.exif_transpose(image)))
    if len({page.shape for page in pages}) > 1:
        raise ScanError("The pages of this file differ in size.", "Save each as a file of its own.", source)
    return np.stack(pages)


def _check_size(size: tuple[int, int], max_pixels: int, source: str) -> None:
    width, height = size
    if width * height > max_pixels:
        raise _too_large(source)
    if min(size) < _SMALLEST_SIDE:
        raise ScanError(
            f"This picture is {width} × {height} pixels, too small to show a brain.",
            f"Use one of at least {_SMALLEST_SIDE} pixels a side.",
            source,
        )


def _too_large(source: str) -> ScanError:
    return ScanError("This picture has more pixels than are accepted.", "Make it smaller and try again.", source)


def _to_grey(image: Image.Image) -> NDArray[np.float32]:
    if image.mode.startswith("I") or image.mode == "F":
        return np.asarray(image, dtype=np.float32)
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        values = np.asarray(image, dtype=np.float32)
        return values if values.ndim == 2 else values @ _LUMA
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"), dtype=np.float32)
        shown: NDArray[np.float32] = (rgba[..., :3] @ _LUMA) * (rgba[..., 3] / np.float32(255))
        return shown
    return np.asarray(image.convert("RGB"), dtype=np.float32) @ _LUMA


def _sample(image: Image.Image) -> NDArray[np.uint8] | None:
    """Take enough pixels of a picture in color to see a thin line, (height, width, 3); None of one in gray."""
    if image.mode not in ("RGB", "RGBA", "P", "CMYK", "YCbCr"):
        return None
    factor = min(1.0, _SAMPLE_SIDE / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.NEAREST))
