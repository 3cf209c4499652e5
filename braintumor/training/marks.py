"""Marks that people draw on pictures of scans, on those with a tumor and without alike, so that they are no clue."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Draw = Callable[[ImageDraw.ImageDraw, int, int, np.random.Generator], None]

_WORDS = ("R", "L", "A", "P", "AX T1", "T1 C+", "FLAIR", "SE 4 IM 12", "TR 500 TE 15", "5.0 mm", "W 400 C 40", "MRI")
_WATERMARKS = ("radiology", "case 1024", "sample", "www.example.org")
_BRIGHT = 120
"""Darkest gray of a mark; darker ones do not show on a head."""


def mark(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw lettering, a ring, an arrow, a crosshair or a watermark on a picture, uint8 (size, size).

    Each lies anywhere, whatever the picture shows there.
    """
    image = Image.fromarray(picture)
    draw = MARKS[int(random.integers(len(MARKS)))]
    draw(ImageDraw.Draw(image), len(picture), int(random.integers(_BRIGHT, 256)), random)
    return np.asarray(image)


def _lettering(canvas: ImageDraw.ImageDraw, side: int, gray: int, random: np.random.Generator) -> None:
    """Write a few words near the edges, as viewers do."""
    font = ImageFont.load_default(size=max(8.0, side * random.uniform(0.035, 0.07)))
    for _ in range(int(random.integers(1, 6))):
        near, along = random.uniform(0.01, 0.12) * side, random.uniform(0.02, 0.85) * side
        far = near if random.random() < 1 / 2 else side * 0.95 - near
        place = (along, far) if random.random() < 1 / 2 else (far, along)
        canvas.text(place, str(random.choice(_WORDS)), fill=gray, font=font)


def _ring(canvas: ImageDraw.ImageDraw, side: int, gray: int, random: np.random.Generator) -> None:
    x, y = random.uniform(0.2, 0.8, 2) * side
    wide, high = random.uniform(0.04, 0.2, 2) * side
    canvas.ellipse((x - wide, y - high, x + wide, y + high), outline=gray, width=_line(side, random))


def _arrow(canvas: ImageDraw.ImageDraw, side: int, gray: int, random: np.random.Generator) -> None:
    tip, angle = random.uniform(0.2, 0.8, 2) * side, random.uniform(0, 2 * np.pi)
    width, head = _line(side, random), side * random.uniform(0.03, 0.06)
    back = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-back[1], back[0]])
    end = tip + back * side * random.uniform(0.08, 0.25)
    canvas.line((*tip, *end), fill=gray, width=width)
    corners = [tip, tip + head * (back + across / 2), tip + head * (back - across / 2)]
    canvas.polygon([tuple(corner) for corner in corners], fill=gray)


def _crosshair(canvas: ImageDraw.ImageDraw, side: int, gray: int, random: np.random.Generator) -> None:
    x, y = random.uniform(0.1, 0.9, 2) * side
    canvas.line((0, y, side, y), fill=gray, width=_line(side, random))
    canvas.line((x, 0, x, side), fill=gray, width=_line(side, random))


def _watermark(canvas: ImageDraw.ImageDraw, side: int, gray: int, random: np.random.Generator) -> None:
    font = ImageFont.load_default(size=side * random.uniform(0.07, 0.16))
    place = (random.uniform(0, 0.4) * side, random.uniform(0.1, 0.8) * side)
    canvas.text(place, str(random.choice(_WATERMARKS)), fill=gray, font=font)


def _line(side: int, random: np.random.Generator) -> int:
    return max(1, round(side * random.uniform(0.004, 0.014)))


MARKS: tuple[Draw, ...] = (_lettering, _ring, _arrow, _crosshair, _watermark)
"""What a mark can be, each as likely."""
