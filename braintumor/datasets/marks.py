"""Marks as readers, viewers and web sites draw them over a scan: words, rings, arrows, lines, rulers and boxes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Gray = NDArray[np.uint8]
Random = np.random.Generator

_FINER = 3
"""Marks are drawn this many times finer and shrunk, which gives strokes soft edges and any width."""
_SIGNS = "ABCDEFGHIKLMNOPRSTUVXYZabcdefghiklmnoprstuvxyz0123456789©.@"
_FAINTEST, _LEAST_CHANGE = 0.15, 10.0


@dataclass(frozen=True)
class Marked:
    """A picture with marks, uint8 (height, width), and where they are seen, bool of the same shape."""

    picture: Gray
    seen: NDArray[np.bool_]


def draw_marks(picture: Gray, random: Random) -> Marked:
    """Draw one to three marks somewhere on a picture, uint8 (height, width).

    Kind, size, place, gray value, width of the strokes and opacity are drawn at random; words may fill the picture or
    be as small as a label. Where a mark changes the picture by less than a reader would see, it does not count.
    """
    changed = picture.astype(np.float32)
    for _ in range(random.integers(1, 4)):
        kind = _KINDS[random.integers(0, len(_KINDS))]
        opacity = 1.0 if random.random() < 0.5 else random.uniform(_FAINTEST, 1.0)
        value = 255.0 if random.random() < 0.6 else random.uniform(0, 255)
        changed = _laid(changed, _cover(kind, picture.shape, random), value, opacity)
    seen = np.abs(changed - picture) >= _LEAST_CHANGE
    return Marked(np.asarray(np.rint(changed), dtype=np.uint8), np.asarray(seen, dtype=np.bool_))


def _laid(
    picture: NDArray[np.float32], cover: NDArray[np.float32], value: float, opacity: float
) -> NDArray[np.float32]:
    share = np.float32(opacity) * cover
    return np.asarray(picture * (1 - share) + np.float32(value) * share, dtype=np.float32)


def _cover(kind: "Drawer", shape: tuple[int, ...], random: Random) -> NDArray[np.float32]:
    """Draw one mark and give how much of each pixel it covers, 0 to 1."""
    height, width = shape
    layer = Image.new("L", (width * _FINER, height * _FINER), 0)
    layer = kind(layer, random)
    small = layer.resize((width, height), Image.Resampling.BOX)
    cover = np.asarray(small, dtype=np.float32) / 255
    # Simple programs draw without soft edges.
    return np.asarray(np.rint(cover) if random.random() < 0.3 else cover, dtype=np.float32)


def _stroke(layer: Image.Image, random: Random) -> int:
    """Width of a stroke in pixels of the layer: 0.3 to 1.6 % of the longer side."""
    return max(_FINER, round(max(layer.size) * random.uniform(0.003, 0.016)))


def _word(layer: Image.Image, random: Random) -> Image.Image:
    """One word across the picture, at any angle, or repeated as a pattern."""
    share = random.uniform(0.4, 1.1)
    text = "".join(random.choice(list(_SIGNS), random.integers(4, 13)))
    return _pasted(layer, text, share / len(text) * 1.7, random, repeats=int(random.choice([1, 1, 1, 4])))


def _label(layer: Image.Image, random: Random) -> Image.Image:
    """A few small signs, as the number of a lesion or a length."""
    text = "".join(random.choice(list(_SIGNS), random.integers(1, 7)))
    return _pasted(layer, text, random.uniform(0.04, 0.12), random, repeats=int(random.integers(1, 4)))


def _pasted(layer: Image.Image, text: str, share: float, random: Random, repeats: int) -> Image.Image:
    """Set a text, its signs ``share`` of the picture's width high, thin or bold, narrow or slanted, and turned."""
    size = max(6 * _FINER, round(share * layer.width))
    font = ImageFont.load_default(size)
    bold = int(random.choice([0, 0, size // 24, size // 12]))
    left, top, right, bottom = font.getbbox(text, stroke_width=bold)
    canvas = Image.new("L", (int(right - left) + size, int(bottom - top) + size), 0)
    ImageDraw.Draw(canvas).text((size / 2 - left, size / 2 - top), text, fill=255, font=font, stroke_width=bold)
    narrowed = canvas.resize((max(1, round(canvas.width * random.uniform(0.6, 1.2))), canvas.height))
    slant = random.choice([0.0, 0.0, 0.25])
    slanted = narrowed.transform(
        narrowed.size, Image.Transform.AFFINE, (1, slant, -slant * narrowed.height / 2, 0, 1, 0)
    )
    turned = slanted.rotate(
        random.choice([0.0, 0.0, 30.0, 45.0, 90.0, -30.0]) + random.uniform(-5, 5),
        expand=True,
        resample=Image.Resampling.BILINEAR,
    )
    for _ in range(repeats):
        x, y = _place(layer, random)
        layer.paste(255, (int(x - turned.width / 2), int(y - turned.height / 2)), turned)
    return layer


def _place(layer: Image.Image, random: Random) -> tuple[float, float]:
    """Draw a point, more often near the middle than at the edges."""
    x, y = np.clip(random.normal(0.5, 0.2, 2), 0.05, 0.95)
    return float(x * layer.width), float(y * layer.height)


def _box(layer: Image.Image, random: Random) -> tuple[float, float, float, float]:
    x, y = _place(layer, random)
    half = random.uniform(0.03, 0.3) * min(layer.size)
    across, down = half * random.uniform(0.6, 1.4, 2)
    return x - across, y - down, x + across, y + down


def _ring(layer: Image.Image, random: Random) -> Image.Image:
    ImageDraw.Draw(layer).ellipse(_box(layer, random), outline=255, width=_stroke(layer, random))
    return layer


def _frame(layer: Image.Image, random: Random) -> Image.Image:
    ImageDraw.Draw(layer).rectangle(_box(layer, random), outline=255, width=_stroke(layer, random))
    return layer


def _outline(layer: Image.Image, random: Random) -> Image.Image:
    """A closed line of many corners, as a lesion is drawn around by hand."""
    x, y = _place(layer, random)
    radius = random.uniform(0.04, 0.2) * min(layer.size)
    turns = np.linspace(0, 2 * np.pi, random.integers(8, 30))
    waves = 1 + 0.25 * np.sin(turns * random.integers(2, 5) + random.uniform(0, 6))
    points = [(x + radius * w * np.cos(t), y + radius * w * np.sin(t)) for t, w in zip(turns, waves, strict=True)]
    ImageDraw.Draw(layer).line([*points, points[0]], fill=255, width=_stroke(layer, random), joint="curve")
    return layer


def _arrow(layer: Image.Image, random: Random) -> Image.Image:
    """A line with a filled head, a head alone, or a line alone."""
    (x, y), angle = _place(layer, random), random.uniform(0, 2 * np.pi)
    length, head = random.uniform(0.06, 0.3) * layer.width, random.uniform(0.02, 0.06) * layer.width
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    tip, draw, drawn = np.array([x, y]), ImageDraw.Draw(layer), random.choice(["both", "both", "head", "line"])
    if drawn != "head":
        draw.line([*tip, *(tip - length * along)], fill=255, width=_stroke(layer, random))
    if drawn != "line":
        wings = [tip - head * (along + side * across * random.uniform(0.4, 0.8)) for side in (1, -1)]
        draw.polygon([tuple(tip), tuple(wings[0]), tuple(wings[1])], fill=255)
    return layer


def _crosshair(layer: Image.Image, random: Random) -> Image.Image:
    """A line across and one down the whole picture, with or without a gap where they meet; or a small cross."""
    (x, y), draw, width = _place(layer, random), ImageDraw.Draw(layer), max(_FINER, _stroke(layer, random) // 2)
    gap = random.choice([0.0, 0.0, 0.04]) * layer.width
    reach = layer.width if random.random() < 0.6 else random.uniform(0.04, 0.2) * layer.width
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        draw.line([x + gap * dx, y + gap * dy, x + reach * dx, y + reach * dy], fill=255, width=width)
    return layer


def _ruler(layer: Image.Image, random: Random) -> Image.Image:
    """A line with ticks, or dashes with a short line at either end, as lengths are measured."""
    (x, y), angle = _place(layer, random), random.uniform(0, np.pi)
    length, width = random.uniform(0.1, 0.5) * layer.width, max(_FINER, _stroke(layer, random) // 2)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    start, draw, steps = np.array([x, y]) - length / 2 * along, ImageDraw.Draw(layer), int(random.integers(8, 20))
    ticked = random.random() < 0.5
    for step in range(steps + 1):
        point = start + length * step / steps * along
        tick = 0.012 * layer.width * across
        if ticked or step in (0, steps):
            draw.line([*(point - tick), *(point + tick)], fill=255, width=width)
        if ticked or step % 2 == 0:
            draw.line([*point, *(point + length / steps * along)], fill=255, width=width)
    return layer


Drawer = Callable[[Image.Image, Random], Image.Image]
_KINDS: tuple[Drawer, ...] = (_word, _word, _word, _label, _ring, _frame, _outline, _arrow, _crosshair, _ruler)
