"""The sentences of a report: the answer, what follows from it, and what it does not say."""

from braintumor.decision import Outcome, ReasonCode
from braintumor.reports.model import Report, ReportFinding
from braintumor.reports.numbers import listed, stated
from braintumor.taxonomy import ANY_TUMOR, FINDING_TITLES, NO_TUMOR, TUMOR_CLASSES

NOT_A_DIAGNOSIS = "Research and decision support. Not a diagnosis: a qualified reader decides."
DRAFT = "DRAFT, not signed by a reader"

_READ_ALL = "Read the full study as you would without the model."
_PATHWAY = "If you confirm a tumor, follow your department's pathway for a suspected brain tumor."
_SEND_BETTER = "For an answer, export the original MRI slice or series and run it again."


def headline(finding: ReportFinding) -> str:
    """Say the answer in one line."""
    if finding.finding is None:
        return "Not assessed: no answer for this scan"
    if finding.is_contradicted:
        return "No answer: the series contradict each other"
    if finding.decision == Outcome.NO_TUMOR:
        return "No tumor seen"
    if finding.decision == Outcome.TUMOR:
        kind = "type not assessed" if finding.finding == ANY_TUMOR else f"most likely {_title(finding.finding)}"
        return f"Tumor seen, {kind}"
    if finding.is_tumor_sure:
        return "Tumor seen, type uncertain"
    return "No answer: tumor or no tumor is uncertain"


def probability_line(finding: ReportFinding) -> str:
    """Say the probability of a tumor and, where there may be one, that of each type; empty where nothing was judged."""
    if finding.finding is None:
        return ""
    parts = [f"Probability of a tumor {stated(finding.p_tumor)}"]
    types = {name: finding.probabilities[name] for name in TUMOR_CLASSES if name in finding.probabilities}
    if types and finding.decision != Outcome.NO_TUMOR:
        ranked = sorted(types, key=lambda name: -types[name])
        parts.append(listed([f"{_title(name)} {stated(types[name])}" for name in ranked]))
    return ": ".join(parts) + "."


def next_steps(finding: ReportFinding) -> tuple[str, ...]:
    """Say what a reader does next; no treatment and no examination is advised."""
    if finding.finding is None:
        return (_READ_ALL, _SEND_BETTER)
    if finding.decision == Outcome.NO_TUMOR:
        return (_READ_ALL, "This answer does not rule out a tumor, and looks for no other disease.")
    if finding.decision == Outcome.TUMOR or finding.is_tumor_sure:
        return ("Read the full study; accept or reject the outline and the type.", _PATHWAY)
    return (_READ_ALL, "The model withholds its answer; an outline only shows where it was unsure.", _PATHWAY)


def precautions(report: Report) -> tuple[str, ...]:
    """Say what the answer does not tell."""
    finding = report.finding
    known = listed([_title(name) + "s" for name in TUMOR_CLASSES])
    said = [f"The model learned {known}. It does not look for metastases, stroke, bleeding or other disease."]
    if report.study.slices == 1 and finding.finding is not None:
        said.append("Only one slice was judged, not the rest of the head.")
    if finding.finding not in (None, NO_TUMOR):
        said.append("Images suggest a type; only tissue and molecular tests establish it (WHO 2021).")
    if report.measures is not None and report.measures.lesions:
        said.append("Sizes are those of the outline: check it first.")
    return tuple(said)


def range_note(share: float, images: int) -> str:
    """Say what the ranges beside measured values are."""
    return (
        f"Range: where a reader's value is expected. On {images} held-out slices, {share:.0%} of the readers' areas "
        "lay within it; the ranges of diameters and volume are derived from that of the area."
    )


def change_line(before: float, now: float, is_beyond_error: bool | None) -> str:
    """Say by how much a value changed, and claim a change only where it is beyond the error of measurement."""
    told = {
        True: "beyond measurement error",
        False: "within measurement error",
        None: "measurement error unknown, no change claimed",
    }[is_beyond_error]
    if not before > 0:
        return told
    return f"{'over tenfold' if now > 10 * before else f'{now / before - 1:+.0%}'}, {told}"


def _title(name: str) -> str:
    return FINDING_TITLES[name].lower()


REASON_TITLES: dict[ReasonCode, str] = {
    ReasonCode.BLANK: "Blank picture",
    ReasonCode.COLOR: "Picture in color",
    ReasonCode.MARKS: "Marks or letters over the head",
    ReasonCode.SEVERAL_HEADS: "Several heads in one picture",
    ReasonCode.CT: "CT, which the model does not read",
    ReasonCode.TOO_SMALL: "Head too few pixels wide",
    ReasonCode.ATYPICAL: "Unlike the brain MRI that the model knows",
    ReasonCode.TUMOR_UNCERTAIN: "Tumor or no tumor uncertain",
    ReasonCode.KIND_UNCERTAIN: "Tumor type uncertain",
}
"""Each reason for which an answer is withheld as a short title: the meaning of its code in DICOM and FHIR."""
