"""The pixels of a series: frames decoded one by one to where they lie in a volume."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut
from pydicom.tag import Tag
from pydicom.uid import UID, JPEGExtended12Bit

from braintumor.scans.color import GRAY
from braintumor.scans.dicom.codestream import Codestream, codestream
from braintumor.scans.dicom.grouping import Image, ImageSeries, slice_distance
from braintumor.scans.dicom.instance import Instance
from braintumor.scans.dicom.parsing import EXPORT_AGAIN, Parsed, number
from braintumor.scans.layout import Layout, checked, nifti_header
from braintumor.scans.limits import Limits, PixelBudget
from braintumor.scans.scan import Scan, ScanError, fill_missing
from braintumor.scans.volumes import assemble

_PIXEL_TAGS = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "ModalityLUTSequence"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData"),
)
_LARGEST_PIXEL = 16
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
    places = _places(series.images, limits)
    identity = hashlib.sha256()
    fill = partial(_fill, series.images, places, identity, limits)
    affine = _affine(series.images)
    shape = (columns, rows, places[-1] + 1)
    if affine is None:
        budget.take(rows * columns * len(series.images), len(series.images))
        pixels = np.empty((shape[2], rows, columns), np.float32)
        fill(pixels.transpose(2, 1, 0))
        scan = Scan(fill_missing(pixels), source, "", facts={"format": "DICOM", "bits": 16, "color": GRAY})
    else:
        layout = Layout(
            "DICOM",
            shape,
            np.dtype(np.int16),
            0,
            checked(affine),
            oriented=True,
            sized=True,
            placed=nifti_header(shape, affine),
        )
        scan = assemble(layout, fill, source, "", limits, budget)
    facts = replace(series.facts, plane=str(scan.facts.get("plane", "")), spacing=scan.spacing)
    return replace(scan, sha256=identity.hexdigest(), modality=facts.modality, series=facts)


def _places(images: Sequence[Image], limits: Limits) -> list[int]:
    """Number the slices of images in order, with room for those that are missing between them."""
    heights = [image.frame.height for image in images]
    known = [height for height in heights if height is not None]
    usual = slice_distance(known)
    if len(known) < len(images) or not usual:
        return list(range(len(images)))
    steps = np.maximum(1, np.rint(np.diff(known) / usual)).astype(int)
    places = [0, *np.cumsum(steps).tolist()]
    # A few images far apart are no volume with holes.
    return places if places[-1] < min(2 * len(images), limits.max_slices) else list(range(len(images)))


def _affine(images: Sequence[Image]) -> NDArray[np.float64] | None:
    """Give the matrix from (column, row, slice) to the patient's space (RAS+); None where images have no place."""
    first, last = images[0].frame, images[-1].frame
    if first.position is None or last.position is None or first.orientation is None or first.spacing is None:
        return None
    normal = first.normal
    if normal is None:
        return None
    heights = [image.frame.height for image in images]
    usual = slice_distance([height for height in heights if height is not None])
    across = normal * (usual or abs(first.thickness or 0.0) or max(first.spacing))
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.orientation[:3]) * first.spacing[1]
    affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing[0]
    affine[:3, 2] = across
    affine[:3, 3] = first.position
    return np.asarray(_TO_RAS @ affine)


def _fill(
    images: Sequence[Image],
    places: Sequence[int],
    identity: "hashlib._Hash",
    limits: Limits,
    voxels: NDArray[np.float32],
) -> None:
    """Decode images into ``voxels``, (columns, rows, slices)."""
    if voxels.shape[2] > len(images):
        voxels[...] = np.nan
    of_instance: dict[int, list[tuple[int, Image]]] = defaultdict(list)
    for place, image in zip(places, images, strict=True):
        of_instance[id(image.instance)].append((place, image))
    for placed in of_instance.values():
        data = placed[0][1].instance.file.load()
        identity.update(hashlib.sha256(data).digest())
        for place, pixels in _decoded(data, placed, limits):
            voxels[:, :, place] = pixels.T
    if images[0].instance.photometric == "MONOCHROME1":
        # Low is bright there (PS3.3, C.7.6.3.1.2).
        np.subtract(np.nanmax(voxels) + np.nanmin(voxels), voxels, out=voxels)


def _decoded(
    data: bytes, placed: Sequence[tuple[int, Image]], limits: Limits
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    instance = placed[0][1].instance
    dataset = Parsed(data, _PIXEL_TAGS, limits.max_bytes).dataset
    if Tag("PixelData") not in dataset:
        raise ScanError("This series has no pixels that can be shown.", "Send the images that it was made from.")
    padding = number(dataset, "PixelPaddingValue")
    known: dict[int, NDArray[np.float32]] = {}
    for place, image in placed:
        frame = image.frame
        if frame.index not in known:
            known.clear()
            known[frame.index] = _frame(dataset, instance, frame.index)
        stored = known[frame.index]
        if frame.tile is not None:
            across = stored.shape[1] // instance.columns
            row, column = (
                part * size
                for part, size in zip(divmod(frame.tile, across), (instance.rows, instance.columns), strict=True)
            )
            stored = stored[row : row + instance.rows, column : column + instance.columns]
        if "ModalityLUTSequence" in dataset:
            values = np.asarray(apply_modality_lut(stored.astype(np.int32), dataset), np.float32)
        else:
            values = stored * np.float32(frame.slope) + np.float32(frame.intercept)
        yield place, values if padding is None else np.where(stored == padding, np.float32(np.nan), values)


def _frame(dataset: FileDataset, instance: Instance, index: int) -> NDArray[np.float32]:
    """Decode one stored image, (rows, columns), as the numbers that its file holds."""
    syntax = UID(instance.transfer_syntax) if instance.transfer_syntax else None
    if int(dataset.BitsAllocated) > _LARGEST_PIXEL or int(dataset.SamplesPerPixel) != 1:
        raise ScanError("The pixels of this series are no gray values of up to 16 bits.", EXPORT_AGAIN)
    if syntax is not None and syntax.is_encapsulated:
        _check_codestream(dataset, syntax, index)
    try:
        decoder = get_decoder(syntax or dataset.file_meta.TransferSyntaxUID)
    except NotImplementedError:
        raise ScanError(
            f"Its transfer syntax, {syntax.name if syntax else 'unknown'}, cannot be read.", EXPORT_AGAIN
        ) from None
    decoded, _ = decoder.as_array(dataset, index=index, raw=True)
    return np.asarray(_without_overlay(decoded, dataset), dtype=np.float32)


def _without_overlay(stored: NDArray[Any], dataset: FileDataset) -> NDArray[Any]:
    """Clear what old scanners keep in the bits above those of the pixels."""
    bits = int(number(dataset, "BitsStored") or dataset.BitsAllocated)
    if np.dtype(stored.dtype).kind == "u" and bits < stored.dtype.itemsize * 8:
        return np.asarray(np.bitwise_and(stored, np.array((1 << bits) - 1, stored.dtype)))
    return stored


def _check_codestream(dataset: FileDataset, syntax: UID, index: int) -> None:
    """Refuse packed pixels that claim another size than their object: decoders take memory for what they claim."""
    frames = int(number(dataset, "NumberOfFrames") or 1)
    packed = get_frame(dataset.PixelData, index, number_of_frames=frames)
    found: Codestream | None = codestream(packed)
    if found is None:
        return
    if (found.height, found.width) != (dataset.Rows, dataset.Columns):
        raise ScanError("The packed pixels of this series have another size than its header says.", EXPORT_AGAIN)
    if syntax == JPEGExtended12Bit and found.bits > 8:
        raise ScanError(
            "This series is packed as 12-bit lossy JPEG, which cannot be read.",
            "Send it uncompressed or with lossless compression.",
        )
