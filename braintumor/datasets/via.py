"""Br35H's outlines as its author publishes them: JSON of the VGG Image Annotator beside copies of the pictures."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, ImageDraw

from braintumor.scans import ScanError, read, walk
from braintumor.taxonomy import ANY_TUMOR

_FOLDER = "br35h"
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_CORNERS = 90
Points = list[tuple[float, float]]


def convert(root: Path) -> list[dict[str, str]]:
    """Write the outline of each annotated Br35H picture under a folder as a mask, and give the rows for an index.

    Listings are JSON of VIA 1 or 2 below a folder named after Br35H, their pictures beside or below them. Masks (8-bit
    PNG of the picture's size, 255 inside polygons, rectangles, circles and ellipses) go to ``br35h/masks``. The split
    is that of the folder TRAIN, VAL or TEST; the picture is the one of that name and size in ``yes`` where there is
    one, else the annotated copy. Passed over are unknown shapes, polygon points outside the picture, what is
    malformed, and all but the first outline of a name; a listing nearer to the picture comes first.
    """
    rows: dict[str, dict[str, str]] = {}
    for listing in _listings(root):
        pictures: dict[str, Path] = {}
        for path in walk([listing.parent]):
            pictures.setdefault(path.name, path)
        for name, regions in _entries(listing):
            picture = pictures.get(name)
            if picture is not None and picture.stem not in rows and (row := _convert_picture(picture, regions, root)):
                rows[picture.stem] = row
    return list(rows.values())


def _listings(root: Path) -> list[Path]:
    found = [path for path in root.rglob("*.json") if _names_br35h(root, path)]
    return sorted(found, key=lambda path: (-len(path.parts), path))


def _names_br35h(root: Path, path: Path) -> bool:
    folders = (root.resolve().name, *path.relative_to(root).parts[:-1])
    return any(folder.lower().startswith(_FOLDER) for folder in folders)


def _entries(listing: Path) -> Iterator[tuple[str, list[Any]]]:
    """Give (file name, regions) of each picture that a listing names."""
    try:
        content = json.loads(listing.read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(content, dict) and "_via_img_metadata" in content:
        content = content["_via_img_metadata"]
    for entry in content.values() if isinstance(content, dict) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
            continue
        regions = entry.get("regions")
        if isinstance(regions, dict):
            regions = list(regions.values())
        if isinstance(regions, list):
            yield PurePosixPath(entry["filename"].replace("\\", "/")).name, regions


def _convert_picture(picture: Path, regions: list[Any], root: Path) -> dict[str, str] | None:
    size = _size(picture)
    if size is None or (mask := _draw(regions, size)) is None:
        return None
    target = root / _FOLDER / "masks" / f"{picture.stem}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    mask.save(target)
    folders = picture.relative_to(root).parts[:-1]
    return {
        "path": _original(picture, size, root).relative_to(root).as_posix(),
        "dataset": _FOLDER,
        "published_split": next((_SPLITS[name.lower()] for name in reversed(folders) if name.lower() in _SPLITS), ""),
        "label": ANY_TUMOR,
        "group": "",
        "mask": target.relative_to(root).as_posix(),
    }


def _size(picture: Path) -> tuple[int, int] | None:
    """Give (width, height) as the picture is read for training, or None when it cannot be."""
    try:
        _, height, width = read(picture.read_bytes(), picture.name).shape
    except (ScanError, OSError):
        return None
    return width, height


def _original(picture: Path, size: tuple[int, int], root: Path) -> Path:
    folders = (folder for folder in picture.parents if folder.is_relative_to(root))
    named = (folder / "yes" / picture.name for folder in folders)
    return next((path for path in named if path.is_file() and _size(path) == size), picture)


def _draw(regions: list[Any], size: tuple[int, int]) -> Image.Image | None:
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    for region in regions:
        try:
            attributes = region["shape_attributes"]
            points = _SHAPES[attributes["name"]](attributes, size)
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if len(points) >= 3:
            pen.polygon(points, fill=255)
    return mask if mask.getbbox() else None


def _polygon(attributes: dict[str, Any], size: tuple[int, int]) -> Points:
    pairs = zip(attributes["all_points_x"], attributes["all_points_y"], strict=True)
    points = [(_number(x), _number(y)) for x, y in pairs]
    return [point for point in points if _inside(*point, size)]


def _rectangle(attributes: dict[str, Any], size: tuple[int, int]) -> Points:
    left, top = _number(attributes["x"]), _number(attributes["y"])
    right, bottom = left + _length(attributes["width"]), top + _length(attributes["height"])
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    return [(left, top), (right, top), (right, bottom), (left, bottom)] if left < right and top < bottom else []


def _circle(attributes: dict[str, Any], size: tuple[int, int]) -> Points:
    return _ellipse({**attributes, "rx": attributes["r"], "ry": attributes["r"], "theta": 0}, size)


def _ellipse(attributes: dict[str, Any], size: tuple[int, int]) -> Points:
    x, y, turn = _number(attributes["cx"]), _number(attributes["cy"]), _number(attributes.get("theta", 0))
    along, across = _length(attributes["rx"]), _length(attributes["ry"])
    # Pillow cuts off what lies outside, but its whole numbers overflow far from the picture.
    if not _inside(x, y, size) or max(along, across) > sum(size):
        return []
    angles = [2 * math.pi * corner / _CORNERS for corner in range(_CORNERS)]
    return [
        (
            x + along * math.cos(angle) * math.cos(turn) - across * math.sin(angle) * math.sin(turn),
            y + along * math.cos(angle) * math.sin(turn) + across * math.sin(angle) * math.cos(turn),
        )
        for angle in angles
    ]


_SHAPES: dict[str, Callable[[dict[str, Any], tuple[int, int]], Points]] = {
    "polygon": _polygon,
    "rect": _rectangle,
    "circle": _circle,
    "ellipse": _ellipse,
}


def _inside(x: float, y: float, size: tuple[int, int]) -> bool:
    return 0 <= x <= size[0] and 0 <= y <= size[1]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _length(value: Any) -> float:
    if (length := _number(value)) <= 0:
        raise ValueError(value)
    return length
