"""The objects that a series was read from, as what is made from it must refer to them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage
from pydicom.valuerep import DA, TM

from braintumor.scans.dicom.frames import Frame
from braintumor.scans.dicom.instance import Instance
from braintumor.scans.dicom.parser import EXPORT_AGAIN, Parsed, text
from braintumor.scans.dicom.pixels import places_of, slice_thickness, voxel_affine
from braintumor.scans.dicom.stacks import ImageSeries
from braintumor.scans.limits import Limits
from braintumor.scans.scan import ScanError

_LONGEST_ENTRY = 64
"""Characters of an entry of a header (PS3.5, section 6.2, LO)."""
_UID = re.compile(r"[0-9][0-9.]{0,63}")
_ENHANCED = frozenset({EnhancedMRImageStorage, EnhancedCTImageStorage})
_SEXES = frozenset({"M", "F", "O"})
_UTF_8 = "ISO_IR 192"
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True)
class SourceImages:
    """A series' objects without their pixels, and for each image in order its object, its frame and its place.

    ``datasets`` say what an object made from them must repeat (PS3.3, C.7.1 to C.7.4) and where each image lies, all
    of it checked. ``objects``, ``frames`` and ``places`` are as long as the series has images: the number of a dataset,
    that of the frame in it, and that of the slice in the volume as its file axes have it.
    """

    datasets: Sequence[Dataset]
    objects: Sequence[int]
    frames: Sequence[int]
    places: Sequence[int]


def unreferable(series: ImageSeries) -> str:
    """Say in a sentence why no object can refer to the images of a series; empty where one can."""
    instances = series.instances
    identities = [(instance.study, instance.series, instance.uid, _kind(instance)) for instance in instances]
    if not all(_UID.fullmatch(part) for identity in identities for part in identity):
        return "Its images lack the identifiers by which others refer to them."
    if len(set(identities)) < len(identities):
        return "Several of its images have the same identifier."
    if not series.images or voxel_affine(series.images) is None:
        return "Its images do not say where they lie."
    if any(image.frame.tile is not None for image in series.images):
        return "Its slices are tiles of one image."
    if len(instances) > 1 and any(_holds_many(instance) for instance in instances):
        return "Its images lie in several files of many frames."
    return ""


def read_sources(series: ImageSeries, limits: Limits) -> SourceImages:
    """Collect what the objects of a series say besides their pixels; raises ``ScanError`` where none can refer to them.

    Entries of patient and study that break the rules of their type are left empty.
    """
    if reason := unreferable(series):
        raise ScanError(reason, EXPORT_AGAIN)
    numbers = {id(instance): number for number, instance in enumerate(series.instances)}
    common = _common(series, limits)
    return SourceImages(
        [_dataset(instance, series, common) for instance in series.instances],
        [numbers[id(image.instance)] for image in series.images],
        [image.frame.index for image in series.images],
        places_of(series.images, limits),
    )


def _kind(instance: Instance) -> str:
    return instance.text("SOPClassUID")


def _holds_many(instance: Instance) -> bool:
    return len(instance.frames) > 1 or _kind(instance) in _ENHANCED


def _of_form(check: Callable[[str], object]) -> Callable[[str], str]:
    """Make a function that gives a text back, empty where ``check`` refuses it."""

    def given(said: str) -> str:
        try:
            return said if said and check(said) else ""
        except ValueError:
            return ""

    return given


_ENTRIES: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(("PatientName", "ReferringPhysicianName"), str),
    **dict.fromkeys(("PatientID", "AccessionNumber", "StudyID", "StudyDescription"), str),
    **dict.fromkeys(("PatientBirthDate", "StudyDate"), _of_form(DA)),
    "StudyTime": _of_form(TM),
    "PatientSex": _of_form(_SEXES.__contains__),
    "FrameOfReferenceUID": _of_form(_UID.fullmatch),
    **dict.fromkeys(_LOSSY, str),
}
"""What is repeated of patient and study, each with what makes a valid entry of what stands there."""
_IF_STATED = frozenset({"StudyDescription", "FrameOfReferenceUID", *_LOSSY})


def _common(series: ImageSeries, limits: Limits) -> dict[str, str]:
    """Read what all objects of a series have in common from the first."""
    data = series.instances[0].file.load()
    parsed = Parsed(data, [*_ENTRIES, "SpecificCharacterSet"], limits.max_bytes, up_to_pixels=True)
    entries = {name: valid(text(parsed.dataset, name)[:_LONGEST_ENTRY]) for name, valid in _ENTRIES.items()}
    return {name: said for name, said in entries.items() if said or name not in _IF_STATED}


def _dataset(instance: Instance, series: ImageSeries, common: Mapping[str, str]) -> Dataset:
    made = _item(
        SpecificCharacterSet=_UTF_8,
        **common,
        StudyInstanceUID=instance.study,
        SeriesInstanceUID=instance.series,
        SOPInstanceUID=instance.uid,
        SOPClassUID=_kind(instance),
        Modality=series.facts.modality,
        SeriesNumber=series.facts.number or 0,
        Rows=instance.rows,
        Columns=instance.columns,
    )
    # Cosines of one series may differ in the eighth digit, and spacings be missing in some of its files.
    first = series.images[0].frame
    orientation = _item(ImageOrientationPatient=_decimals(first.orientation))
    measures = _item(
        PixelSpacing=_decimals(first.spacing), SliceThickness=_decimals([slice_thickness(series.images)])[0]
    )
    if not _holds_many(instance):
        for groups in (orientation, measures, _position(instance.frames[0], first)):
            made.update(groups)
        return made
    made.NumberOfFrames = len(instance.frames)
    shared = _item(PixelMeasuresSequence=DicomSequence([measures]))
    shared.PlaneOrientationSequence = DicomSequence([orientation])
    made.SharedFunctionalGroupsSequence = DicomSequence([shared])
    made.PerFrameFunctionalGroupsSequence = DicomSequence(
        [_item(PlanePositionSequence=DicomSequence([_position(frame, first)])) for frame in instance.frames]
    )
    return made


def _position(frame: Frame, first: Frame) -> Dataset:
    # A frame that says no place is none of the series', but its file counts it.
    return _item(ImagePositionPatient=_decimals(frame.position or first.position))


def _decimals(given: Sequence[float] | None) -> list[str]:
    """Write numbers as DICOM has them, in at most 16 characters (PS3.5, section 6.2, DS)."""
    return [f"{number:.10g}" for number in given or ()]


def _item(**elements: object) -> Dataset:
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made
