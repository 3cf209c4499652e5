"""What kind of images a series holds, by its type, its name and how it was acquired."""

import re

from braintumor.scans.dicom.frames import Frame
from braintumor.scans.dicom.instance import Instance
from braintumor.scans.series import Weighting

_FIRST_SPECIAL_TYPE = 2
"""ORIGINAL and PRIMARY, or what stands for them, come before (PS3.3, C.7.6.1.1.2)."""
_TYPES = {
    name: kind
    for kind, names in {
        Weighting.ADC: "ADC, EADC, EXP_ADC",
        Weighting.DERIVED_MAP: (
            "FA, COLFA, TENSOR, RA, MD, TTEST, FAT, MIP, MPR_MIP, MINIP, MNIP, MIN IP, PROJECTION IMAGE, SUB, "
            "SUBTRACT, SUBTRACTION, CBF, CBV, MTT, TTP, TMAX, PBP, GBP, RCBF, RCBV, RELCBF, RELCBV, RELMTT, KTRANS, "
            "T1 MAP, T2 MAP, T2_STAR_MAP, T2STAR MAP, FUSED, VOLUME RENDERING"
        ),
        Weighting.FIELD_MAP: "FIELD_MAP, B0, B0 MAP, B1, P, PHASE, PHASE MAP, R, REAL, I, IMAGINARY, VELOCITY MAP",
        Weighting.DIFFUSION: "DIFFUSION, TRACEW, TRACE, CALC_BVALUE",
        Weighting.PERFUSION: "PERFUSION, ASL",
        Weighting.FUNCTIONAL: "FMRI, BOLD",
        Weighting.LOCALIZER: "LOCALIZER, SCOUT",
        Weighting.SUSCEPTIBILITY: "SWI, T2_STAR",
        Weighting.ANGIOGRAPHY: "TOF, TIME_OF_FLIGHT, PCA, M_PCA, FLOW_ENCODED, ANGIO",
    }.items()
    for name in names.split(", ")
}
"""Values of Image Type and Frame Type: of the standard (PS3.3, C.8.13.3.1) and of vendors' conformance statements."""

_CONTRASTS = {
    "T1": Weighting.T1,
    "T2": Weighting.T2,
    "STIR": Weighting.T2,
    "FLUID_ATTENUATED": Weighting.FLAIR,
    "PROTON_DENSITY": Weighting.PROTON_DENSITY,
    "DIFFUSION": Weighting.DIFFUSION,
    "PERFUSION": Weighting.PERFUSION,
    "TOF": Weighting.ANGIOGRAPHY,
    "T2_STAR": Weighting.SUSCEPTIBILITY,
}
"""Values of Acquisition Contrast (PS3.3, C.8.13.3.1.3)."""

_T1 = r"\b\w?t1(?!\d)"
_T2 = r"\b\w?t2(?!\d)"

# What a series' name says, of the first kind that fits, between words in lower case: "ADC of DWI" is an ADC map.
_WORDS: tuple[tuple[Weighting, re.Pattern[str]], ...] = tuple(
    (kind, re.compile("|".join(words)))
    for kind, *words in (
        (
            Weighting.LOCALIZER,
            *(r"lo[ck]ali[sz]", r"\blocs?\b", "scout", r"\bsurvey", r"\b(3|three|tri) ?pl(an|anes?)?\b", "topogram"),
            *("scanogram", "smart ?brain", r"\bpilot"),
        ),
        (Weighting.SPECTROSCOPY, "spe[ck]tro", r"\bcsi\b", r"\bsvs?\b", r"\bmrs\b", r"\bpress\b"),
        (
            Weighting.FIELD_MAP,
            *("field ?map", r"\bshim", "calib", r"\bcal\b", r"\bsense ?ref", r"\bref(erence)? scan"),
            r"\b(filt )?pha(se)?\b(?! contrast)",
        ),
        (Weighting.ADC, r"\b[ed]?adc\b", "apparent diff", r"average dc\b"),
        (
            Weighting.DERIVED_MAP,
            *(
                r"\b(col ?)?fa\b(?! ?=? ?\d)",
                r"\bcolfa",
                r"\b(r|rel)?cb[fv]\b",
                r"\b(rel)?mtt\b",
                r"\bttp\b",
                r"\btmax\b",
            ),
            *(r"\bktrans\b", r"\bm(in)? ?(ip|nip)s?\b", r"\bmips?\b", r"\bsub(tr\w*)?\b(?! ?\d)", r"\bt[12] ?maps?\b"),
            *(r"\bpjn\b", r"\bvrt\b", r"\bfused\b"),
        ),
        (
            Weighting.DIFFUSION,
            *("dwi", r"\bdiff(us\w*)?\d?\b", r"\bdti", "tensor", r"\btrace\w?\b", r"\bb ?=? ?\d{3,4}\b", r"\bhardi\b"),
            *(r"\bdki\b", r"\bivim\b", r"\bnoddi\b", "isotropic image"),
        ),
        (Weighting.FIELD_MAP, r"\bb[01]\b"),
        (Weighting.PERFUSION, "perf", r"\bpwi\b", r"\bdsc\b", r"\bdce\b", r"\b(3d ?)?(p|pc)?asl\b"),
        (Weighting.SUSCEPTIBILITY, r"\bswip?\b", r"\bswan\b", "suscept", "ven ?bold", r"\bqsm\b", r"\bh(e|ae|ä)mo"),
        (
            Weighting.FUNCTIONAL,
            *("fmri", r"\bbold\b", r"\brest(ing)?\b", r"\btask\b", r"\bepi\b", r"\bep2d\b", r"\bmoco"),
        ),
        (
            Weighting.ANGIOGRAPHY,
            *(r"\btof", "angio(?!m)", r"\b(ce ?)?mr[av]\b", "venogr", r"\bpca?\b", "phase contrast", r"\binhance\b"),
            *(r"\bs?3di ?mc\b", r"\btricks\b", r"\btwist\b", "willis"),
        ),
        (
            Weighting.SUSCEPTIBILITY,
            *(r"t2 ?w? ?(\*|star\b|s\b|gre\b|ffe\b|fl2d)", r"\b(gre|ffe) ?t2", r"\bmedic\b", r"\bmerge\b"),
        ),
    )
)
_FLAIR_WORDS = re.compile(r"flair|dark ?fluid|\btirm\b")
_T1_WORDS = re.compile(
    rf"{_T1}|mp ?2?rage|\bbravo\b|spgr\b|\btfl\b|\bvibe\b|\bthrive\b|\bflash\b|\blava\b|\bfl[23]d\b|\bmpr ns\b"
)
_T2_WORDS = re.compile(
    rf"{_T2}|\bciss\b|\bfiesta\b|\bhaste\b|\bssfse\b|\bstir\b|\bdrive\b|\bspace\b|\bcube\b|\bfrfse\b"
)
_PROTON_WORDS = re.compile(r"\bpdw?\b|proton|\bdp\b")
_GRADIENT_WORDS = re.compile(r"\bgre\b|\bffe\b")
_REPORT_WORDS = re.compile(r"screen ?(save|shot|cap)|\breport\b|snapshot|patient protocol|phoenix|\bdose\b")

_AGENT = (
    r"(gad\w*|gd|km|kontrast\w*|contrast\w*|dtpa|dotarem|clariscan|magnevist|prohance|multihance|omniscan|vueway|"
    r"elucirem|mdc)"
)
_EVENT = r"op|surg|proc|ictal|rad|rt\b|chemo|treat|ther|resec|biops|trauma|stroke|partum"
"""What else is before or after."""
_BOTH_WAYS = re.compile(rf"\b(w|with|pre|mit)( and| und| ?[+&])? ?(w ?o|wo|without|post|ohne)\b( ?{_AGENT}\b)?")
_AFTER = re.compile(
    rf"\+ ?(c|{_AGENT})\b|\bc ?\+|\b{_AGENT}\b|\bt1w?(c|ce|gd|km|post)\b|\bce\b|\benhanced\b|\binj(ect\w*)?\b|"
    rf"\bpost(con|gad|gd|km)?\b(?! ?(fossa|{_EVENT}))|\bpost ?cont\w*"
)
_BEFORE = re.compile(
    rf"\b(pre|vor|avant|before) ?({_AGENT}|con|inj\w*)\b|\bpre\b(?! ?(sat|scan|{_EVENT}))|\bnati(v|ve|f)\b|"
    rf"\b(ohne|without|no|sans|sin|senza|kein)( iv| any)? {_AGENT}\b|\bun ?enhanced|"
    rf"\bnon? ?(con|enhanced|{_AGENT})\b|\b(w ?o|without)\b(?! ?(fs|fat|sat|mt|motion))|\bkm ?frei"
)
_NO_AGENT = re.compile(r"(no|non|none|nein|kein\w*|without|ohne|nati\w*|nil|w/?o)\b.*|n|0|false|-+|n/?a", re.DOTALL)
_UNSURE_AGENT = re.compile(r"\?+|unknown|unbekannt|n/?k|x+")

# Limits in milliseconds between the weightings, as textbooks give them (Bushberg et al., The Essential Physics of
# Medical Imaging, 3rd edition, section 12.5: T1 short TR and short TE, T2 long TR and long TE).
_LONG_TR, _SHORT_SPIN_ECHO_TR, _SHORT_TE, _LONG_TE = 1800.0, 1200.0, 40.0, 60.0
# CSF is nulled by an inversion time near 0.7 of its T1: 1.6 s to 2.8 s at 1 to 7 tesla; white matter, for T1, near
# 0.3 s to 1.2 s, fat, for STIR, near 0.2 s.
_FLAIR_TI, _T1_TI = 1400.0, 300.0
_T1_GRADIENT_TE, _T1_FLIP = 12.0, 5.0
_STEADY_FLIP, _STEADY_TR = 35.0, 15.0
"""Steady-state sequences such as CISS and FIESTA, bright in fluid as T2 is, turn farther and repeat sooner than T1."""
_DIFFUSION_B = 50.0


def has_contrast_agent(instance: Instance) -> bool | None:
    """Tell whether a contrast agent was given before; None where neither the series' name nor its tag says.

    A name such as "T1 PRE" or "nativ" counts more than the tag, which some enter once for the whole examination.
    """
    agent = instance.text("ContrastBolusAgent").lower()
    names = [_BOTH_WAYS.sub(" ", name) for name in (name_of(instance), protocol_of(instance))]
    for name in names:
        if _BEFORE.search(name):
            return False
        if _AFTER.search(name):
            return True
    if not agent or _UNSURE_AGENT.fullmatch(agent):
        return None
    return not _NO_AGENT.fullmatch(agent)


def has_diffusion(frame: Frame) -> bool:
    """Tell whether a frame's b-value says that it shows diffusion."""
    return (frame.b_value or 0) >= _DIFFUSION_B


def weighting(instance: Instance, frame: Frame) -> Weighting:
    """Tell what kind of image a frame is, by its type, then the series' name, then its b-value and how it was acquired.

    Of what is not MRI only localizers and derived images are told apart.
    """
    kind = _weighting(instance, frame)
    if instance.text("Modality") != "MR" and kind not in (Weighting.LOCALIZER, Weighting.DERIVED_MAP):
        return Weighting.UNKNOWN
    return Weighting.T1_CONTRAST if kind is Weighting.T1 and has_contrast_agent(instance) else kind


def _weighting(instance: Instance, frame: Frame) -> Weighting:
    kinds = [part.strip().upper() for part in frame.kind.split("\\")][_FIRST_SPECIAL_TYPE:]
    # "DIFFUSION" of "ADC" comes first: the last says most.
    for part in (*reversed(kinds), instance.text("ComplexImageComponent").upper()):
        if part in _TYPES:
            return _TYPES[part]
    inversion = instance.number("InversionTime") or 0.0
    for name in (name_of(instance), protocol_of(instance)):
        if named := _named(name, frame.echo, inversion):
            return named
    if has_diffusion(frame) or re.match(r"\*?ep_b\d", instance.text("SequenceName")):
        return Weighting.DIFFUSION
    if _is_echo_planar(instance):
        return Weighting.FUNCTIONAL
    return _CONTRASTS.get(instance.text("AcquisitionContrast")) or _by_acquisition(instance, frame, inversion)


def _named(name: str, echo: float | None, inversion: float) -> Weighting | None:
    """Tell the kind that a name states, in lower case; echo and inversion time decide where a name fits two kinds."""
    for kind, pattern in _WORDS:
        if pattern.search(name):
            return kind
    is_t1, is_t2 = _T1_WORDS.search(name), _T2_WORDS.search(name)
    # Vendors have a "T1 FLAIR" as well.
    if _FLAIR_WORDS.search(name) and (is_t2 or not is_t1):
        is_stir = "flair" not in name and 0 < inversion < _T1_TI
        return Weighting.T2 if is_stir else Weighting.FLAIR
    if _PROTON_WORDS.search(name) and not (is_t2 and echo is not None and echo >= _LONG_TE):
        return Weighting.PROTON_DENSITY
    if is_t1 and not (is_t2 and is_t2.start() < is_t1.start()):
        return Weighting.T1
    if is_t2:
        return Weighting.T2
    return Weighting.SUSCEPTIBILITY if _GRADIENT_WORDS.search(name) and (echo or 0) > _T1_GRADIENT_TE else None


def _by_acquisition(instance: Instance, frame: Frame, inversion: float) -> Weighting:
    echo, repetition = frame.echo, instance.number("RepetitionTime")
    if echo is None or repetition is None:
        return Weighting.UNKNOWN
    sequence = instance.text("ScanningSequence").split("\\")
    if "GR" in sequence:
        return _by_gradient_echo(echo, repetition, instance.number("FlipAngle") or 0.0)
    if echo < _SHORT_TE and (repetition < _SHORT_SPIN_ECHO_TR or _T1_TI <= inversion < _FLAIR_TI):
        return Weighting.T1
    if repetition >= _LONG_TR and echo >= _LONG_TE:
        return Weighting.FLAIR if inversion >= _FLAIR_TI else Weighting.T2
    if repetition >= _LONG_TR and echo < _SHORT_TE and not inversion:
        return Weighting.PROTON_DENSITY
    return Weighting.UNKNOWN


def _by_gradient_echo(echo: float, repetition: float, flip: float) -> Weighting:
    if echo > _T1_GRADIENT_TE:
        return Weighting.SUSCEPTIBILITY
    is_steady = flip > _STEADY_FLIP and repetition < _STEADY_TR
    return Weighting.T1 if flip >= _T1_FLIP and not is_steady else Weighting.UNKNOWN


def _is_echo_planar(instance: Instance) -> bool:
    return "EP" in instance.text("ScanningSequence").split("\\") or instance.text("EchoPlanarPulseSequence") == "YES"


def is_report(instance: Instance) -> bool:
    """Tell whether images are not a scan but a page or a screen: GE and others store those as MR too."""
    kinds = instance.frames[0].kind.upper() if instance.frames else ""
    return "SCREEN SAVE" in kinds or bool(_REPORT_WORDS.search(name_of(instance)))


def name_of(instance: Instance) -> str:
    """Give a series' name as words in lower case."""
    return _as_words(instance.text("SeriesDescription"))


def protocol_of(instance: Instance) -> str:
    """Give a protocol's name as words in lower case; none of GE, which names the whole examination there."""
    return "" if instance.text("Manufacturer").upper().startswith("GE") else _as_words(instance.text("ProtocolName"))


def _as_words(name: str) -> str:
    return re.sub(r"[_\-./\\,;:()\[\]{}|<>\"']+", " ", name.lower()).strip()
