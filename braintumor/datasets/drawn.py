"""Pictures drawn by a program: noise, patterns, pages, charts, and parts of the body that are no head."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Picture = NDArray[np.uint8]
Random = np.random.Generator

_SIDE = 224
_WORDS = (
    "report",
    "of",
    "an",
    "examination",
    "seen",
    "with",
    "no",
    "known",
    "change",
    "left",
    "right",
    "small",
    "upper",
)


def uniform_noise(random: Random) -> Picture:
    """Every pixel, or every block of a few, has a gray value of its own."""
    block = int(random.integers(1, 9))
    values = random.integers(0, 256, (-(-_SIDE // block), -(-_SIDE // block)))
    return _gray(np.kron(values, np.ones((block, block)))[:_SIDE, :_SIDE])


def gaussian_noise(random: Random) -> Picture:
    """Independent or slightly blurred normal noise about a gray."""
    noise = ndimage.gaussian_filter(random.normal(size=(_SIDE, _SIDE)), random.choice([0, 0, 1, 2]))
    return _gray(random.uniform(60, 200) + random.uniform(20, 60) * noise / noise.std())


def smooth_noise(random: Random) -> Picture:
    """Noise whose power falls with frequency as that of natural pictures does, or faster."""
    return _gray(_stretched(_clouds(random, random.uniform(0.8, 2.2))))


def plain_grey(random: Random) -> Picture:
    """One gray value."""
    return np.full((_SIDE, int(random.integers(160, 320))), random.integers(0, 256), np.uint8)


def gradient(random: Random) -> Picture:
    """Gray that rises along a line or away from a point."""
    y, x = _grid()
    angle, exponent = random.uniform(0, 2 * np.pi), random.uniform(0.5, 2)
    along = np.cos(angle) * x + np.sin(angle) * y
    away = np.hypot(x - random.uniform(-1, 1), y - random.uniform(-1, 1))
    return _gray(255 * (_stretched(along if random.random() < 0.5 else away) / 255) ** exponent)


def stripes(random: Random) -> Picture:
    """Straight or circular stripes, sharp or soft."""
    y, x = _grid()
    angle, cycles = random.uniform(0, np.pi), random.uniform(3, 30)
    phase = np.cos(angle) * x + np.sin(angle) * y if random.random() < 0.7 else np.hypot(x, y)
    wave = np.sin(np.pi * cycles * phase)
    return _gray(127.5 + 127.5 * (np.sign(wave) if random.random() < 0.5 else wave))


def checkerboard(random: Random) -> Picture:
    """Squares or rectangles of two grays in turn."""
    down, across = random.integers(6, 60, 2)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    dark, light = random.integers(0, 100), random.integers(150, 256)
    return _gray(np.where((rows // down + columns // across) % 2, dark, light))


def shapes(random: Random) -> Picture:
    """A few filled ellipses, rectangles and polygons on a plain ground."""
    image, draw = _canvas(int(random.integers(0, 60)))
    for _ in range(random.integers(1, 7)):
        box, shade = _box(random), int(random.integers(60, 256))
        kind = random.integers(0, 3)
        if kind == 0:
            draw.ellipse(box, fill=shade)
        elif kind == 1:
            draw.rectangle(box, fill=shade, outline=255 - shade)
        else:
            draw.polygon([tuple(point) for point in random.uniform(0, _SIDE, (random.integers(3, 7), 2))], fill=shade)
    return np.asarray(image)


def egg(random: Random) -> Picture:
    """One ellipse as large as a head: plain, ringed as by a skull, or shaded, with nothing of a brain inside."""
    y, x = _grid()
    across, down = random.uniform(0.55, 0.85), random.uniform(0.7, 0.95)
    radius = np.hypot(x / across, y / down)
    inside = np.full(radius.shape, random.uniform(80, 200))
    inside += random.choice([0, 1, 2]) * random.uniform(10, 40) * (1 - radius)
    ring = (radius > random.uniform(0.85, 0.95)) & (random.random() < 0.5)
    picture = np.where(radius <= 1, np.where(ring, 250, inside), 0)
    return _gray(ndimage.gaussian_filter(picture, 1) + random.uniform(0, 6) * random.normal(size=picture.shape))


def text_page(random: Random) -> Picture:
    """Lines of words, black on white or white on black."""
    paper = 255 if random.random() < 0.8 else 0
    image = Image.new("L", (int(random.integers(200, 320)), int(random.integers(240, 340))), paper)
    draw, size = ImageDraw.Draw(image), int(random.integers(9, 24))
    font, top = ImageFont.load_default(size), 10.0
    while top < image.height - size:
        words = random.choice(_WORDS, random.integers(3, 10))
        if random.random() < 0.88:
            draw.text((12, top), " ".join(words), fill=255 - paper, font=font)
        top += 1.3 * size
    return np.asarray(image)


def chart(random: Random) -> Picture:
    """Axes with bars, a line or points."""
    image, draw = _canvas(255)
    font = ImageFont.load_default(10)
    draw.line([(24, 10), (24, 200), (216, 200)], fill=0, width=2)
    values = random.uniform(20, 180, random.integers(4, 14))
    places = np.linspace(36, 206, len(values))
    points = [(float(x), float(200 - value)) for x, value in zip(places, values, strict=True)]
    kind = random.integers(0, 3)
    if kind == 0:
        half = 70 / len(values)
        for x, y in points:
            draw.rectangle([x - half, y, x + half, 200], fill=int(random.integers(40, 180)))
    elif kind == 1:
        draw.line(points, fill=30, width=2)
    else:
        for x, y in points:
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=60)
    for number in range(5):
        draw.text((4, 190 - 45 * number), str(25 * number), fill=0, font=font)
    return np.asarray(image)


def thorax_ct(random: Random) -> Picture:
    """A thorax across: wall, two lungs with vessels, heart, spine and ribs, in a window of CT."""
    y, x = _grid()
    wall = _inside(x, y, 0, 0, 0.94, 0.68)
    picture = np.where(wall, 130 + 8 * _clouds(random, 1.5), 0)
    picture[_inside(x, y, 0, 0, 0.84, 0.58)] += 15
    apart, high = random.uniform(0.38, 0.46), random.uniform(0.4, 0.5)
    for side in (-1, 1):
        lung = _inside(x, y, side * apart, random.uniform(-0.05, 0.05), random.uniform(0.28, 0.36), high)
        picture[lung] = 25
        for _ in range(14):
            vessel = _inside(x, y, side * random.uniform(0.2, 0.65), random.uniform(-0.35, 0.35), 0.025, 0.02)
            picture[vessel & lung] = 140
    picture[_inside(x, y, random.uniform(0.05, 0.2), -0.1, random.uniform(0.2, 0.32), 0.28)] = 165
    picture[_inside(x, y, 0, 0.42, 0.14, 0.13)] = 245
    for turn in np.linspace(0, 2 * np.pi, 16):
        picture[_inside(x, y, 0.87 * np.cos(turn), 0.6 * np.sin(turn), 0.06, 0.03)] = 240
    return _scanned(picture, random)


def chest_xray(random: Random) -> Picture:
    """A chest from the front: dark lungs, bright heart, spine and diaphragm, and ribs across."""
    y, x = _grid()
    picture = 150 + 12 * _clouds(random, 2.0)
    for side in (-1, 1):
        picture -= 90 * _soft(_inside(x, y, side * random.uniform(0.4, 0.46), -0.05, 0.32, 0.7), 6)
    picture += 70 * _soft(_inside(x, y, random.uniform(0.1, 0.2), 0.3, 0.32, 0.3), 5)
    picture += 60 * _soft(np.abs(x) < 0.1, 4)
    for number in range(9):
        height = -0.75 + 0.18 * number + 0.35 * np.abs(x) ** 2
        picture += 22 * _soft((np.abs(y - height) < 0.025) & (np.abs(x) < 0.85), 1.5)
    picture += 70 * _soft(y > 0.75 - 0.15 * np.cos(4 * x), 4)
    return _scanned(picture, random)


def hand_xray(random: Random) -> Picture:
    """A hand from above: five rays of bones in soft tissue, a wrist, on black."""
    image, draw = _canvas(0)
    bones = Image.new("L", image.size)
    pen = ImageDraw.Draw(bones)
    for finger in range(5):
        turn = np.radians(-58 + 24 * finger + random.uniform(-4, 4))
        reach = np.array([np.sin(turn), -np.cos(turn)])
        start, length = np.array([112.0, 150.0]) + 18 * reach, (30 if finger == 0 else 46) * random.uniform(0.9, 1.1)
        for part in range(3 if finger == 0 else 4):
            end = start + reach * length * (1 - 0.22 * part)
            draw.line([*start, *end], fill=70, width=24 - 3 * part)
            pen.line([*(start + 2 * reach), *(end - 3 * reach)], fill=150, width=11 - 2 * part)
            start = end
    draw.ellipse([70, 120, 154, 200], fill=75)
    draw.rectangle([88, 170, 138, 224], fill=75)
    for _ in range(8):
        x, y = random.uniform(88, 130), random.uniform(150, 178)
        pen.ellipse([x, y, x + 13, y + 12], fill=150)
    pen.rectangle([92, 184, 109, 224], fill=150)
    pen.rectangle([116, 184, 130, 224], fill=150)
    return _scanned(np.asarray(image, np.float64) + np.asarray(bones, np.float64), random)


def knee_mri(random: Random) -> Picture:
    """A knee from the side: two long bones with dark rims, a kneecap, muscle and fat around."""
    y, x = _grid()
    bend = random.uniform(-0.1, 0.1)
    picture = np.where(np.abs(x + bend * y) < random.uniform(0.7, 0.85), 90 + 14 * _clouds(random, 1.5), 0)
    picture[np.abs(np.abs(x + bend * y) - 0.62) < 0.08] = 210
    for center, height in ((-0.62, 0.55), (0.68, 0.5)):
        shaft = _inside(x, y, bend, center, 0.3, height) | _inside(x, y, bend, np.sign(center) * 0.25, 0.42, 0.22)
        picture[ndimage.binary_dilation(shaft, iterations=3)] = 15
        picture[shaft] = 185
    cap = _inside(x, y, -0.5, -0.15, 0.1, 0.22)
    picture[ndimage.binary_dilation(cap, iterations=2)] = 15
    picture[cap] = 190
    return _scanned(picture, random)


def ultrasound_fan(random: Random) -> Picture:
    """Speckle in a fan that widens with depth, with a few dark cysts, on black."""
    y, x = _grid()
    depth, angle = np.hypot(x, y + 1.1), np.arctan2(x, y + 1.1)
    fan = (np.abs(angle) < random.uniform(0.45, 0.75)) & (depth > 0.3) & (depth < 2.0)
    speckle = ndimage.gaussian_filter(random.rayleigh(1, (_SIDE, _SIDE)), (1, 1.6))
    picture = 70 * speckle * np.exp(-0.4 * depth) * (1 + 0.4 * _clouds(random, 2.0))
    for _ in range(random.integers(1, 4)):
        picture[_inside(x, y, *random.uniform(-0.4, 0.4, 2), *random.uniform(0.08, 0.25, 2))] *= 0.15
    return _scanned(np.where(fan, 2 * picture, 0), random)


DRAWN: Mapping[str, Callable[[Random], Picture]] = {
    "uniform noise": uniform_noise,
    "gaussian noise": gaussian_noise,
    "smooth noise": smooth_noise,
    "plain grey": plain_grey,
    "gradient": gradient,
    "stripes": stripes,
    "checkerboard": checkerboard,
    "shapes": shapes,
    "egg": egg,
    "text page": text_page,
    "chart": chart,
    "drawn thorax CT": thorax_ct,
    "drawn chest X-ray": chest_xray,
    "drawn hand X-ray": hand_xray,
    "drawn knee MRI": knee_mri,
    "drawn ultrasound": ultrasound_fan,
}
"""What draws one picture of each kind, uint8 (height, width), from a random generator."""


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns from -1 to 1."""
    line = np.linspace(-1, 1, _SIDE)
    return line[:, None] + np.zeros(_SIDE), line[None, :] + np.zeros((_SIDE, 1))


def _canvas(shade: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (_SIDE, _SIDE), shade)
    return image, ImageDraw.Draw(image)


def _box(random: Random) -> list[float]:
    left, top = random.uniform(0, 0.6 * _SIDE, 2)
    width, height = random.uniform(0.15 * _SIDE, 0.9 * _SIDE, 2)
    return [left, top, left + width, top + height]


def _inside(
    x: NDArray[np.float64], y: NDArray[np.float64], across: float, down: float, width: float, height: float
) -> NDArray[np.bool_]:
    """Mark an ellipse by its center and half axes."""
    return np.asarray(((x - across) / width) ** 2 + ((y - down) / height) ** 2 <= 1)


def _soft(mask: NDArray[np.bool_], sigma: float) -> NDArray[np.float64]:
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float64), sigma))


def _clouds(random: Random, exponent: float) -> NDArray[np.float64]:
    """Noise of power 1 / frequency ** (2 × exponent), of mean 0 and spread 1."""
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None, :])
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(random.normal(size=(_SIDE, _SIDE))) / frequency**exponent, (_SIDE, _SIDE))
    return np.asarray((field - field.mean()) / field.std())


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(255 * (values - values.min()) / max(float(np.ptp(values)), 1e-9))


def _scanned(values: NDArray[np.float64], random: Random) -> Picture:
    """Soften edges, add a scanner's noise, and turn the picture by a few degrees."""
    turned = ndimage.rotate(ndimage.gaussian_filter(values, 0.7), random.uniform(-10, 10), reshape=False, order=1)
    return _gray(turned + random.uniform(1, 6) * random.normal(size=values.shape))


def _gray(values: NDArray[np.generic]) -> Picture:
    return np.asarray(np.clip(np.rint(values.astype(np.float64)), 0, 255), dtype=np.uint8)
