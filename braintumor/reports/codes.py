"""What a report says as codes, for DICOM and FHIR: those of SNOMED CT where they are known for sure, else our own."""

from collections.abc import Mapping
from dataclasses import dataclass

from braintumor.decision import Outcome
from braintumor.reports.model import Report
from braintumor.reports.sentences import REASON_TITLES
from braintumor.taxonomy import ANY_TUMOR, FINDING_TITLES, NO_TUMOR, SNOMED_CT

SCHEME = "99BRAINTUMOR"
"""Our own scheme; private ones begin with 99 (DICOM PS3.3, 8.2)."""
SCHEME_NAME = "braintumor: answers of a model and why it gives none"
SCHEME_URI = "urn:oid:2.25.10185515644074937348811987802146497694"
"""A UUID written as an object identifier (ITU-T X.667), so that nobody else has it."""
SNOMED_URI = "http://snomed.info/sct"


@dataclass(frozen=True)
class Code:
    """A code of DICOM: ``value`` has 16 characters at most, ``meaning`` 64."""

    value: str
    meaning: str
    scheme: str = SCHEME


ANSWER = Code("answer", "Answer of the model")
REASON = Code("reason", "Reason why no answer is given")
TUMOR_TYPE = Code("tumor_type", "Most likely tumor type by the model")
P_TUMOR = Code("p_tumor", "Probability of a tumor by the model")
VERDICT = Code("verdict", "Verdict of a reader")
CHANGE = Code("change", "Change of volume since the prior study")
PRIOR = Code("prior", "Prior study, for comparison")

ANSWERS: Mapping[str, Code] = {
    Outcome.TUMOR: Code("tumor", "Tumor seen"),
    Outcome.NO_TUMOR: Code("no_tumor", "No tumor seen"),
    Outcome.REFER: Code("refer", "No answer, a reader must decide"),
}
NOT_JUDGED = Code("not_judged", "Not assessed by the model")
"""The answer for a scan that was referred since it cannot be judged at all."""
REASONS: Mapping[str, Code] = {reason: Code(reason.value, title) for reason, title in REASON_TITLES.items()}
CONTRADICTION = Code("contradiction", "Series of the study contradict each other")
"""A reason too, of studies; all others are those of ``decision.ReasonCode``."""
TYPES: Mapping[str, Code] = {
    name: Code(name, title) for name, title in FINDING_TITLES.items() if name not in (NO_TUMOR, ANY_TUMOR)
}
VERDICTS: Mapping[bool, Code] = {True: Code("agrees", "Agrees with the answer"), False: Code("corrects", "Disagrees")}
CHANGES: Mapping[bool | None, Code] = {
    True: Code("beyond_error", "Beyond measurement error"),
    False: Code("within_error", "Within measurement error"),
    None: Code("error_unknown", "Measurement error unknown, no change claimed"),
}
NEOPLASM = Code(SNOMED_CT[ANY_TUMOR][0], SNOMED_CT[ANY_TUMOR][1], "SCT")
CONCEPTS = (ANSWER, REASON, TUMOR_TYPE, P_TUMOR, VERDICT, CHANGE)
"""What the codes of our own scheme are answers to."""


def answer_code(report: Report) -> Code:
    """Give the answer of a report as a code."""
    return NOT_JUDGED if report.finding.finding is None else ANSWERS[report.finding.decision]


def reason_codes(report: Report) -> tuple[Code, ...]:
    """Give the reasons for which the answer is withheld, none where it is given."""
    said = tuple(REASONS[reason.code] for reason in report.finding.reasons)
    return (*said, CONTRADICTION) if report.finding.is_contradicted else said


def change_code(report: Report) -> Code | None:
    """Give what is claimed of the volume since the prior study; None where one of the two is not known."""
    prior, measures = report.prior, report.measures
    if prior is None or not prior.volume or measures is None or measures.volume is None:
        return None
    return CHANGES[prior.is_beyond_error]


def type_code(report: Report) -> Code | None:
    """Give the type of tumor that is answered; None where none is seen, none is told, or the answer is withheld."""
    finding = report.finding
    return TYPES.get(finding.finding or "") if finding.decision == Outcome.TUMOR else None
