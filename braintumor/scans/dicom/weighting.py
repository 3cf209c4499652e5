"""What kind of images a series holds, by what its tags and its name say, and whether a model may judge them."""

import re

from braintumor.scans.dicom.instance import Frame, Instance
from braintumor.scans.dicom.parsing import number, text
from braintumor.scans.series import JUDGED, Unjudged, Weighting

_HEAD_PARTS = ("HEAD", "BRAIN", "SKULL", "NEURO", "PITUITARY", "SELLA", "IAC", "ORBIT", "CRANI", "CEREB", "KOPF")
_OTHER_PARTS = re.compile(
    r"\b(knee|spine|[ctl]-?spine|lumbar|cervical|thoracic|abdomen|abdominal|liver|pelvis|hip|shoulder|ankle|foot|wrist|"
    r"hand|elbow|prostate|breast|chest|heart|cardiac|neck)\b"
)
_PHANTOM = re.compile(r"phantom|\bqa\b|\bqc\b|water\s*bottle")

# Words of a series' name, of the first kind that fits. The order matters: "ADC of DWI" is an ADC map.
_WORDS: tuple[tuple[Weighting, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(words))
    for kind, words in (
        (Weighting.LOCALIZER, r"locali[sz]er|\bloc\b|scout|survey|\bplan\b|3-?\s?plane|topogram|\bscanogram"),
        (Weighting.SPECTROSCOPY, r"spectro|\bcsi\b|\bsvs\b|\bmrs\b"),
        (Weighting.FIELD_MAP, r"field[ _-]?map|\bb0\b|\bb1\b|shim|\bgre_field"),
        (Weighting.ADC, r"\be?adc\b|_adc\b|apparent diff"),
        (
            Weighting.DERIVED_MAP,
            r"\b(col)?fa\b|_(col)?fa\b|colfa|\bcbf\b|"
            r"\bcbv\b|\bmtt\b|\bttp\b|tmax|\bmip\b|_mip|\bsub(traction)?\b|\bt[12] ?map",
        ),
        (Weighting.DIFFUSION, r"\bdwi|dwi\b|_dwi|diff|\bdti|dti_|_dti|tensor|trace|\bb ?1000\b|hardi|\bdki\b|ivim"),
        (Weighting.PERFUSION, r"perf|\bdsc\b|\bdce\b|\basl\b|pcasl|\bpasl\b"),
        (Weighting.FUNCTIONAL, r"fmri|bold|\brest(ing)?\b|\btask\b|\bepi\b|epi_|_epi"),
        (Weighting.ANGIOGRAPHY, r"\btof\b|tof_|_tof|angio|\bmra\b|\bmrv\b|venogr|\bpca?_?3d|phase ?contrast"),
        (Weighting.SUSCEPTIBILITY, r"\bswi|swan|suscept|t2\*|t2 ?star|t2s\b|hemo|\bqsm\b|\bvenobold"),
        (Weighting.FLAIR, r"flair|dark[ -_]?fluid|\btirm\b(?!.*t1)|t2[ _-]?tirm"),
        (Weighting.PROTON_DENSITY, r"\bpd\b|proton"),
    )
)
_T1_WORDS = re.compile(r"t1|mp-?rage|\bbravo\b|\bspgr\b|\btfl\b|\bvibe\b|\bthrive\b|\bflash\b")
_T2_WORDS = re.compile(r"t2|\bciss\b|\bfiesta\b|\bhaste\b|\bspace\b(?!.*t1)")
_CONTRAST_WORDS = re.compile(
    r"\+ ?c\b|\+ ?gd|\bgd\b|gado|\bpost\b|[ _-]post|\bce\b|t1ce|t1c\b|t1gd|\bc\+|_ce\b|_gd\b|"
    r"contrast|\bkm\b|\+ ?km|enhanced|dotarem|gadavist"
)
_NO_CONTRAST = re.compile(r"^(no|none|n|0|without|nativ|w/?o)\b|\bpre\b|without|non[- ]?contrast|\bnativ")

# Limits in milliseconds between the weightings, as textbooks give them (Bushberg et al., The Essential Physics of
# Medical Imaging, 3rd edition, section 12.5: T1 short TR and short TE, T2 long TR and long TE).
_LONG_TR, _SHORT_SPIN_ECHO_TR, _SHORT_TE, _LONG_TE = 1800.0, 1200.0, 40.0, 60.0
# CSF is nulled by an inversion time near 0.7 of its T1: 1.6 s to 2.8 s at 1 to 7 tesla.
_FLAIR_TI = 1400.0
_T1_GRADIENT_TE = 12.0
_T1_FLIP = 5.0
_DIFFUSION_B = 50.0
_DERIVED_TYPES = {
    "ADC": Weighting.ADC,
    **dict.fromkeys(("FA", "COLFA", "TENSOR", "RA", "MD"), Weighting.DERIVED_MAP),
    **dict.fromkeys(("MIP", "MPR_MIP", "MINIP", "PROJECTION IMAGE", "SUBTRACT", "SUBTRACTION"), Weighting.DERIVED_MAP),
    **dict.fromkeys(
        ("CBF", "CBV", "MTT", "TTP", "RCBF", "RCBV", "T1 MAP", "T2 MAP", "T2_STAR_MAP"), Weighting.DERIVED_MAP
    ),
    **dict.fromkeys(("FIELD_MAP", "B0", "B0 MAP", "P", "PHASE", "PHASE MAP", "I", "IMAGINARY"), Weighting.FIELD_MAP),
    **dict.fromkeys(("DIFFUSION", "TRACEW", "TRACE"), Weighting.DIFFUSION),
    **dict.fromkeys(("PERFUSION", "ASL"), Weighting.PERFUSION),
    **dict.fromkeys(("FMRI", "BOLD"), Weighting.FUNCTIONAL),
    **dict.fromkeys(("LOCALIZER", "SCOUT"), Weighting.LOCALIZER),
}
_FIRST_SPECIAL_TYPE = 2
"""ORIGINAL and PRIMARY, or what stands for them, come before (PS3.3, C.7.6.1.1.2)."""


def has_contrast_agent(instance: Instance) -> bool | None:
    """Tell whether a contrast agent was given, by its tag, else by the series' name; None where neither says."""
    agent = text(instance.dataset, "ContrastBolusAgent").lower()
    words = _words(instance)
    if agent or "ContrastBolusAgentSequence" in instance.dataset:
        return not _NO_CONTRAST.search(agent)
    if _NO_CONTRAST.search(words):
        return False
    return True if _CONTRAST_WORDS.search(words) else None


def weighting(instance: Instance, frame: Frame) -> Weighting:
    """Tell what kind of image a frame is, by its type, then its b-value, then words, then how it was acquired."""
    kinds = [part.strip().upper() for part in frame.kind.split("\\")][_FIRST_SPECIAL_TYPE:]
    # "DIFFUSION" of "ADC" comes first: the last says most.
    for part in reversed(kinds):
        if part in _DERIVED_TYPES:
            return _DERIVED_TYPES[part]
    words = _words(instance)
    named = next((kind for kind, pattern in _WORDS if pattern.search(words)), None)
    if named is not None:
        return named
    if (frame.b_value or 0) >= _DIFFUSION_B:
        return Weighting.DIFFUSION
    if _is_echo_planar(instance):
        return Weighting.FUNCTIONAL
    if _is_t1(instance, frame, words):
        return Weighting.T1_CONTRAST if has_contrast_agent(instance) else Weighting.T1
    return _by_acquisition(instance, frame, words)


def _by_acquisition(instance: Instance, frame: Frame, words: str) -> Weighting:
    dataset = instance.dataset
    echo, repetition = frame.echo, number(dataset, "RepetitionTime")
    inversion = number(dataset, "InversionTime") or 0.0
    if echo is not None and repetition is not None and repetition >= _LONG_TR:
        if echo >= _LONG_TE:
            return Weighting.FLAIR if inversion >= _FLAIR_TI else Weighting.T2
        if echo < _SHORT_TE and not _T2_WORDS.search(words):
            return Weighting.PROTON_DENSITY
    return Weighting.T2 if _T2_WORDS.search(words) else Weighting.UNKNOWN


def _is_t1(instance: Instance, frame: Frame, words: str) -> bool:
    if _T1_WORDS.search(words):
        return True
    if _T2_WORDS.search(words):
        return False
    dataset = instance.dataset
    if text(dataset, "AcquisitionContrast") == "T1":
        return True
    echo, repetition = frame.echo, number(dataset, "RepetitionTime")
    if echo is None or repetition is None:
        return False
    if "GR" in text(dataset, "ScanningSequence").split("\\"):
        return echo <= _T1_GRADIENT_TE and (number(dataset, "FlipAngle") or 0) >= _T1_FLIP
    return echo < _SHORT_TE and repetition < _SHORT_SPIN_ECHO_TR


def _is_echo_planar(instance: Instance) -> bool:
    dataset = instance.dataset
    planar = "EP" in text(dataset, "ScanningSequence").split("\\")
    return planar or text(dataset, "EchoPlanarPulseSequence") == "YES"


def _words(instance: Instance) -> str:
    """Give a series' name, and its protocol's, in lower case."""
    return " ".join(text(instance.dataset, name).lower() for name in ("SeriesDescription", "ProtocolName"))


def unjudged(instance: Instance, kind: Weighting) -> Unjudged | None:
    """Tell why no model may judge a series of this kind; None where one of its modality may."""
    if not instance.frames:
        return Unjudged.NO_IMAGES
    if _PHANTOM.search(f"{_words(instance)} {instance.patient.name.lower()} {instance.patient.identifier.lower()}"):
        return Unjudged.PHANTOM
    if not is_head(instance):
        return Unjudged.OTHER_BODY_PART
    if not instance.photometric.startswith("MONOCHROME"):
        return Unjudged.COLOR
    if text(instance.dataset, "Modality") != "MR":
        return None
    if kind is Weighting.LOCALIZER:
        return Unjudged.LOCALIZER
    if kind in (Weighting.ADC, Weighting.DERIVED_MAP, Weighting.FIELD_MAP):
        return Unjudged.DERIVED
    return None if kind in JUDGED else Unjudged.WEIGHTING


def is_head(instance: Instance) -> bool:
    """Tell whether a series shows the head, by its body part, else by its name; a series that says neither may."""
    part = text(instance.dataset, "BodyPartExamined").upper()
    if part:
        return any(name in part for name in _HEAD_PARTS)
    study = text(instance.dataset, "StudyDescription").lower()
    return not _OTHER_PARTS.search(f"{_words(instance)} {study}")
