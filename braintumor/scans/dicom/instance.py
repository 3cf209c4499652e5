"""One DICOM object as far as it is needed to form series: its facts and its frames."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    MRSpectroscopyStorage,
)

from braintumor.scans.dicom import frames
from braintumor.scans.dicom.frames import Frame, count_tiles, read_frames
from braintumor.scans.dicom.parser import DAMAGED, EXPORT_AGAIN, LARGEST, Parsed, number, text
from braintumor.scans.files import StoredFile
from braintumor.scans.limits import Limits
from braintumor.scans.scan import ScanError
from braintumor.scans.series import Patient

_STORED_KIND = "MediaStorageSOPClassUID"
_FACTS = (
    *("SOPClassUID", "SeriesNumber", "Modality", "BodyPartExamined", "Laterality", "ImageLaterality"),
    *("SeriesDescription", "ProtocolName", "StudyDescription", "Manufacturer", "MagneticFieldStrength"),
    *("RepetitionTime", "InversionTime", "FlipAngle", "ScanningSequence", "SequenceName", "PulseSequenceName"),
    *("EchoPlanarPulseSequence", "AcquisitionContrast", "ContrastBolusAgent", "BurnedInAnnotation"),
    *("ComplexImageComponent",),
)
_IN_GROUPS = {
    "RepetitionTime": ("MRTimingAndRelatedParametersSequence", "RepetitionTime"),
    "FlipAngle": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    "InversionTime": ("MRModifierSequence", "InversionTimes"),
    "AcquisitionContrast": ("MRImageFrameTypeSequence", "AcquisitionContrast"),
    "ComplexImageComponent": ("MRImageFrameTypeSequence", "ComplexImageComponent"),
    "ImageLaterality": ("FrameAnatomySequence", "FrameLaterality"),
}
"""Where Enhanced objects say what others say at the top."""
_AGENT, _AGENTS = "ContrastBolusAgent", "ContrastBolusAgentSequence"
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_SHAPE = ("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
_TAGS: tuple[str | BaseTag, ...] = (
    *_FACTS,
    _AGENTS,
    *_PATIENT,
    *_IDENTIFIERS,
    *_SHAPE,
    *frames.TAGS,
    "SpecificCharacterSet",
)

_IMAGES = frozenset({MRImageStorage, EnhancedMRImageStorage, CTImageStorage, EnhancedCTImageStorage})
"""Objects that are damaged where they have no pixels."""
_NO_PICTURES = frozenset({"SEG", "RTDOSE", "PR"})
"""Modalities whose pixels are no picture of the patient, or that have none."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM object: its file, who was scanned, its identifiers, what it says, and its ``frames``.

    ``facts`` are texts by DICOM keyword, those that the object states. ``rows`` and ``columns`` are those of one frame,
    of a mosaic those of one tile. It has no frames where it holds no images.
    """

    file: StoredFile
    facts: Mapping[str, str]
    patient: Patient
    study: str
    series: str
    uid: str
    transfer_syntax: str
    rows: int
    columns: int
    photometric: str
    frames: tuple[Frame, ...]
    is_directory: bool = False
    """Whether it is a DICOMDIR, the index of a CD."""

    def text(self, keyword: str) -> str:
        """Give what the object says; empty where it does not."""
        return self.facts.get(keyword, "")

    def number(self, keyword: str) -> float | None:
        """Give the first number of what the object says; None where it says none."""
        try:
            read = float(self.facts[keyword].partition("\\")[0])
        except (KeyError, ValueError):
            return None
        return read if abs(read) < LARGEST else None


class DamagedObjectError(ScanError):
    """An object that is cut short or damaged, of a series that its header names."""

    def __init__(self, error: ScanError, patient: Patient, study: str, uid: str) -> None:
        super().__init__(error.reason, error.hint, error.source)
        self.patient, self.study, self.uid = patient, study, uid


def read_instance(file: StoredFile, data: bytes, limits: Limits) -> Instance:
    """Read what a DICOM object says, without its pixels; raises ``ScanError`` where it is damaged or too much.

    Where its header still tells the series, that is a ``DamagedObjectError``.
    """
    try:
        return _instance(file, Parsed(data, _TAGS, limits.max_bytes, up_to_pixels=True), limits)
    except ScanError as error:
        error.source = file.name
        raise
    # A damaged object makes pydicom raise nearly every built-in exception.
    except Exception:
        raise ScanError(DAMAGED, EXPORT_AGAIN, file.name) from None


def _instance(file: StoredFile, parsed: Parsed, limits: Limits) -> Instance:
    dataset = parsed.dataset
    stored_kind = text(dataset.file_meta, _STORED_KIND)
    facts = _facts(parsed)
    rows, columns = (int(number(dataset, name) or 0) for name in ("Rows", "Columns"))
    study, series, uid = (intern(text(dataset, name)) for name in _IDENTIFIERS)
    patient = Patient(*(intern(text(dataset, name)) for name in _PATIENT))
    try:
        _check_whole(parsed, facts, stored_kind, rows * columns)
    except ScanError as error:
        raise DamagedObjectError(error, patient, study, series) if series else error from None
    tiles = count_tiles(dataset)
    across = math.ceil(math.sqrt(tiles)) if tiles else 1
    rows, columns = rows // across, columns // across
    is_image = parsed.has_pixels and rows > 0 and columns > 0 and facts.get("Modality", "") not in _NO_PICTURES
    return Instance(
        file=file,
        facts=facts,
        patient=patient,
        study=study,
        series=series,
        uid=uid,
        transfer_syntax=intern(parsed.transfer_syntax),
        rows=rows,
        columns=columns,
        # Some leave out what all gray images have in common.
        photometric=intern(text(dataset, "PhotometricInterpretation").upper() or "MONOCHROME2"),
        frames=tuple(read_frames(parsed, tiles, limits)) if is_image else (),
        is_directory=stored_kind == MediaStorageDirectoryStorage,
    )


def _facts(parsed: Parsed) -> dict[str, str]:
    """Collect what an object says; texts that many objects share are held once."""
    dataset = parsed.dataset
    facts = {name: intern(said) for name in _FACTS if (said := text(dataset, name))}
    facts["Modality"] = intern(facts.get("Modality", "").upper())
    agents = parsed.items(_AGENTS)
    if agents and _AGENT not in facts:
        facts[_AGENT] = intern(text(agents[0], "CodeMeaning") or "stated by code")
    groups = [
        next(iter(parsed.items(name)), Dataset())
        for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
    ]
    if any(groups):
        for name, (sequence, keyword) in _IN_GROUPS.items():
            said = text(parsed.item(sequence, *groups), keyword)
            if said and name not in facts:
                facts[name] = intern(said)
    return facts


def _check_whole(parsed: Parsed, facts: Mapping[str, str], stored_kind: str, pixels: int) -> None:
    """Refuse what is not a DICOM object after all, or ends before what it announces."""
    dataset = parsed.dataset
    kind = facts.get("SOPClassUID", "") or stored_kind
    if not kind and not facts["Modality"]:
        raise ScanError(DAMAGED, EXPORT_AGAIN)
    is_missed = kind in _IMAGES or (pixels > 0 and kind != MRSpectroscopyStorage)
    if parsed.is_cut or (is_missed and not parsed.has_pixels):
        raise ScanError(DAMAGED, EXPORT_AGAIN)
    frames, samples, bits = (
        int(number(dataset, name) or usual)
        for name, usual in (("NumberOfFrames", 1), ("SamplesPerPixel", 1), ("BitsAllocated", 16))
    )
    # Of color, some store less than a sample for each pixel.
    if parsed.pixel_bytes is not None and samples == 1 and parsed.pixel_bytes * 8 < pixels * frames * bits:
        raise ScanError(DAMAGED, EXPORT_AGAIN)
