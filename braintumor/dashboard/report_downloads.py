"""Downloads of an answer's report: the page, objects for the archive, and FHIR."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from braintumor.accounts import Role
from braintumor.dashboard import gate
from braintumor.dashboard.answers import Answer, bundle_of, limits
from braintumor.scans import ScanError

if TYPE_CHECKING:
    from braintumor.reports.case_files import Case

SEE_NAMES = frozenset({Role.ADMINISTRATOR, Role.CLINICIAN})
"""Roles that may see who a patient is; a researcher and a guest may not."""


def show_report_downloads(answer: Answer) -> None:
    """Offer the report of an answer, without the patient's name to those who may not see it."""
    with_names = gate.current().role in SEE_NAMES
    name = answer.prediction.sha256[:12]
    unit = answer.unit
    has_objects = bool(with_names and unit and unit.sources and not unit.unreferable)
    offers = [
        ("Report (PDF)", _page, "-report.pdf", "application/pdf", "One page, a draft until a reader signs."),
        *(
            [
                (
                    *("Report for the archive (DICOM)", _objects, "-report.zip", "application/zip"),
                    "Structured report, page, key image and outline; they carry the patient's name as the study does.",
                )
            ]
            if has_objects
            else []
        ),
        ("Report (FHIR)", _fhir, "-fhir.json", "application/fhir+json", "FHIR R5 in JSON."),
    ]
    for label, make, ending, kind, said in offers:
        st.download_button(
            label,
            # Only who asks for a file waits for it.
            partial(make, answer, with_names),
            f"{name}{ending}",
            kind,
            key=f"{ending}-{answer.key}",
            icon=":material/download:",
            on_click="ignore",
            help=said,
        )


def show_study_report(outcomes: Sequence[object]) -> None:
    """Offer one page for a study from the answers of its series; nothing where none was answered."""
    answered = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, ScanError)]
    if not answered:
        return
    with_names = gate.current().role in SEE_NAMES
    st.download_button(
        "Study report (PDF)",
        partial(_study_page, answered, failed, with_names),
        f"{answered[0].prediction.sha256[:12]}-study.pdf",
        "application/pdf",
        key=f"study-report-{answered[0].key}",
        icon=":material/download:",
        on_click="ignore",
        help="One page for the study: the series that answers, what the others say, and which were not assessed.",
    )


def _case(answer: Answer, with_names: bool) -> "Case":
    # What writes reports takes a second to load, and few ask for one.
    from braintumor.reports.case_files import case_of

    return case_of(
        answer.prediction,
        answer.picture,
        bundle_of(answer),
        answer.unit,
        limits(),
        with_names=with_names,
        is_synthetic=answer.synthetic,
    )


def _page(answer: Answer, with_names: bool) -> bytes:
    from braintumor.reports.pdf import pdf_report

    return pdf_report([_case(answer, with_names).report])


def _objects(answer: Answer, with_names: bool) -> bytes:
    from braintumor.reports.case_files import archive_zip

    return archive_zip(_case(answer, with_names))


def _fhir(answer: Answer, with_names: bool) -> bytes:
    from braintumor.reports.fhir import fhir_bundle

    return fhir_bundle([_case(answer, with_names).report], with_names=with_names)


def _study_page(answered: Sequence[Answer], failed: Sequence[ScanError], with_names: bool) -> bytes:
    from braintumor.reports.composition import Judged, model_of, study_report
    from braintumor.reports.pdf import pdf_report

    first = _case(answered[0], with_names).report
    judged = [Judged(one.prediction, one.picture, *model_of(bundle_of(one))) for one in answered]
    study = first.study
    return pdf_report([study_report(judged, first.patient, study.day, study.accession, failed)])
