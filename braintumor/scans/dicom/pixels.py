"""The pixels of a series: frames decoded one by one to where they lie in a volume."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from braintumor.scans.color import GRAY
from braintumor.scans.dicom.parser import EXPORT_AGAIN
from braintumor.scans.dicom.stacks import Image, ImageSeries, shear, slice_distance
from braintumor.scans.dicom.stored import StoredPixels
from braintumor.scans.layout import Layout, checked, nifti_header
from braintumor.scans.lettering import has_lettering
from braintumor.scans.limits import Limits, PixelBudget
from braintumor.scans.scan import PIXEL_ASPECT, Scan, ScanError, fill_missing
from braintumor.scans.series import SeriesNote
from braintumor.scans.volumes import assemble

_THICKEST = 100.0
"""Millimeters between slices above which they are read as single images."""
_WINDOWS = {"CT": (0.0, 80.0)}
"""Values outside which nothing of a brain differs: of CT in Hounsfield units, the preset of 40 and width 80 by which
viewers show it. Bone and air, a hundred times further apart, would leave no contrast to the brain."""
_LOOKED_AT = 5
"""Slices in which letters are looked for; what is burned in stands in all of them."""
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM's axes lead to the left and back, NIfTI's to the right and front."""


def read_series(series: ImageSeries, source: str, limits: Limits, budget: PixelBudget) -> Scan:
    """Decode a series as one scan: a volume where its images lie in space, else one slice an image.

    Values are rescaled as each frame says, MONOCHROME1 is inverted, padding becomes the lowest value, and slices that
    are missing between others are empty. Raises ``ScanError`` where an image is damaged, cut short, packed in a way
    that no decoder here reads, or where limits or budget are exceeded.
    """
    try:
        return _read_series(series, source, limits, budget)
    except ScanError as error:
        error.source = source
        raise
    except MemoryError:
        raise ScanError("This series has more pixels than are accepted.", "Send fewer slices.", source) from None
    # Decoders of eight transfer syntaxes raise nearly every built-in exception on damaged input.
    except Exception:
        raise ScanError("The images of this series are damaged or cut short.", EXPORT_AGAIN, source) from None


def _read_series(series: ImageSeries, source: str, limits: Limits, budget: PixelBudget) -> Scan:
    first = series.images[0]
    rows, columns = first.instance.rows, first.instance.columns
    if rows * columns > limits.max_pixels:
        raise ScanError("The images of this series are larger than is accepted.", "Export it smaller and try again.")
    if len(series.images) > limits.max_slices:
        raise ScanError(
            f"This series has {len(series.images)} images, more than are accepted.",
            f"Send at most {limits.max_slices} of them.",
        )
    places = places_of(series.images, limits)
    identity = hashlib.sha256()
    fill = partial(_fill, series.images, places, identity, limits, _WINDOWS.get(series.facts.modality))
    affine = voxel_affine(series.images)
    shape = (columns, rows, places[-1] + 1)
    if affine is None:
        budget.take(rows * columns * len(series.images), len(series.images))
        pixels = np.empty((shape[2], rows, columns), np.float32)
        fill(pixels.transpose(2, 1, 0))
        scan = Scan(
            fill_missing(pixels),
            source,
            "",
            facts={"format": "DICOM", "bits": 16, "color": GRAY, PIXEL_ASPECT: first.frame.aspect},
        )
    else:
        layout = Layout(
            "DICOM",
            shape,
            np.dtype(np.int16),
            0,
            checked(affine),
            oriented=True,
            sized=True,
            # Slices with gaps between them that are read one after another lie nowhere together.
            placed=nifti_header(shape, None if series.facts.missing and shape[2] == len(series.images) else affine),
        )
        scan = assemble(layout, fill, source, "", limits, budget)
    told = replace(series.facts, plane=str(scan.facts.get("plane", "")), spacing=scan.spacing)
    if SeriesNote.BURNED_IN not in told.notes and _is_lettered(scan):
        told = replace(told, notes=(*told.notes, SeriesNote.BURNED_IN))
    return replace(scan, sha256=identity.hexdigest(), modality=told.modality, series=told)


def _is_lettered(scan: Scan) -> bool:
    """Tell whether letters are burned into slices, of several into two of those that are looked at."""
    count = scan.shape[0]
    numbers = sorted({int(place) for place in np.linspace(0, count - 1, _LOOKED_AT)})
    return sum(has_lettering(scan.pixels[number]) for number in numbers) >= min(2, len(numbers))


def places_of(images: Sequence[Image], limits: Limits) -> list[int]:
    """Number the slices of images in order, with room for those that are missing between them."""
    heights = [image.frame.height for image in images]
    known = [height for height in heights if height is not None]
    usual = slice_distance(known)
    if len(known) < len(images) or not usual:
        return list(range(len(images)))
    steps = np.maximum(1, np.rint(np.diff(known) / usual)).astype(int)
    places = [0, *np.cumsum(steps).tolist()]
    # A few images far apart are read one after another, not as a volume with holes.
    return places if places[-1] < min(2 * len(images), limits.max_slices) else list(range(len(images)))


def voxel_affine(images: Sequence[Image]) -> NDArray[np.float64] | None:
    """Give the matrix from (column, row, slice) to the patient's space (RAS+); None where images have no place."""
    first = images[0].frame
    normal = first.normal
    if normal is None or first.orientation is None or first.position is None or first.spacing is None:
        return None
    heights = [height for image in images if (height := image.frame.height) is not None]
    if len(heights) < len(images) or (slice_distance(heights) or 0) > _THICKEST:
        return None
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.orientation[:3]) * first.spacing[1]
    affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing[0]
    affine[:3, 2] = np.array(normal) * slice_thickness(images)
    if (shifted := shear(images)) is not None:
        affine[:3, 2] += shifted[0] * slice_thickness(images)
    affine[:3, 3] = first.position
    return np.asarray(_TO_RAS @ affine)


def slice_thickness(images: Sequence[Image]) -> float:
    """Give the millimeters from slice to slice of images that have places; of one image its thickness."""
    first = images[0].frame
    heights = [height for image in images if (height := image.frame.height) is not None]
    return slice_distance(heights) or first.thickness or max(first.spacing or (1.0,))


def _fill(
    images: Sequence[Image],
    places: Sequence[int],
    identity: "hashlib._Hash",
    limits: Limits,
    window: tuple[float, float] | None,
    voxels: NDArray[np.float32],
) -> None:
    """Decode images into ``voxels``, (columns, rows, slices); what lies beside ``window`` is as its nearer end."""
    if voxels.shape[2] > len(images):
        voxels[...] = np.nan
    of_instance: dict[int, list[tuple[int, Image]]] = defaultdict(list)
    for place, image in zip(places, images, strict=True):
        of_instance[id(image.instance)].append((place, image))
    for placed in of_instance.values():
        data = placed[0][1].instance.file.load()
        identity.update(hashlib.sha256(data).digest())
        # One file may hold several volumes.
        frames = [(place, image.frame.index, image.frame.tile) for place, image in placed]
        identity.update(repr(frames).encode())
        for place, pixels in _decoded(data, placed, limits):
            voxels[:, :, place] = pixels.T
    if window:
        np.clip(voxels, *window, out=voxels)
    if images[0].instance.photometric == "MONOCHROME1":
        # Low is bright there (PS3.3, C.7.6.3.1.2).
        np.subtract(np.nanmax(voxels) + np.nanmin(voxels), voxels, out=voxels)


def _decoded(
    data: bytes, placed: Sequence[tuple[int, Image]], limits: Limits
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    instance = placed[0][1].instance
    stored = StoredPixels(data, instance.transfer_syntax, limits)
    index, frame = -1, np.empty((0, 0), np.float32)
    for place, image in placed:
        if image.frame.index != index:
            index, frame = image.frame.index, stored.frame(image.frame.index)
        shown = frame
        if image.frame.tile is not None:
            row, column = divmod(image.frame.tile, frame.shape[1] // instance.columns)
            top, left = row * instance.rows, column * instance.columns
            shown = frame[top : top + instance.rows, left : left + instance.columns]
        yield place, stored.rescaled(shown, image.frame.slope, image.frame.intercept)
