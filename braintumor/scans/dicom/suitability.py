"""Whether a model may judge a series, by what its files say."""

import re

from braintumor.scans.dicom.instance import Instance
from braintumor.scans.dicom.weighting import is_report, name_of, protocol_of
from braintumor.scans.series import JUDGED, Unjudged, Weighting

_HEAD_PARTS = re.compile(
    r"HEAD|BRAIN|SKULL|NEURO|PITUIT|HYPOPH|SELLA|IAC|IAM|ORBIT|CRAN|CRÂN|CEREB|CÉRÉB|KOPF|SCH(AE|Ä)DEL|HIRN|T[EÊ]TE|"
    r"CABEZA|TESTA|CABE[CÇ]A|ENC[EÉ]?[FP]|\bEYE|\bEAR|FACE"
)
_NO_PART = re.compile(r"|UNKNOWN|OTHER|NONE|UNDEFINED|N/?A|MRI?|WHOLE ?BODY")
_HEAD_WORDS = re.compile(
    r"brain|\bhead\b(?! ?coil)|skull|kopf|sch(ae|ä)del|hirn|crani|cereb|cérébr|pituitar|hypophys|\bsella\b|\biac\b|"
    r"\borbits?\b|cabeza|encefal"
)
_OTHER_WORDS = re.compile(
    r"\b(knee|knie|spine|[ctl] ?spine|[bhl]ws|lumbar|cervical|thora\w*|wirbel\w*|abdom\w*|liver|leber|pelvi\w*|becken|"
    r"hip|h(ue|ü)fte|shoulder|schulter|ankle|foot|fu(ss|ß)|wrist|hand|elbow|ellenbogen|prostat\w*|breast|mamma|chest|"
    r"heart|herz|cardiac|neck|hals|carotid\w*|femur|tibia|uterus|rectum|kidney|niere\w*)\b"
)
_PHANTOM = re.compile(r"phantom|fantom|\bqa\b|\bqc\b|water ?bottle")
_PHANTOM_PATIENT = re.compile(r"phantom|fantom")


def unjudged(instance: Instance, kind: Weighting) -> Unjudged | None:
    """Tell why no model may judge a series of this kind; None where one of its modality may."""
    if not instance.frames or is_report(instance):
        return Unjudged.NO_IMAGES
    if _is_phantom(instance):
        return Unjudged.PHANTOM
    if not is_head(instance):
        return Unjudged.OTHER_BODY_PART
    if not instance.photometric.startswith("MONOCHROME"):
        return Unjudged.COLOR
    if kind is Weighting.LOCALIZER:
        return Unjudged.LOCALIZER
    if kind in (Weighting.ADC, Weighting.DERIVED_MAP, Weighting.FIELD_MAP):
        return Unjudged.DERIVED
    return Unjudged.WEIGHTING if kind not in JUDGED and instance.text("Modality") == "MR" else None


def _is_phantom(instance: Instance) -> bool:
    patient = f"{instance.patient.name} {instance.patient.identifier}".lower()
    named = f"{name_of(instance)} {protocol_of(instance)} {instance.text('StudyDescription').lower()}"
    return bool(_PHANTOM_PATIENT.search(patient) or _PHANTOM.search(named))


def is_head(instance: Instance) -> bool:
    """Tell whether a series shows the head, by its body part, else by its name, else by its study's.

    A name that says so counts more than a body part that says otherwise, which many leave as it was for the patient
    before; what says neither may be a head.
    """
    named = f"{name_of(instance)} {protocol_of(instance)}"
    if _HEAD_WORDS.search(named):
        return True
    part = instance.text("BodyPartExamined").upper()
    if not _NO_PART.fullmatch(part):
        return bool(_HEAD_PARTS.search(part))
    if _OTHER_WORDS.search(named):
        return False
    study = f"{instance.text('StudyDescription')} {instance.text('ProtocolName')}".lower()
    return bool(_HEAD_WORDS.search(study)) or not _OTHER_WORDS.search(study)
