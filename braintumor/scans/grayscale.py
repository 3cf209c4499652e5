"""From an opened picture to gray values, strip by strip, so that no second copy of a large picture is held."""

import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import Base
from PIL.ImageFile import ImageFile

from braintumor.scans.scan import ScanError

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Share of red, green and blue in luminance. Source: ITU-R BT.601."""
_STRIP = 2**16
"""Pixels a strip: their floats, 1 MB of a picture in four channels, stay in a core's cache."""
_SAMPLE_SIDE = 1024
_BYTE = 8
_COLORED_MODES = ("RGB", "RGBA", "P", "CMYK", "YCbCr")
_DEEP = ("RGB;16", "RGBA;16", "RGBa;16", "RGBX;16", "LA;16")
_SINGLE = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_OTHER_ORDER = {"B": "L", "L": "B"}
_NATIVE_ORDER = "L" if sys.byteorder == "little" else "B"
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
"""What libtiff hands over of what is stored big-endian: of these Pillow forgets that libtiff has turned the bytes."""
_MIN_IS_WHITE = 0
_SEPARATE_PLANES = 2
_TURNS: dict[int, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    2: lambda gray: gray[:, ::-1],
    3: lambda gray: gray[::-1, ::-1],
    4: lambda gray: gray[::-1],
    5: lambda gray: gray.T,
    6: lambda gray: gray.T[:, ::-1],
    7: lambda gray: gray.T[::-1, ::-1],
    8: lambda gray: gray.T[::-1],
}
"""How stored rows and columns are shown, by the orientation in EXIF (CIPA DC-008, tag 274)."""
_Gray = tuple[NDArray[np.float32], NDArray[np.uint8] | None]

# Pillow knows 16 and 32 bits of gray as min-is-black; as min-is-white it refuses most of them, and inverts none.
for _key, _modes in list(TiffImagePlugin.OPEN_INFO.items()):
    if _key[1] == 1 and _modes[0] in _SINGLE:
        TiffImagePlugin.OPEN_INFO.setdefault((_key[0], _MIN_IS_WHITE, *_key[2:]), _modes)


def depth(image: ImageFile) -> int:
    """Give the bits of a channel of the current frame, which is not yet loaded: 8, 16 or 32."""
    if image.mode in ("I", "F"):
        return 32
    return 16 if image.mode.startswith("I;16") or _rawmode(image).startswith(_DEEP) else 8


def to_gray(image: ImageFile, twin: Callable[[], ImageFile]) -> _Gray:
    """Give the current frame of a picture in gray, float32 (height, width), and what tells of its color.

    That is a sample in red, green and blue, uint8 (h, w, 3), at most 1024 pixels a side, None where the frame is stored
    in gray; EXIF's orientation is not applied to it. Gray values keep the file's range; color turns to luminance (ITU-R
    BT.601), and what is transparent to black, as far as it is. EXIF's orientation is applied. NaN stays.
    ``twin`` opens the same file a second time, since of 16-bit color Pillow reads one byte at a time. Raises
    ``ScanError`` for 16-bit color in separate planes or in frames drawn over each other, and Pillow's many errors for
    damage.
    """
    rawmode = _rawmode(image)
    _check_readable(image)
    if rawmode.startswith(_DEEP):
        gray, sample = _deep_gray(image, rawmode, twin)
    else:
        if rawmode in _NATIVE and image.tile[0].codec_name == "libtiff":
            _load_as(image, _NATIVE[rawmode])
        image.load()
        gray = _single(image) if image.mode in _SINGLE else _luminance(image)
        sample = _sample(image) if image.mode in _COLORED_MODES else None
    turn = _TURNS.get(image.getexif().get(Base.Orientation, 1))
    return (np.ascontiguousarray(turn(gray)) if turn else gray), sample


def _strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    width, height = image.size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield slice(top, bottom), image.crop((0, top, width, bottom))


def _single(image: Image.Image) -> NDArray[np.float32]:
    """Take values of one channel as they are; those of TIFF files in which the least is white are inverted."""
    gray = np.empty(image.size[::-1], np.float32)
    tags = getattr(image, "tag_v2", {})
    unsigned = tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0] == 1
    inverted = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _MIN_IS_WHITE
    white = np.float32(65535 if unsigned and image.mode != "I" else 2**32 - 1 if unsigned else 0)
    for rows, strip in _strips(image):
        stored = np.asarray(strip)
        # Pillow takes 32 bits for signed ones.
        stored = stored.astype(np.uint32) if tags and unsigned and stored.dtype == np.int32 else stored
        gray[rows] = white - stored.astype(np.float32) if inverted else stored
    return gray


def _luminance(image: Image.Image) -> NDArray[np.float32]:
    gray = np.empty(image.size[::-1], np.float32)
    for rows, strip in _strips(image):
        # Of a strip, since a GIF's frame may have a palette that Pillow puts into copies only.
        if strip.has_transparency_data:
            rgba = np.asarray(strip.convert("RGBA"), dtype=np.float32)
            gray[rows] = (rgba[..., :3] @ LUMA) * (rgba[..., 3] / np.float32(255))
        elif image.mode in ("1", "L"):
            gray[rows] = np.asarray(strip.convert("L"))
        else:
            gray[rows] = np.asarray(strip.convert("RGB"), dtype=np.float32) @ LUMA
    return gray


def _rawmode(image: ImageFile) -> str:
    """Give Pillow's name of how a frame that is not yet loaded is stored, "" where it has none."""
    args = image.tile[0].args if image.tile else None
    rawmode = args[0] if isinstance(args, tuple) and args else args
    return rawmode if isinstance(rawmode, str) else ""


def _check_readable(image: ImageFile) -> None:
    tags = getattr(image, "tag_v2", {})
    is_separate = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == _SEPARATE_PLANES
    if is_separate and max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) > _BYTE:
        raise _unread_color("Save its channels together, or the slice in shades of gray, and try again.")
    is_deep = _rawmode(image).startswith(_DEEP)
    if is_deep and image.format == "PNG" and getattr(image, "is_animated", False):
        raise _unread_color("Save each frame as a picture of its own and try again.")


def _unread_color(hint: str) -> ScanError:
    return ScanError("This picture holds color of more than 8 bits in a way that cannot be read.", hint)


def _deep_gray(image: ImageFile, rawmode: str, twin: Callable[[], ImageFile]) -> _Gray:
    """Give luminance of 16-bit color, 0 to 65535.

    Pillow keeps one byte of each channel, the first of those that its name for the layout says; asked for the other
    byte order it keeps the other one.
    """
    channels, order = rawmode.split(";16")
    if channels == "LA":
        return _deep_gray_with_alpha(image)
    order = _NATIVE_ORDER if order == "N" else order
    other = twin()
    other.seek(image.tell())
    gray = np.zeros(image.size[::-1], np.float32)
    # What Pillow calls RGBa is black already as far as it is transparent.
    alpha = np.zeros(gray.shape, np.uint16) if channels == "RGBA" else None
    key = np.asarray(image.info.get("transparency", ()), int)
    keyed = np.full(gray.shape, True) if len(key) else None
    samples: list[NDArray[np.int32]] = []
    for half, shift, its_order in ((image, _BYTE, order), (other, 0, _OTHER_ORDER[order])):
        _load_as(half, f"{channels.upper()};16{its_order}")
        for rows, strip in _strips(half):
            values = np.asarray(strip)
            gray[rows] += (values[..., :3].astype(np.float32) @ LUMA) * np.float32(1 << shift)
            if alpha is not None:
                alpha[rows] |= values[..., 3].astype(np.uint16) << shift
            if keyed is not None:
                keyed[rows] &= np.equal(values, key >> shift & 255).all(axis=-1)
        samples.append(_sample(half).astype(np.int32) << shift)
        # Half of a large picture need not lie beside the other half.
        half.im = Image.new(half.mode, (1, 1)).im
    if alpha is not None:
        _shade(gray, alpha)
    if keyed is not None:
        gray[keyed] = 0
    sample = samples[0] | samples[1]
    return gray, (sample >> max(0, int(sample.max()).bit_length() - _BYTE)).astype(np.uint8)


def _deep_gray_with_alpha(image: ImageFile) -> _Gray:
    """Read 16 bits of gray with as many of transparency as four channels of 8 bits."""
    _load_as(image, "RGBA")
    gray = np.empty(image.size[::-1], np.float32)
    for rows, strip in _strips(image):
        values = np.asarray(strip).astype(np.int32)
        gray[rows] = values[..., 0] << _BYTE | values[..., 1]
        _shade(gray[rows], (values[..., 2] << _BYTE | values[..., 3]).astype(np.uint16))
    return gray, None


def _shade(gray: NDArray[np.float32], alpha: NDArray[np.uint16]) -> None:
    """Darken gray values, in place, as far as they are transparent."""
    for line, share in zip(gray, alpha, strict=True):
        line *= share / np.float32(65535)


def _load_as(image: ImageFile, rawmode: str) -> None:
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]
    image.load()


def _sample(image: Image.Image) -> NDArray[np.uint8]:
    """Take enough pixels of a picture in color to see a thin line, (height, width, 3)."""
    factor = min(1.0, _SAMPLE_SIDE / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return np.asarray(image.resize(size, Image.Resampling.NEAREST).convert("RGB"))
