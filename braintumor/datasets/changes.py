"""What happens to a scan before it reaches the app: turned, framed, compressed, exported, photographed, drawn on."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy import ndimage

Gray = NDArray[np.uint8]
"""A picture, uint8 (height, width)."""

_JET = ((0, 0, 128), (0, 0, 255), (0, 255, 255), (255, 255, 0), (255, 0, 0), (128, 0, 0))
_HOT = ((0, 0, 0), (230, 0, 0), (255, 210, 0), (255, 255, 255))
_SEPIA = ((0, 0, 0), (112, 66, 20), (255, 245, 220))
_TINT = ((0, 0, 0), (90, 130, 190), (225, 240, 255))


@dataclass(frozen=True)
class Change:
    """One change: ``make`` turns a picture, uint8 (height, width), into the bytes of the file that a user sends.

    ``says`` puts it in words. ``keeps`` tells that all a reader needs is still there and nothing was added to the head,
    so that the app should answer as before; after any other change it may refer, but never call a tumor where it
    called none before or clear one.
    """

    name: str
    says: str
    keeps: bool
    make: Callable[[Gray], bytes]


def _file(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    stored = io.BytesIO()
    image.save(stored, kind, **options)
    return stored.getvalue()


def _png(change: Callable[[Gray], NDArray[np.generic]], picture: Gray) -> bytes:
    changed = np.clip(np.rint(np.asarray(change(picture), dtype=np.float64)), 0, 255)
    return _file(Image.fromarray(changed.astype(np.uint8)))


def _stored(kind: str, picture: Gray, **options: int) -> bytes:
    return _file(Image.fromarray(picture), kind, **options)


def _turned(degrees: float, picture: Gray) -> Gray:
    image = Image.fromarray(picture)
    return np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR, expand=True))


def _resized(side: int, picture: Gray) -> Gray:
    image = Image.fromarray(picture)
    factor = side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def _cropped(share: float, picture: Gray) -> Gray:
    margins = [round(side * (1 - share) / 2) for side in picture.shape]
    return picture[margins[0] : picture.shape[0] - margins[0], margins[1] : picture.shape[1] - margins[1]]


def _gamma(exponent: float, picture: Gray) -> NDArray[np.float64]:
    return 255 * (picture / 255) ** exponent


def _noisy(spread: float, picture: Gray) -> NDArray[np.float64]:
    return picture + np.random.default_rng(0).normal(0, spread, picture.shape)


def _blurred(sigma: float, picture: Gray) -> NDArray[np.float64]:
    return np.asarray(ndimage.gaussian_filter(picture.astype(np.float64), sigma))


def _bordered(value: int, picture: Gray) -> Gray:
    return np.pad(picture, round(0.12 * max(picture.shape)), constant_values=value)


def _letterboxed(picture: Gray) -> Gray:
    """On the black of a wide screen."""
    height, width = picture.shape
    beside = max(0, round(height * 16 / 9) - width) // 2
    return np.pad(picture, ((0, 0), (beside, beside)))


def _placed_small(picture: Gray) -> Gray:
    """A fifth as wide as the black around it."""
    return np.pad(picture, [(2 * side, 2 * side) for side in picture.shape])


def _sixteen_bits(picture: Gray, span: int, lowest: int = 0) -> bytes:
    values = lowest + np.rint(picture.astype(np.float64) * span / 255)
    return _file(Image.fromarray(values.astype(np.uint16)))


def _min_is_white(picture: Gray) -> bytes:
    values = (65535 - np.rint(picture.astype(np.float64) * 257)).astype(np.uint16)
    stored = io.BytesIO()
    # Tag 262 says that 0 stands for white.
    Image.fromarray(values).save(stored, "TIFF", tiffinfo={262: 0})
    return stored.getvalue()


def _floats(picture: Gray) -> bytes:
    return _file(Image.fromarray((picture / np.float32(255)).astype(np.float32)), "TIFF")


def _rgb(picture: Gray) -> bytes:
    return _file(Image.fromarray(picture).convert("RGB"))


def _with_alpha(picture: Gray) -> bytes:
    return _file(Image.fromarray(picture).convert("RGBA"))


def _mapped(stops: tuple[tuple[int, int, int], ...], picture: Gray) -> bytes:
    """Give each gray value the color that lies there between the stops."""
    places = np.linspace(0, 255, len(stops))
    table = np.stack([np.interp(np.arange(256), places, band) for band in zip(*stops, strict=True)], axis=-1)
    return _file(Image.fromarray(np.rint(table).astype(np.uint8)[picture]))


def _inverted(picture: Gray) -> Gray:
    return 255 - picture


def _pair(picture: Gray) -> Gray:
    return np.hstack([picture, picture[:, ::-1]])


def _sheet(picture: Gray) -> Gray:
    return np.vstack([_pair(picture), _pair(picture)])


def _screenshot(picture: Gray) -> bytes:
    """A viewer's window: a bar with a menu, a column of small pictures, the scan on black."""
    scan = Image.fromarray(picture)
    width, height = 2 * scan.width, round(1.4 * scan.height)
    window = Image.new("L", (width, height), 60)
    draw, bar, column = ImageDraw.Draw(window), max(14, height // 12), width // 8
    draw.rectangle((0, 0, width, bar), fill=200)
    draw.text((6, bar / 8), "File  Edit  View  Tools  Help", fill=20, font=ImageFont.load_default(0.6 * bar))
    draw.rectangle((0, bar, column, height), fill=90)
    for number in range(4):
        top = bar + 8 + number * (column + 4)
        draw.rectangle((8, top, column - 8, top + column - 16), fill=30, outline=140)
    window.paste(scan, (column + (width - column - scan.width) // 2, bar + (height - bar - scan.height) // 2))
    return _file(window)


def _light_box(picture: Gray) -> Gray:
    """A film, black around the scan, on a bright box."""
    film = np.pad(picture, round(0.08 * max(picture.shape)), constant_values=8)
    return np.pad(film, round(0.15 * max(picture.shape)), constant_values=235)


def _phone_photo(picture: Gray) -> bytes:
    """A photo of a screen taken aslant: a bluish cast, a glow from a corner, the stripes of the screen's grid."""
    scan = Image.fromarray(picture).resize((420, round(420 * picture.shape[0] / picture.shape[1])))
    screen = ImageOps.expand(ImageOps.expand(scan, 90, 12), 60, 70)
    width, height = screen.size
    aslant = (0.03 * width, 0.02 * height, 0, height, width, 0.96 * height, 0.97 * width, 0)
    seen = screen.transform(screen.size, Image.Transform.QUAD, aslant, Image.Resampling.BILINEAR)
    y, x = np.mgrid[:height, :width]
    glow = 28 * np.exp(-((np.hypot(x - 0.85 * width, y - 0.15 * height) / (0.5 * width)) ** 2))
    stripes = 1 + 0.05 * np.sin(0.9 * x + 0.11 * y) * np.sin(0.83 * y - 0.07 * x)
    shade = (18 + 0.82 * np.asarray(seen, dtype=np.float64)) * stripes + glow
    colored = shade[..., np.newaxis] * np.array([0.93, 1.0, 1.08])
    colored += np.random.default_rng(0).normal(0, 3, colored.shape)
    return _file(Image.fromarray(np.clip(np.rint(colored), 0, 255).astype(np.uint8)), "JPEG", quality=80)


def _drawn(draw: Callable[[Image.Image], None], picture: Gray) -> bytes:
    image = Image.fromarray(picture)
    if draw in _IN_COLOR:
        image = image.convert("RGB")
    draw(image)
    return _file(image)


def _corner_text(image: Image.Image) -> None:
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(max(7, image.height // 28))
    for place, words, anchor in (((3, 2), "R 12", "la"), ((image.width - 3, image.height - 3), "TE 90", "rs")):
        draw.text(place, words, fill=230, font=font, anchor=anchor)


def _watermark(opacity: float, picture: Gray) -> bytes:
    """One word across the picture, turned by 30 degrees, as stock sites print it."""
    layer = Image.new("L", (picture.shape[1], picture.shape[0]), 0)
    font = ImageFont.load_default(picture.shape[1] / 6.5)
    ImageDraw.Draw(layer).text((layer.width / 2, layer.height / 2), "stockphoto", fill=255, font=font, anchor="mm")
    cover = opacity * np.asarray(layer.rotate(30, Image.Resampling.BILINEAR)) / 255
    return _png(lambda shown: shown * (1 - cover) + 255 * cover, picture)


def _ring(image: Image.Image, color: str) -> None:
    width, height = image.size
    box = (0.3 * width, 0.3 * height, 0.56 * width, 0.58 * height)
    ImageDraw.Draw(image).ellipse(box, outline=color, width=max(1, width // 110))


def _arrow(image: Image.Image, color: str) -> None:
    width, height = image.size
    draw = ImageDraw.Draw(image)
    draw.line((0.82 * width, 0.18 * height, 0.65 * width, 0.35 * height), fill=color, width=max(1, width // 110))
    points = ((0.63, 0.37), (0.70, 0.34), (0.66, 0.30))
    draw.polygon([(x * width, y * height) for x, y in points], fill=color)


def _colored_ring_and_arrow(image: Image.Image) -> None:
    _ring(image, "yellow")
    _arrow(image, "red")


def _white_ring(image: Image.Image) -> None:
    _ring(image, "white")


def _white_arrow(image: Image.Image) -> None:
    _arrow(image, "white")


def _crosshair(image: Image.Image, across: str, down: str) -> None:
    draw, (width, height) = ImageDraw.Draw(image), image.size
    draw.line((0, height // 2, width, height // 2), fill=across)
    draw.line((width // 2, 0, width // 2, height), fill=down)


def _colored_crosshair(image: Image.Image) -> None:
    _crosshair(image, "red", "lime")


def _white_crosshair(image: Image.Image) -> None:
    _crosshair(image, "white", "white")


_IN_COLOR = frozenset({_colored_ring_and_arrow, _colored_crosshair})

_MOVED = (
    *(
        Change(f"turned {turn}", f"turned by {turn}°", True, partial(_png, partial(_turned, turn)))
        for turn in (90, 180, 270)
    ),
    Change("mirrored", "mirrored left to right", True, partial(_png, np.fliplr)),
    Change("upside down", "mirrored top to bottom", True, partial(_png, np.flipud)),
    *(
        Change(f"turned {turn:+}", f"turned by {turn}°", True, partial(_png, partial(_turned, turn)))
        for turn in (10, -10, 30)
    ),
    *(
        Change(f"{side} px", f"resized to {side} pixels", side >= 64, partial(_png, partial(_resized, side)))
        for side in (32, 64, 128, 512, 1024)
    ),
    *(
        Change(
            f"crop {share:.0%}",
            f"the middle {share:.0%} of either side",
            False,
            partial(_png, partial(_cropped, share)),
        )
        for share in (0.8, 0.6)
    ),
)
_SHADED = (
    *(Change(f"gamma {value}", f"gamma {value}", True, partial(_png, partial(_gamma, value))) for value in (0.6, 1.6)),
    Change("darkened", "half as bright", True, partial(_png, lambda picture: 0.5 * picture)),
    Change("negative", "a negative", True, partial(_png, _inverted)),
    *(
        Change(
            f"noise {spread}", f"noise of {spread} of 255 gray values", False, partial(_png, partial(_noisy, spread))
        )
        for spread in (10, 25)
    ),
    *(
        Change(f"blur {sigma}", f"blurred by {sigma} pixels", False, partial(_png, partial(_blurred, sigma)))
        for sigma in (1, 2)
    ),
)
_EXPORTED = (
    *(
        Change(
            f"JPEG {quality}", f"JPEG of quality {quality}", quality >= 20, partial(_stored, "JPEG", quality=quality)
        )
        for quality in (90, 20, 5)
    ),
    Change("WebP", "WebP of quality 50", True, partial(_stored, "WEBP", quality=50)),
    Change("GIF", "GIF", True, partial(_stored, "GIF")),
    Change("RGB", "three equal bands", True, _rgb),
    Change("alpha", "with an alpha band", True, _with_alpha),
    Change("16-bit", "16 bits, full range", True, partial(_sixteen_bits, span=65535)),
    Change("12-bit in 16", "16 bits of which 12 are used", True, partial(_sixteen_bits, span=4095)),
    Change("16-bit, high black", "16 bits, black at 1000", True, partial(_sixteen_bits, span=2000, lowest=1000)),
    Change("16-bit min is white", "16-bit TIFF in which 0 is white", True, _min_is_white),
    Change("float", "TIFF of floats from 0 to 1", True, _floats),
    Change("sepia", "in brown tones", False, partial(_mapped, _SEPIA)),
    Change("tint", "in blue tones", False, partial(_mapped, _TINT)),
    Change("jet", "in rainbow colors", False, partial(_mapped, _JET)),
    Change("hot", "in colors from black over red to white", False, partial(_mapped, _HOT)),
)
_FRAMED = (
    *(
        Change(f"{name} border", f"a {name} border", True, partial(_png, partial(_bordered, value)))
        for name, value in (("gray", 128), ("white", 255), ("black", 0))
    ),
    Change("letterbox", "on a wide black screen", True, partial(_png, _letterboxed)),
    Change("placed small", "a fifth as wide as the black around it", False, partial(_png, _placed_small)),
    Change("screenshot", "a screenshot of a viewer", True, _screenshot),
    Change("light box", "a film on a light box", True, partial(_png, _light_box)),
    Change("phone photo", "a photo of a screen", False, _phone_photo),
    Change("pair", "beside its mirror image", False, partial(_png, _pair)),
    Change("sheet", "four times on one sheet", False, partial(_png, _sheet)),
)
_MARKED = (
    Change("corner text", "letters in two corners", True, partial(_drawn, _corner_text)),
    Change("watermark", "a word across, half transparent", False, partial(_watermark, 0.55)),
    Change("faint watermark", "a word across, hardly seen", False, partial(_watermark, 0.25)),
    Change("colored ring and arrow", "a yellow ring and a red arrow", False, partial(_drawn, _colored_ring_and_arrow)),
    Change("white ring", "a white ring", False, partial(_drawn, _white_ring)),
    Change("white arrow", "a white arrow", False, partial(_drawn, _white_arrow)),
    Change("colored crosshair", "a red and a green line across", False, partial(_drawn, _colored_crosshair)),
    Change("white crosshair", "two white lines across", False, partial(_drawn, _white_crosshair)),
)

UNCHANGED = Change("unchanged", "as it is", True, partial(_stored, "PNG"))

CHANGES: tuple[Change, ...] = (*_MOVED, *_SHADED, *_EXPORTED, *_FRAMED, *_MARKED)
"""Every change, by what it does."""
