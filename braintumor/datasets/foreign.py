"""Pictures that are not brain MRI: drawn, or cut from what installed packages carry; made at run time, never stored."""

import functools
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from braintumor.datasets.drawn import DRAWN, Picture, Random
from braintumor.datasets.index import DatasetError

PICTURES = 24
"""How many of each kind."""

_SIDE = 224
_SOURCES: Mapping[str, tuple[str, ...]] = {
    "photograph": (
        *("sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg", "skimage/data/rocket.jpg"),
        *(f"skimage/data/{name}.png" for name in ("astronaut", "camera", "chelsea", "coffee", "coins", "clock_motion")),
    ),
    "surface": tuple(f"skimage/data/{name}.png" for name in ("brick", "grass", "gravel", "moon")),
    "printed page": ("skimage/data/page.png", "skimage/data/text.png"),
    "microscopy": ("skimage/data/cell.png", "skimage/data/ihc.png"),
    "eye fundus": ("skimage/data/retina.jpg",),
    "head CT": tuple(f"pydicom/data/test_files/{name}.dcm" for name in ("693_J2KI", "J2K_pixelrep_mismatch")),
    "spine CT": ("pydicom/data/test_files/CT_small.dcm",),
    "body MRI": tuple(f"pydicom/data/test_files/{name}.dcm" for name in ("examples_overlay", "MR_small")),
    "ultrasound": tuple(
        f"pydicom/data/test_files/examples_{name}.dcm" for name in ("rgb_color", "palette", "ybr_color")
    ),
    "bone scan": ("pydicom/data/test_files/JPEG2000.dcm",),
    "MRI phantom": ("nibabel/tests/data/phantom_EPI_asc_CLEAR_2_1.PAR",),
}
# Center and width in Hounsfield units of the windows that readers use: brain, subdural, bone; soft tissue, bone, lung.
_WINDOWS = {"head CT": ((40, 80), (80, 250), (500, 2500)), "spine CT": ((40, 400), (400, 1800), (-600, 1500))}
# How much of a source a picture shows at least: a page or a photograph looks the same in parts, a scan does not.
_SMALLEST_CUT = {"photograph": 0.35, "surface": 0.35, "printed page": 0.5, "microscopy": 0.35}


def foreign_pictures(seed: int = 0, count: int = PICTURES) -> dict[str, list[Picture]]:
    """Make ``count`` pictures of each kind: kind to gray pictures, uint8 (height, width), the same for the same seed.

    Kinds are noise, patterns, pages, photographs, scans of other modalities and other parts of the body (whole, or cut,
    mirrored and shown in other windows), and such as are drawn. Brain MRI of whatever sequence is none of them, nor is
    a scan spoiled by noise or a turn. Raises ``DatasetError`` where a package with pictures is not installed.
    """
    makers = _makers()
    return {
        kind: [make(np.random.default_rng([seed, number, row]), row) for row in range(count)]
        for number, (kind, make) in enumerate(makers.items())
    }


def _makers() -> dict[str, Callable[[Random, int], Picture]]:
    drawn = {kind: functools.partial(_draw, draw) for kind, draw in DRAWN.items()}
    cut = {kind: functools.partial(_cut, kind) for kind in _SOURCES}
    return {**drawn, **cut, "digit": _digit, "face": _face}


def _draw(draw: Callable[[Random], Picture], random: Random, row: int) -> Picture:
    return draw(random)


def _cut(kind: str, random: Random, row: int) -> Picture:
    """Cut a window from one of a kind's sources, the sources in turn."""
    sources = [picture for path in _SOURCES[kind] for picture in _read(path)]
    source = sources[row % len(sources)]
    share = random.uniform(_SMALLEST_CUT.get(kind, 0.8), 1)
    height, width = (max(1, round(share * side)) for side in source.shape)
    top, left = (random.integers(0, side - part + 1) for side, part in zip(source.shape, (height, width), strict=True))
    part = source[top : top + height, left : left + width]
    if kind in _WINDOWS:
        center, width = random.uniform(0.8, 1.2) * np.array(random.choice(_WINDOWS[kind]))
        part = np.clip(part, center - width / 2, center + width / 2)
    return _shown(part[:, ::-1] if random.random() < 1 / 2 else part)


def _digit(random: Random, row: int) -> Picture:
    from sklearn.datasets import load_digits

    chosen = random.integers(0, 1797)
    return _shown(ndimage.zoom(load_digits().images[chosen], random.uniform(8, 24), order=1))


def _face(random: Random, row: int) -> Picture:
    # The first hundred of two hundred show a face; 25 × 25 pixels of Labeled Faces in the Wild.
    face = np.load(_installed("skimage/data/lfw_subset.npy"), allow_pickle=False)[random.integers(0, 100)]
    return _shown(ndimage.zoom(face.astype(np.float32), random.uniform(5, 9), order=1))


def _shown(values: NDArray[np.float32]) -> Picture:
    """Shrink to at most ``_SIDE`` pixels and map gray values to 0 to 255."""
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    small = np.asarray(image)
    scaled = 255 * (small - small.min()) / max(float(np.ptp(small)), 1e-6)
    return np.asarray(np.rint(scaled), dtype=np.uint8)


@functools.cache
def _read(path: str) -> tuple[NDArray[np.float32], ...]:
    """Read every slice or frame of a package's file as float32 (height, width), in color as its mean."""
    file = _installed(path)
    if path.endswith(".dcm"):
        import pydicom

        facts = pydicom.dcmread(file)
        pixels = facts.pixel_array * float(facts.get("RescaleSlope", 1)) + float(facts.get("RescaleIntercept", 0))
        frames = pixels.reshape(-1, *pixels.shape[-3:]).mean(axis=-1) if pixels.shape[-1] == 3 else pixels[None]
    elif path.endswith(".PAR"):
        import nibabel

        image: Any = nibabel.load(file)
        volume = np.asarray(image.dataobj)
        frames = np.moveaxis(volume.reshape(*volume.shape[:2], -1), -1, 0)
    else:
        frames = np.asarray(Image.open(file).convert("L"))[None]
    return tuple(frame.astype(np.float32) for frame in frames)


def _installed(path: str) -> Path:
    package, _, name = path.partition("/")
    try:
        return Path(str(files(package))) / name
    except ModuleNotFoundError as error:
        raise DatasetError(
            f"{package} is not installed, which has pictures that are not scans; pip install -r requirements/train.txt."
        ) from error
