"""One DICOM object as far as it is needed to form series: its facts, and where each of its frames lies."""
# mypy: allow-untyped-calls
# nibabel annotates few of its functions.

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import MediaStorageDirectoryStorage

from braintumor.scans.dicom.parsing import DAMAGED, EXPORT_AGAIN, Parsed, number, numbers, text, value
from braintumor.scans.files import StoredFile
from braintumor.scans.limits import Limits
from braintumor.scans.scan import ScanError
from braintumor.scans.series import Patient

# nibabel calls its reader of Siemens' header experimental, on every import.
warnings.filterwarnings("ignore", module="braintumor.scans.dicom.instance")

_MOSAIC_COUNT = Tag(0x0019, 0x100A)
_B_VALUE_SIEMENS = Tag(0x0019, 0x100C)
_B_VALUE_GE = Tag(0x0043, 0x1039)
_CSA_HEADER = Tag(0x0029, 0x1010)
_PRIVATE = (_MOSAIC_COUNT, _B_VALUE_SIEMENS, _B_VALUE_GE, _CSA_HEADER)
_STORED_KIND = "MediaStorageSOPClassUID"
_MOST_TILES = 1024
_FLATTEST = 0.5
_GE_B_OFFSET = 1_000_000_000
"""GE adds this to b-values of some protocols."""

_FACTS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber"),
    *("AcquisitionNumber", "TemporalPositionIdentifier", "TriggerTime", "EchoNumbers", "EchoTime", "RepetitionTime"),
    *("InversionTime", "FlipAngle", "ScanningSequence", "SequenceVariant", "ScanOptions", "SequenceName"),
    *("MRAcquisitionType", "EchoPlanarPulseSequence", "AcquisitionContrast", "Modality", "ImageType"),
    *("BodyPartExamined", "SeriesDescription", "ProtocolName", "StudyDescription", "Manufacturer"),
    *("MagneticFieldStrength", "ContrastBolusAgent", "ContrastBolusAgentSequence", "Laterality"),
    *("ImageLaterality", "BurnedInAnnotation", "DiffusionBValue", "PatientName", "PatientID", "PatientBirthDate"),
    *("PatientSex", "SpecificCharacterSet", "ComplexImageComponent", "PulseSequenceName"),
)
_PLACES = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "NumberOfFrames"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
_PIXELS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored"),
    *("PixelRepresentation", "PixelData", "FloatPixelData", "DoubleFloatPixelData"),
)
_TAGS = (*_FACTS, *_PLACES, *(name for name in _PIXELS if not name.endswith("PixelData")))


@dataclass(frozen=True)
class Frame:
    """One image of an object, and where it lies in the patient.

    ``position`` and ``orientation`` are those of DICOM (LPS, millimeters) or None; ``spacing`` is (row, column) in
    millimeters or None, ``thickness`` the distance to the next slice as the file claims it, None where it does not.
    ``kind`` is the image's or frame's type. ``order`` sorts what lies at one place. ``tile`` is its number in a mosaic.
    """

    index: int
    position: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, float] | None
    thickness: float | None
    slope: float
    intercept: float
    window: tuple[float, float] | None
    echo: float | None
    b_value: float | None
    kind: str
    order: tuple[float, ...]
    tile: int | None = None

    @cached_property
    def normal(self) -> NDArray[np.float64] | None:
        """The direction across the image, (3,), of length 1; None where the file does not say."""
        if self.orientation is None:
            return None
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        length = float(np.linalg.norm(normal))
        return normal / length if length > _FLATTEST else None

    @property
    def height(self) -> float | None:
        """Where the image lies along its normal, in millimeters."""
        if self.position is None or self.normal is None:
            return None
        return float(np.dot(self.normal, self.position))


@dataclass(frozen=True)
class Instance:
    """One DICOM object: its file, its identifiers, its facts as ``dataset`` holds them, and its ``frames``.

    ``rows`` and ``columns`` are those of one frame, of a mosaic those of one tile; ``mosaic`` is the number of its
    tiles, 0 for other objects. It has no frames where it holds no images.
    """

    file: StoredFile
    dataset: FileDataset
    patient: Patient
    study: str
    series: str
    uid: str
    transfer_syntax: str
    rows: int
    columns: int
    photometric: str
    mosaic: int
    frames: tuple[Frame, ...]


def read_instance(file: StoredFile, data: bytes, limits: Limits) -> Instance:
    """Read what a DICOM object says, without its pixels; raises ``ScanError`` where it is damaged or too much."""
    try:
        parsed = Parsed(data, (*_TAGS, *_PRIVATE), limits.max_bytes)
        return _instance(file, parsed, limits)
    except ScanError as error:
        error.source = file.name
        raise
    # A damaged object makes pydicom raise nearly every built-in exception.
    except Exception:
        raise ScanError(DAMAGED, EXPORT_AGAIN, file.name) from None


def is_directory(instance: Instance) -> bool:
    """Tell whether an object is a DICOMDIR, the index of a CD."""
    return text(instance.dataset.file_meta, _STORED_KIND) == MediaStorageDirectoryStorage


def _instance(file: StoredFile, parsed: Parsed, limits: Limits) -> Instance:
    dataset = parsed.dataset
    if not (text(dataset, "SOPClassUID") or text(dataset, "Modality") or text(dataset.file_meta, _STORED_KIND)):
        raise ScanError(DAMAGED, EXPORT_AGAIN)
    rows, columns = (int(number(dataset, name) or 0) for name in ("Rows", "Columns"))
    tiles = _tiles(dataset)
    if tiles:
        across = math.ceil(math.sqrt(tiles))
        rows, columns = rows // across, columns // across
    is_image = rows > 0 and columns > 0
    return Instance(
        file=file,
        dataset=dataset,
        patient=Patient(
            *(text(dataset, name) for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"))
        ),
        study=text(dataset, "StudyInstanceUID"),
        series=text(dataset, "SeriesInstanceUID"),
        uid=text(dataset, "SOPInstanceUID"),
        transfer_syntax=parsed.transfer_syntax,
        rows=rows,
        columns=columns,
        photometric=text(dataset, "PhotometricInterpretation"),
        mosaic=tiles,
        frames=tuple(_frames(parsed, tiles, limits)) if is_image else (),
    )


def _tiles(dataset: Dataset) -> int:
    """Count the slices that a mosaic by Siemens shows side by side, 0 for any other image."""
    if "MOSAIC" not in text(dataset, "ImageType"):
        return 0
    count = number(dataset, _MOSAIC_COUNT) or _csa_number(dataset, "NumberOfImagesInMosaic")
    return int(count) if 1 < count <= _MOST_TILES else 0


def _csa_number(dataset: Dataset, name: str) -> float:
    """Give a number of the private header in which Siemens keeps what older versions say nowhere else; 0 without it."""
    header = value(dataset, _CSA_HEADER)
    if not isinstance(header, bytes):
        return 0.0
    # Few objects need it.
    from nibabel.nicom import csareader

    items = csareader.read(header)["tags"].get(name, {}).get("items", ())
    return float(items[0]) if items else 0.0


def _frames(parsed: Parsed, tiles: int, limits: Limits) -> Iterator[Frame]:
    dataset = parsed.dataset
    count = int(number(dataset, "NumberOfFrames") or 1)
    if max(count, tiles) > limits.max_slices:
        raise ScanError(
            f"This DICOM file holds {max(count, tiles)} images, more than are accepted.",
            f"Export at most {limits.max_slices} of them and try again.",
        )
    shared = next(iter(parsed.items("SharedFunctionalGroupsSequence")), Dataset())
    single = parsed.items("PerFrameFunctionalGroupsSequence")
    for index in range(count):
        own = single[index] if index < len(single) else Dataset()
        frame = _frame(parsed, index, (own, shared), is_enhanced=bool(single))
        if not tiles:
            yield frame
        else:
            yield from _tile_frames(dataset, frame, tiles)


def _frame(parsed: Parsed, index: int, groups: tuple[Dataset, Dataset], *, is_enhanced: bool) -> Frame:
    top = parsed.dataset

    def place(sequence: str) -> Dataset:
        # What no group says of a frame, objects of one frame say at the top.
        return parsed.item(sequence, *groups) if is_enhanced else top

    position = numbers(place("PlanePositionSequence"), "ImagePositionPatient")
    orientation = numbers(place("PlaneOrientationSequence"), "ImageOrientationPatient")
    measures = place("PixelMeasuresSequence")
    spacing = numbers(measures, "PixelSpacing")
    rescaling, windows = place("PixelValueTransformationSequence"), place("FrameVOILUTSequence")
    center, width = number(windows, "WindowCenter"), number(windows, "WindowWidth")
    slope = number(rescaling, "RescaleSlope")
    diffusion, echo = place("MRDiffusionSequence"), place("MREchoSequence")
    content = parsed.item("FrameContentSequence", *groups) if is_enhanced else top
    kind = text(parsed.item("MRImageFrameTypeSequence", *groups), "FrameType") if is_enhanced else ""
    return Frame(
        index=index,
        position=(position[0], position[1], position[2]) if len(position) == 3 else None,
        orientation=orientation if len(orientation) == 6 else None,
        spacing=(spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None,
        thickness=number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness"),
        slope=slope if slope else 1.0,
        intercept=number(rescaling, "RescaleIntercept") or 0.0,
        window=(center, width) if center is not None and width and width > 0 else None,
        echo=number(echo, "EffectiveEchoTime") if is_enhanced else number(top, "EchoTime"),
        b_value=number(diffusion, "DiffusionBValue") if is_enhanced else _b_value(top),
        kind=kind or text(top, "ImageType"),
        order=_order(content, top, index),
    )


def _order(content: Dataset, top: Dataset, index: int) -> tuple[float, ...]:
    """Give what sorts images at one place: time point, acquisition, trigger, number in the series and in the file."""
    point = number(content, "TemporalPositionIndex") or number(top, "TemporalPositionIdentifier") or 0
    return (
        point,
        *(number(top, name) or 0 for name in ("AcquisitionNumber", "TriggerTime", "InstanceNumber")),
        float(index),
    )


def _b_value(dataset: Dataset) -> float | None:
    for tag in ("DiffusionBValue", _B_VALUE_SIEMENS, _B_VALUE_GE):
        if (found := number(dataset, tag)) is not None:
            return found % _GE_B_OFFSET
    return None


def _tile_frames(dataset: Dataset, frame: Frame, tiles: int) -> Iterator[Frame]:
    """Place the tiles of a mosaic: what its file gives is the corner that one image of the whole size would have.

    The corner of a tile lies half the rest inside of it, and tiles follow one another along the normal, as dcm2niix
    and the manual of SPM describe it.
    """
    across = math.ceil(math.sqrt(tiles))
    sizes = [int(number(dataset, name) or 0) for name in ("Rows", "Columns")]
    corner = None
    if frame.position is not None and frame.orientation is not None and frame.spacing is not None:
        along_row, along_column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
        rest = [(size - size // across) / 2 for size in sizes]
        corner = (
            np.array(frame.position)
            + along_row * rest[1] * frame.spacing[1]
            + along_column * rest[0] * frame.spacing[0]
        )
    for tile in range(tiles):
        position = None
        if corner is not None and frame.normal is not None and frame.thickness:
            x, y, z = corner + frame.normal * frame.thickness * tile
            position = (float(x), float(y), float(z))
        yield replace(frame, position=position, tile=tile, order=(*frame.order, float(tile)))
