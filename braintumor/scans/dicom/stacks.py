"""Images of DICOM objects to series: volumes whose slices lie one after another along their normal."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from braintumor.scans.dicom.frames import Frame, along
from braintumor.scans.dicom.instance import Instance
from braintumor.scans.dicom.suitability import unjudged
from braintumor.scans.dicom.weighting import has_contrast_agent, has_diffusion, weighting
from braintumor.scans.series import JUDGED, Series, SeriesNote, Weighting

SAME_ORIENTATION = 1e-4
"""Parts of a direction cosine by which slices of one orientation differ: GE's differ in the eighth digit."""

_MOST_ORIENTATIONS = 256
"""Orientations of one series that are told apart; images of others count as placed nowhere."""
_SAME_PLACE = 1e-2
"""Millimeters by which the places of one slice differ."""
_GAP = 1.5
"""Distances between slices, in usual ones, from which a slice is missing between them."""
_EVEN = 0.1
"""Share of the usual distance by which others may differ where none is missing."""
_SHIFTED = 0.5
"""Pixels by which slices may lie beside their line: less is not to be seen, and positions are given to a tenth."""
_WEAK_FIELD = 30.0
"""Tesla above which a field's strength was given in gauss: no scanner for people has more than 12."""
_GAUSS_IN_TESLA = 10_000.0
_LARGEST_NUMBER = 2**31
"""A series' number is below this (PS3.5, section 6.2, IS)."""

_CODE = re.compile(r"[A-Z0-9]{2,4}|RT(DOSE|IMAGE|PLAN|RECORD|STRUCT)")
"""How codes of modalities look; whatever else stands there was typed in and is not repeated."""
_SIDES = frozenset({"R", "L", "B", "U"})


@dataclass(frozen=True, slots=True)
class Image:
    """One frame with the object that holds it."""

    instance: Instance
    frame: Frame


@dataclass(frozen=True)
class ImageSeries:
    """The facts of a series and its images in order along their normal; of one that has no images, its objects."""

    facts: Series
    images: tuple[Image, ...]
    instances: tuple[Instance, ...]


def group(instances: Iterable[Instance]) -> list[ImageSeries]:
    """Form series of objects in any order; of copies of an object the first is taken.

    Images belong together that have one series UID, size, spacing, echo, b-value, orientation (``SAME_ORIENTATION``)
    and kind. Where several lie at one place, each time point makes a volume; where none is stated, the first of each
    place make the first volume, and so on.
    """
    by_series: dict[tuple[object, ...], list[Instance]] = defaultdict(list)
    copies: dict[tuple[object, ...], int] = defaultdict(int)
    for instance in instances:
        identity = _identity(instance)
        copies[identity] += 1
        if not instance.uid or copies[identity] == 1:
            number = None if instance.series else instance.text("SeriesNumber")
            by_series[instance.patient, instance.study, instance.series, number].append(instance)
    formed = []
    for of_series in by_series.values():
        repeated = sum(copies[_identity(instance)] - 1 for instance in of_series if instance.uid)
        formed += _series(of_series, repeated)
    return sorted(
        formed, key=lambda series: (series.facts.study, series.facts.number or 0, series.facts.uid, series.facts.part)
    )


def _identity(instance: Instance) -> tuple[object, ...]:
    """Give what copies of an object have in common: its UID, and its place, since some exports repeat the UID."""
    first = instance.frames[0] if instance.frames else None
    return (instance.uid, *((first.position, first.orientation, first.order) if first else ()))


def _series(instances: Sequence[Instance], repeated: int) -> list[ImageSeries]:
    bare = tuple(instance for instance in instances if not instance.frames)
    formed: list[ImageSeries] = []
    for kind, alike in _alike(instances):
        volumes = _volumes(alike)
        described = _described(volumes[0], kind, len(formed) + 1, repeated)
        if described.facts.is_judged:
            formed.append(described)
            formed += [
                _described(volume, kind, len(formed) + number, repeated) for number, volume in enumerate(volumes[1:], 1)
            ]
        else:
            # Nobody asks for each direction of a diffusion series by itself.
            formed.append(replace(described, facts=replace(described.facts, volumes=len(volumes))))
    if bare:
        facts = _facts(bare[0], Weighting.UNKNOWN)
        formed.append(ImageSeries(replace(facts, part=len(formed) + 1, slices=0), (), bare))
    return formed


def _alike(instances: Sequence[Instance]) -> list[tuple[Weighting, list[Image]]]:
    """Part images that cannot be slices of one volume; with those of each part comes their kind."""
    is_diffusion = any(has_diffusion(frame) for instance in instances for frame in instance.frames)
    orientations = _Orientations()
    alike: dict[tuple[Weighting, tuple[object, ...]], list[Image]] = defaultdict(list)
    kinds: dict[tuple[object, ...], Weighting] = {}
    for instance in instances:
        for frame in instance.frames:
            said = (*instance.facts.values(), frame.kind, frame.echo, frame.b_value)
            if said not in kinds:
                kinds[said] = _kind(instance, frame, is_diffusion=is_diffusion)
            orientation = orientations.number(frame.orientation)
            key = (
                orientation,
                instance.rows,
                instance.columns,
                None if frame.spacing is None else tuple(round(size, 2) for size in frame.spacing),
                instance.photometric,
                None if frame.echo is None else round(frame.echo, 2),
                frame.b_value,
                frame.kind.partition("\\")[0],
            )
            placed = frame if orientation is not None else replace(frame, orientation=None)
            alike[kinds[said], key].append(Image(instance, placed))
    return [(kind, images) for (kind, _), images in sorted(alike.items(), key=lambda found: _first_of(found[1]))]


def _kind(instance: Instance, frame: Frame, *, is_diffusion: bool) -> Weighting:
    """Tell a frame's kind; images without diffusion in a series of diffusion, of b-value 0, are part of it."""
    kind = weighting(instance, frame)
    return Weighting.DIFFUSION if is_diffusion and frame.b_value is not None and kind in JUDGED else kind


def _first_of(images: Sequence[Image]) -> tuple[object, ...]:
    """Give what sorts groups of images alike, in whatever order their files came."""
    first = min(images, key=lambda image: (image.frame.order, image.frame.orientation or ()))
    instance, frame = first.instance, first.frame
    place = (*(frame.orientation or ()), instance.rows, instance.columns)
    return frame.order, frame.echo or 0.0, frame.b_value or 0.0, frame.kind, place


class _Orientations:
    """Numbers orientations, those that differ by no more than ``SAME_ORIENTATION`` alike."""

    def __init__(self) -> None:
        self._known = np.empty((0, 6))
        self._seen: dict[tuple[float, ...], int | None] = {}

    def number(self, orientation: tuple[float, ...] | None) -> int | None:
        """Give an orientation's number; None where there is none, and of those beyond the most that are told apart."""
        if orientation is None:
            return None
        if orientation not in self._seen:
            self._seen[orientation] = self._numbered(orientation)
        return self._seen[orientation]

    def _numbered(self, orientation: tuple[float, ...]) -> int | None:
        close = np.flatnonzero((abs(self._known - orientation) <= SAME_ORIENTATION).all(axis=1))
        if len(close):
            return int(close[0])
        if len(self._known) == _MOST_ORIENTATIONS:
            return None
        self._known = np.vstack([self._known, orientation])
        return len(self._known) - 1


def _volumes(images: Sequence[Image]) -> list[list[Image]]:
    """Sort images along their normal and part those that lie at one place into volumes; without places into one."""
    normal = images[0].frame.normal
    if normal is None or any(image.frame.position is None for image in images):
        return [sorted(images, key=lambda image: image.frame.order[1:])]
    # Each image's own normal may differ in the fourth digit.
    heights = {id(image): along(normal, image.frame.position) for image in images if image.frame.position}
    ordered = sorted(images, key=lambda image: (heights[id(image)], image.frame.order))
    volumes: list[list[Image]] = []
    rank, place = 0, -np.inf
    for image in ordered:
        height = heights[id(image)]
        is_same = height - place < _SAME_PLACE
        rank, place = (rank + 1, place) if is_same else (0, height)
        if rank == len(volumes):
            volumes.append([])
        volumes[rank].append(image)
    return _by_time(ordered, len(volumes)) or [
        sorted(volume, key=lambda image: heights[id(image)]) for volume in volumes
    ]


def _by_time(ordered: Sequence[Image], count: int) -> list[list[Image]]:
    """Part images by time point, else by acquisition, where these are as many as images at one place; else none."""
    for stated in range(2):
        times: dict[float, list[Image]] = defaultdict(list)
        for image in ordered:
            times[image.frame.order[stated]].append(image)
        if 1 < len(times) == count:
            return [times[time] for time in sorted(times)]
    return []


def _described(images: Sequence[Image], kind: Weighting, part: int, repeated: int) -> ImageSeries:
    first = images[0].instance
    facts = _facts(first, kind)
    heights = [height for image in images if (height := image.frame.height) is not None]
    missing, is_even = _gaps(heights)
    shifted = shear(images)
    notes = {
        SeriesNote.GAPS: missing > 0,
        SeriesNote.DUPLICATES: repeated > 0,
        SeriesNote.UNEVEN: not is_even,
        SeriesNote.SHEARED: shifted is not None and shifted[1],
        SeriesNote.SHIFTED: shifted is not None and not shifted[1],
        SeriesNote.BURNED_IN: first.text("BurnedInAnnotation").upper() == "YES",
    }
    facts = replace(
        facts,
        part=part,
        slices=len(images),
        window=images[len(images) // 2].frame.window,
        missing=missing,
        repeated=repeated,
        notes=tuple(note for note, applies in notes.items() if applies),
    )
    return ImageSeries(facts, tuple(images), _instances(images))


def _instances(images: Iterable[Image]) -> tuple[Instance, ...]:
    return tuple({id(image.instance): image.instance for image in images}.values())


def slice_distance(heights: Sequence[float]) -> float | None:
    """Give the usual distance between slices at these places, in order; None of a single one."""
    return float(np.median(np.diff(heights))) if len(heights) > 1 else None


def shear(images: Sequence[Image]) -> tuple[NDArray[np.float64], bool] | None:
    """Give how slices are shifted against each other, and whether they are so evenly; None where they are not.

    The shift, (3,), is in millimeters for each millimeter along the normal, as a gantry that is tilted makes it. Slices
    that lie less than half a pixel beside their line are none shifted. None as well for images without a place.
    """
    first = images[0].frame
    if first.normal is None or first.position is None or first.spacing is None or len(images) < 2:
        return None
    places = [image.frame.position for image in images if image.frame.position is not None]
    if len(places) < len(images):
        return None
    steps = np.array(places) - first.position
    normal = np.array(first.normal)
    heights = steps @ normal
    beside = steps - np.outer(heights, normal)
    allowed = _SHIFTED * min(first.spacing)
    if abs(beside).max() <= allowed:
        return None
    slope = heights @ beside / max(float(heights @ heights), _SAME_PLACE)
    return slope, bool(abs(beside - np.outer(heights, slope)).max() <= allowed)


def _gaps(heights: Sequence[float]) -> tuple[int, bool]:
    """Count the slices missing between others, and tell whether the rest are evenly spaced."""
    usual = slice_distance(heights)
    if not usual:
        return 0, True
    steps = np.diff(heights) / usual
    wide = steps > _GAP
    missing = int(np.sum(np.rint(steps[wide]) - 1))
    return missing, bool((abs(steps[~wide] - 1) <= _EVEN).all())


def _facts(instance: Instance, kind: Weighting) -> Series:
    field, number = instance.number("MagneticFieldStrength"), instance.number("SeriesNumber")
    side = (instance.text("ImageLaterality") or instance.text("Laterality")).upper()
    modality = instance.text("Modality")
    return Series(
        study=instance.study,
        uid=instance.series,
        number=int(number) if number is not None and abs(number) < _LARGEST_NUMBER else None,
        modality=modality if _CODE.fullmatch(modality) else "",
        body_part=instance.text("BodyPartExamined").upper(),
        weighting=kind,
        laterality=side if side in _SIDES else "",
        vendor=instance.text("Manufacturer"),
        field_strength=field / _GAUSS_IN_TESLA if field and field > _WEAK_FIELD else field,
        contrast_agent=has_contrast_agent(instance),
        unjudged=unjudged(instance, kind),
        description=instance.text("SeriesDescription"),
    )
