"""What is known of a series of images besides its pixels, and whether a model may judge it."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Weighting(StrEnum):
    """What kind of images a series holds, as radiologists name them."""

    T1_CONTRAST = "t1_contrast"
    T1 = "t1"
    T2 = "t2"
    FLAIR = "flair"
    PROTON_DENSITY = "proton_density"
    SUSCEPTIBILITY = "susceptibility"
    ANGIOGRAPHY = "angiography"
    DIFFUSION = "diffusion"
    ADC = "adc"
    PERFUSION = "perfusion"
    FUNCTIONAL = "functional"
    SPECTROSCOPY = "spectroscopy"
    FIELD_MAP = "field_map"
    DERIVED_MAP = "derived_map"
    LOCALIZER = "localizer"
    UNKNOWN = "unknown"


_STATED = {
    **dict.fromkeys(("flair", "t2f"), Weighting.FLAIR),
    **dict.fromkeys(("t1", "t1w", "t1n"), Weighting.T1),
    **dict.fromkeys(("t1c", "t1ce", "t1gd"), Weighting.T1_CONTRAST),
    **dict.fromkeys(("t2", "t2w"), Weighting.T2),
}
"""Last words of a file's name: suffixes of the Brain Imaging Data Structure (BIDS, anatomical MRI) and of BraTS."""


def stated_weighting(file_name: str) -> Weighting:
    """Tell what the name of a volume's file says of its images, by its last word: ``sub-01_T1w.nii.gz`` is T1.

    BIDS names a contrast agent by ``ce-`` before it. Names that follow neither convention give ``UNKNOWN``.
    """
    *before, last = re.split(r"[_\-]", file_name.lower().split(".")[0])
    found = _STATED.get(last, Weighting.UNKNOWN)
    return Weighting.T1_CONTRAST if found is Weighting.T1 and "ce" in before else found


class Unjudged(StrEnum):
    """Why no model judges a series."""

    NO_IMAGES = "no_images"
    """Reports, documents, segmentations and the like."""
    OTHER_MODALITY = "other_modality"
    OTHER_BODY_PART = "other_body_part"
    PHANTOM = "phantom"
    LOCALIZER = "localizer"
    WEIGHTING = "weighting"
    """Images of a kind on which no model learned, such as diffusion; ``Series.weighting`` names it."""
    DERIVED = "derived"
    """Maps that were computed, such as ADC."""
    COLOR = "color"


class SeriesNote(StrEnum):
    """What to know of how a series lies in its files."""

    GAPS = "gaps"
    DUPLICATES = "duplicates"
    UNREAD = "unread"
    UNEVEN = "uneven"
    SHEARED = "sheared"
    """Each slice is shifted against the one before by as much, as with a tilted gantry."""
    SHIFTED = "shifted"
    """Slices are shifted against each other, not all by as much."""
    BURNED_IN = "burned_in"
    """Text stands in the pixels: the files say so, or it was seen when the images were read."""


JUDGED = frozenset({Weighting.T1_CONTRAST, Weighting.T1, Weighting.T2, Weighting.FLAIR, Weighting.UNKNOWN})
"""Kinds of images that a model judges; one that neither tags nor words tell is judged by its pixels."""


@dataclass(frozen=True)
class Patient:
    """Who was scanned, as the files say; kept apart from all that is logged, exported or sent."""

    name: str = ""
    identifier: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True)
class Series:
    """Facts of one series of a study, or of one part of it that is a volume of its own.

    ``study`` and ``uid`` are the DICOM UIDs, ``study_number`` counts the studies of an upload; ``part`` counts the
    volumes of one series from 1. ``modality`` is the DICOM code, ``body_part`` the DICOM term in capitals; both are
    empty where the files do not say, as are ``plane`` ("axial", "coronal" or "sagittal"), ``vendor`` and
    ``laterality``. ``field_strength`` is in tesla. ``contrast_agent`` is None where nothing is said of one. ``missing``
    slices lie in gaps between others, ``repeated`` ones were left out, ``unread`` ones are damaged; ``volumes`` of a
    series that is not judged share what is said of it. ``window`` is (center, width) in the values of the scan.
    ``description`` was typed in by hand and may name a patient.
    """

    study: str
    uid: str
    study_number: int = 1
    number: int | None = None
    part: int = 1
    modality: str = ""
    body_part: str = ""
    weighting: Weighting = Weighting.UNKNOWN
    plane: str = ""
    slices: int = 0
    volumes: int = 1
    spacing: tuple[float, float, float] | None = None
    laterality: str = ""
    vendor: str = ""
    field_strength: float | None = None
    contrast_agent: bool | None = None
    window: tuple[float, float] | None = None
    missing: int = 0
    repeated: int = 0
    unread: int = 0
    notes: tuple[SeriesNote, ...] = ()
    unjudged: Unjudged | None = None
    description: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether a model may judge it, by what its files say; pixels may still tell otherwise."""
        return self.unjudged is None
