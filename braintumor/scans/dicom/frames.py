"""The images that one DICOM object holds, and where each lies in the patient."""
# mypy: allow-untyped-calls
# nibabel annotates few of its functions.

import math
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from sys import intern

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from braintumor.scans.dicom.parser import Parsed, number, numbers, raw, text
from braintumor.scans.limits import Limits
from braintumor.scans.scan import ScanError

# nibabel calls its reader of Siemens' header experimental, on every import.
warnings.filterwarnings("ignore", module=r"(braintumor\.scans\.dicom\.frames|nibabel)\b")

_MOSAIC_COUNT = Tag(0x0019, 0x100A)
_CSA_HEADER = Tag(0x0029, 0x1010)
_B_VALUES: dict[str, tuple[BaseTag, str]] = {
    "SIEMENS": (Tag(0x0019, 0x100C), ""),
    "GE": (Tag(0x0043, 0x1039), ""),
    "PHILIPS": (Tag(0x2001, 0x1003), "<f"),
    "UIH": (Tag(0x0065, 0x1009), "<d"),
}
"""Private elements for the b-value, by how a vendor's name begins, and how its bytes are to be read where the file does
not state their type; as dcm2niix knows them."""
_GE_B_OFFSET = 1_000_000_000
"""GE adds this to b-values of some protocols."""

TAGS: tuple[str | BaseTag, ...] = (
    *("NumberOfFrames", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *(
        "PixelAspectRatio",
        "SliceThickness",
        "SpacingBetweenSlices",
        "RescaleSlope",
        "RescaleIntercept",
        "WindowCenter",
        "WindowWidth",
    ),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ImageType", "Manufacturer"),
    *("TemporalPositionIdentifier", "AcquisitionNumber", "TriggerTime", "InstanceNumber", "EchoTime"),
    *("DiffusionBValue", _MOSAIC_COUNT, _CSA_HEADER),
    *(tag for tag, _ in _B_VALUES.values()),
)

_MOST_TILES = 1024
_LONGEST_CSA = 2**20
_SKEWED = 1e-2
"""Parts by which directions may miss length 1 and a right angle; files give them with as few as three digits."""
_FARTHEST = 10_000.0
"""Millimeters from the center of the magnet, or between pixels, beyond which a number is nonsense."""
_SMALLEST = 1e-3

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of an object, and where it lies in the patient.

    ``position`` and ``orientation`` are those of DICOM (LPS, millimeters), None where the file gives none that make
    sense; ``spacing`` is (row, column) in millimeters or None, ``aspect`` how wide a pixel is for its height,
    ``thickness`` the distance to the next slice as the file
    claims it. ``window`` is (center, width). ``kind`` is the image's or frame's type. ``order`` sorts what lies at one
    place: time point, acquisition, trigger time, number in the series, number in the file. ``tile`` is its number in a
    mosaic.
    """

    index: int
    position: Vector | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, float] | None
    aspect: float
    thickness: float | None
    slope: float
    intercept: float
    window: tuple[float, float] | None
    echo: float | None
    b_value: float | None
    kind: str
    order: tuple[float, ...]
    tile: int | None = None

    @property
    def normal(self) -> Vector | None:
        """The direction across the image, of length 1; None where the file does not say."""
        if self.orientation is None:
            return None
        a, b, c, d, e, f = self.orientation
        across = (b * f - c * e, c * d - a * f, a * e - b * d)
        length = math.hypot(*across)
        return (across[0] / length, across[1] / length, across[2] / length)

    @property
    def height(self) -> float | None:
        """Where the image lies along its normal, in millimeters."""
        normal = self.normal
        return None if normal is None or self.position is None else along(normal, self.position)


def along(direction: Vector, position: Vector) -> float:
    """Give how far a position lies in a direction of length 1."""
    return sum(part * of for part, of in zip(direction, position, strict=True))


def count_tiles(dataset: Dataset) -> int:
    """Count the slices that a mosaic by Siemens shows side by side, 0 for any other image."""
    if "MOSAIC" not in text(dataset, "ImageType").upper():
        return 0
    stated = raw(dataset, _MOSAIC_COUNT)
    count = float(int.from_bytes(stated[:2], "little")) if stated else number(dataset, _MOSAIC_COUNT)
    count = count or next(iter(_csa_numbers(dataset, "NumberOfImagesInMosaic")), 0)
    return int(count) if 1 < count <= _MOST_TILES else 0


def _csa_numbers(dataset: Dataset, name: str) -> tuple[float, ...]:
    """Give numbers of the private header in which Siemens keeps what older versions say nowhere else; none without."""
    header = raw(dataset, _CSA_HEADER)
    if not 0 < len(header) <= _LONGEST_CSA:
        return ()
    # Few objects need it.
    from nibabel.nicom import csareader

    try:
        return tuple(float(item) for item in csareader.read(header)["tags"].get(name, {}).get("items", ()))
    # A damaged header makes it raise nearly every built-in exception.
    except Exception:
        return ()


def read_frames(parsed: Parsed, tiles: int, limits: Limits) -> Iterator[Frame]:
    """Yield the frames of an object, of a mosaic its tiles; raises ``ScanError`` for more than ``max_slices``."""
    dataset = parsed.dataset
    count = max(int(number(dataset, "NumberOfFrames") or 1), 1)
    if max(count, tiles) > limits.max_slices:
        raise ScanError(
            "This DICOM file holds more images than are accepted.",
            f"Export at most {limits.max_slices} of them and try again.",
        )
    shared = next(iter(parsed.items("SharedFunctionalGroupsSequence")), Dataset())
    single = parsed.items("PerFrameFunctionalGroupsSequence")
    for index in range(count):
        own = single[index] if index < len(single) else Dataset()
        frame = _frame(parsed, index, (own, shared), is_enhanced=bool(single))
        yield from _tile_frames(dataset, frame, tiles) if tiles else (frame,)


def _frame(parsed: Parsed, index: int, groups: tuple[Dataset, Dataset], *, is_enhanced: bool) -> Frame:
    top = parsed.dataset

    def place(sequence: str) -> Dataset:
        # What the groups of a frame say, objects of one frame say at the top.
        return parsed.item(sequence, *groups) if is_enhanced else top

    position = numbers(place("PlanePositionSequence"), "ImagePositionPatient")
    measures = place("PixelMeasuresSequence")
    spacing = _spacing(numbers(measures, "PixelSpacing"))
    rescaling, windows = place("PixelValueTransformationSequence"), place("FrameVOILUTSequence")
    center, width = number(windows, "WindowCenter"), number(windows, "WindowWidth")
    content = place("FrameContentSequence")
    kind = text(parsed.item("MRImageFrameTypeSequence", *groups), "FrameType") if is_enhanced else ""
    return Frame(
        index=index,
        position=(position[0], position[1], position[2]) if _is_place(position) else None,
        orientation=_orientation(numbers(place("PlaneOrientationSequence"), "ImageOrientationPatient")),
        spacing=spacing,
        aspect=_aspect(spacing, numbers(top, "PixelAspectRatio")),
        thickness=_length(number(measures, "SpacingBetweenSlices")) or _length(number(measures, "SliceThickness")),
        slope=number(rescaling, "RescaleSlope") or 1.0,
        intercept=number(rescaling, "RescaleIntercept") or 0.0,
        window=(center, width) if center is not None and width and width > 0 else None,
        echo=number(place("MREchoSequence"), "EffectiveEchoTime" if is_enhanced else "EchoTime"),
        b_value=number(place("MRDiffusionSequence"), "DiffusionBValue") if is_enhanced else _b_value(top),
        kind=intern(kind or text(top, "ImageType")),
        order=_order(content, top, index),
    )


def _is_place(position: tuple[float, ...]) -> bool:
    return len(position) == 3 and all(abs(part) <= _FARTHEST for part in position)


def _orientation(given: tuple[float, ...]) -> tuple[float, ...] | None:
    """Give directions of a row and a column back; None where they are none of length 1 at a right angle."""
    if len(given) != 6:
        return None
    row, column = given[:3], given[3:]
    lengths = [math.hypot(*row), math.hypot(*column)]
    skew = sum(a * b for a, b in zip(row, column, strict=True))
    return given if max(abs(skew), *(abs(length - 1) for length in lengths)) <= _SKEWED else None


def _spacing(given: tuple[float, ...]) -> tuple[float, float] | None:
    return (given[0], given[1]) if len(given) == 2 and all(_length(part) for part in given) else None


def _aspect(spacing: tuple[float, float] | None, ratio: tuple[float, ...]) -> float:
    """Give a pixel's width over its height: by its size, else by the ratio of height to width that a file may state."""
    if spacing:
        return spacing[1] / spacing[0]
    return ratio[1] / ratio[0] if len(ratio) == 2 and min(ratio) > 0 else 1.0


def _length(given: float | None) -> float | None:
    """Give a length in millimeters back, without its sign, which GE turns; None where it is none."""
    return abs(given) if given is not None and _SMALLEST <= abs(given) <= _FARTHEST else None


def _order(content: Dataset, top: Dataset, index: int) -> tuple[float, ...]:
    point = number(content, "TemporalPositionIndex") or number(top, "TemporalPositionIdentifier") or 0
    return (
        point,
        *(number(top, name) or 0 for name in ("AcquisitionNumber", "TriggerTime", "InstanceNumber")),
        float(index),
    )


def _b_value(dataset: Dataset) -> float | None:
    if (found := number(dataset, "DiffusionBValue")) is not None:
        return found
    vendor = text(dataset, "Manufacturer").upper()
    for name, (tag, form) in _B_VALUES.items():
        if vendor.startswith(name):
            stated = raw(dataset, tag)
            if form and len(stated) == struct.calcsize(form):
                found = float(struct.unpack(form, stated)[0])
            else:
                found = number(dataset, tag)
            return None if found is None or not math.isfinite(found) else found % _GE_B_OFFSET
    return None


def _tile_frames(dataset: Dataset, frame: Frame, tiles: int) -> Iterator[Frame]:
    """Place the tiles of a mosaic: what its file gives is the corner that one image of the whole size would have.

    The corner of a tile lies half the rest inside of it, and tiles follow one another along the normal, or against it
    where the private header says so, as dcm2niix and nibabel have it.
    """
    across = math.ceil(math.sqrt(tiles))
    rows, columns = (int(number(dataset, name) or 0) for name in ("Rows", "Columns"))
    normal = frame.normal
    corner = step = None
    if frame.position and frame.orientation and normal and frame.spacing and frame.thickness:
        down, right = ((size - size // across) / 2 for size in (rows, columns))
        corner = [
            at + right * frame.spacing[1] * row + down * frame.spacing[0] * column
            for at, row, column in zip(frame.position, frame.orientation[:3], frame.orientation[3:], strict=True)
        ]
        stated = _csa_numbers(dataset, "SliceNormalVector")
        is_against = len(stated) == 3 and along(normal, (stated[0], stated[1], stated[2])) < 0
        step = [part * (-frame.thickness if is_against else frame.thickness) for part in normal]
    for tile in range(tiles):
        position = None
        if corner and step:
            x, y, z = (at + part * tile for at, part in zip(corner, step, strict=True))
            position = (x, y, z)
        yield replace(frame, position=position, tile=tile, order=(*frame.order, float(tile)))
