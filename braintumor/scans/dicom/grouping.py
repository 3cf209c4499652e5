"""Images of DICOM objects to series: volumes whose slices lie one after another along their normal."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from braintumor.scans.dicom.instance import Frame, Instance
from braintumor.scans.dicom.parsing import number, text
from braintumor.scans.dicom.weighting import has_contrast_agent, unjudged, weighting
from braintumor.scans.series import Series, SeriesNote, Weighting

SAME_ORIENTATION = 1e-4
"""Parts of a direction cosine by which slices of one orientation differ: GE's differ in the eighth digit."""

_SAME_PLACE = 1e-2
"""Millimeters by which the places of one slice differ."""
_GAP = 1.5
"""Distances between slices, in usual ones, from which a slice is missing between them."""
_EVEN = 0.1
"""Share of the usual distance by which others may differ where none is missing."""
_WEAK_FIELD = 30.0
"""Tesla above which a field's strength was given in gauss or millitesla: no scanner for people has more than 12."""
_GAUSS_IN_TESLA = 10_000.0


@dataclass(frozen=True)
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
    """Form series of objects in any order; of objects with the same UID the first is taken.

    Images belong together that have one series UID, size, orientation (see ``SAME_ORIENTATION``), echo, b-value and
    kind. Where several lie at one place, the first of each by time point and number make the first volume, and so on.
    """
    by_series: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    seen: dict[str, int] = defaultdict(int)
    for instance in instances:
        seen[instance.uid] += 1
        if not instance.uid or seen[instance.uid] == 1:
            by_series[instance.study, instance.series].append(instance)
    formed = []
    for of_series in by_series.values():
        repeated = sum(seen[instance.uid] - 1 for instance in of_series if instance.uid)
        formed += _series(of_series, repeated)
    return sorted(
        formed, key=lambda series: (series.facts.study, series.facts.number or 0, series.facts.uid, series.facts.part)
    )


def _series(instances: Sequence[Instance], repeated: int) -> list[ImageSeries]:
    bare = tuple(instance for instance in instances if not instance.frames)
    formed: list[ImageSeries] = []
    for alike in _alike(instances):
        volumes = _volumes(alike)
        described = [_described(volume, len(formed) + number, repeated) for number, volume in enumerate(volumes, 1)]
        if described[0].facts.is_judged:
            formed += described
        else:
            # Nobody asks for each direction of a diffusion series by itself.
            facts = replace(described[0].facts, volumes=len(volumes))
            formed.append(replace(described[0], facts=facts))
    if bare:
        facts = _facts(bare[0], Weighting.UNKNOWN)
        formed.append(ImageSeries(replace(facts, part=len(formed) + 1, slices=0), (), bare))
    return formed


def _alike(instances: Iterable[Instance]) -> list[list[Image]]:
    """Part images that cannot be slices of one volume."""
    orientations: list[tuple[float, ...]] = []
    alike: dict[tuple[object, ...], list[Image]] = defaultdict(list)
    for instance in instances:
        for frame in instance.frames:
            key = (
                _number_of(frame.orientation, orientations),
                instance.rows,
                instance.columns,
                None if frame.echo is None else round(frame.echo, 2),
                frame.b_value,
                weighting(instance, frame),
                frame.kind.partition("\\")[0],
            )
            alike[key].append(Image(instance, frame))
    return list(alike.values())


def _number_of(orientation: tuple[float, ...] | None, known: list[tuple[float, ...]]) -> int:
    if orientation is None:
        return -1
    for position, other in enumerate(known):
        if np.allclose(orientation, other, rtol=0, atol=SAME_ORIENTATION):
            return position
    known.append(orientation)
    return len(known) - 1


def _volumes(images: Sequence[Image]) -> list[list[Image]]:
    """Sort images along their normal and part those that lie at one place into volumes; without places into one."""
    if any(image.frame.height is None for image in images):
        return [sorted(images, key=lambda image: image.frame.order[1:])]
    normal = images[0].frame.normal
    heights = {id(image): _height(image.frame, normal) for image in images}
    ordered = sorted(images, key=lambda image: (heights[id(image)], image.frame.order))
    volumes: list[list[Image]] = []
    place, last = 0, -np.inf
    for image in ordered:
        height = heights[id(image)]
        place = place + 1 if height - last < _SAME_PLACE else 0
        last = height
        if place == len(volumes):
            volumes.append([])
        volumes[place].append(image)
    return volumes


def _height(frame: Frame, normal: NDArray[np.float64] | None) -> float:
    """Give where a frame lies along the normal of its volume, which its own may leave in the fourth digit."""
    assert normal is not None
    assert frame.position is not None
    return float(np.dot(normal, frame.position))


def _described(images: Sequence[Image], part: int, repeated: int) -> ImageSeries:
    first = images[0].instance
    kind = weighting(first, images[0].frame)
    facts = _facts(first, kind)
    heights = [image.frame.height for image in images]
    missing, is_even = _gaps([height for height in heights if height is not None])
    notes = {
        SeriesNote.GAPS: missing > 0,
        SeriesNote.DUPLICATES: repeated > 0,
        SeriesNote.UNEVEN: not is_even,
        SeriesNote.BURNED_IN: text(first.dataset, "BurnedInAnnotation").upper() == "YES",
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
    dataset = instance.dataset
    field = number(dataset, "MagneticFieldStrength")
    series_number = number(dataset, "SeriesNumber")
    return Series(
        study=instance.study,
        uid=instance.series,
        number=None if series_number is None else int(series_number),
        modality=text(dataset, "Modality").upper(),
        body_part=text(dataset, "BodyPartExamined").upper(),
        weighting=kind,
        laterality=text(dataset, "ImageLaterality") or text(dataset, "Laterality"),
        vendor=text(dataset, "Manufacturer"),
        field_strength=field / _GAUSS_IN_TESLA if field and field > _WEAK_FIELD else field,
        contrast_agent=has_contrast_agent(instance),
        unjudged=unjudged(instance, kind),
        description=text(dataset, "SeriesDescription"),
    )
