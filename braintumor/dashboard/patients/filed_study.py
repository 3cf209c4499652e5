"""Filing a study from the user's desk under a patient."""

from collections.abc import Sequence
from datetime import date

import streamlit as st

from braintumor.accounts import Account
from braintumor.bundles import GRAPH_FILE
from braintumor.dashboard import choices, form_notes
from braintumor.dashboard.answers import Answer, bundle_of, limits, predictors
from braintumor.dashboard.desk import Case, desk_of
from braintumor.dashboard.patients import store
from braintumor.decision import Outcome
from braintumor.records import NewFinding, NewSeries, Patient, PatientError
from braintumor.records.scan_file import mask_file, scan_file
from braintumor.reports import has_outline
from braintumor.scans import PixelBudget, Scan, ScanError


def show_filing(account: Account, patient: Patient) -> None:
    """Offer the answered studies on the desk, each to be filed under a patient."""
    with st.expander("File a study from your desk", icon=":material/note_add:"):
        studies = studies_on_desk(desk_of(account).cases)
        if not studies:
            st.caption("Nothing on your desk is answered. Put scans on it on the page Prediction.")
            return
        chosen = choices.selectbox(
            "Study",
            list(studies),
            None,
            format_func=lambda key: _title(studies[key]) if key in studies else "",
            placeholder="Choose a study",
            key=f"file_study_{patient.id}",
        )
        st.text_input("Date of the study", key=f"file_date_{patient.id}", max_chars=10, placeholder="2026-01-31")
        form_notes.show_beside(f"file_{patient.id}", "date")
        st.caption(
            "Kept are the values of the scan, where they lie, and the answers; nothing that the files say of anybody. "
            "Text that is part of a picture stays in it."
        )
        st.button(
            "File under this patient",
            type="primary",
            key=f"file_{patient.id}",
            disabled=chosen is None,
            on_click=_file,
            args=(patient.id, chosen),
        )


def studies_on_desk(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Group the answered cases on a desk into studies, by their UID; a picture or volume is a study of its own."""
    studies: dict[str, list[Case]] = {}
    for case in cases:
        if case.answer is not None:
            studies.setdefault(case.series.study if case.series else case.key, []).append(case)
    return studies


def series_of(answer: Answer, scan: Scan) -> NewSeries:
    """Make of an answer, and the scan that it is of, what is filed."""
    prediction, measured, card = answer.prediction, answer.measurements, bundle_of(answer).card
    facts = prediction.series
    finding = NewFinding(
        bundle_name=card.name,
        bundle_version=card.version,
        bundle_sha256=card.sha256[GRAPH_FILE],
        label=None if prediction.decision is Outcome.REFER else prediction.finding,
        probability=None if prediction.finding is None else prediction.probabilities.get(prediction.finding),
        tumor_probability=prediction.p_tumor,
        reasons=tuple(reason.code.value for reason in prediction.reasons),
        volume_mm3=None if measured is None or measured.volume_ml is None else 1000 * measured.volume_ml,
        diameter_mm=measured.largest_diameter_mm if measured else None,
        mask=_mask(answer, scan),
    )
    return NewSeries(
        modality=facts.modality if facts else scan.modality or "",
        sequence=facts.weighting.value if facts else "",
        slices=scan.shape[0],
        content=scan_file(scan.pixels, scan.affine, scan.spacing),
        findings=(finding,),
    )


def _mask(answer: Answer, scan: Scan) -> bytes | None:
    mask = answer.prediction.mask() if has_outline(answer.prediction) else None
    return None if mask is None else mask_file(mask, scan.affine, scan.spacing)


def _file(patient_id: int, study: str) -> None:
    store.attempt_form(
        f"file_{patient_id}", _filed, patient_id, study, st.session_state.get(f"file_date_{patient_id}", "")
    )


def _filed(actor: Account, patient_id: int, study: str, taken_on: str) -> int:
    try:
        day = date.fromisoformat(taken_on.strip()) if taken_on.strip() else None
    except ValueError:
        raise PatientError("Write the date of the study as 2026-01-31, or leave it empty.", "date") from None
    desk = desk_of(actor)
    series = []
    for case in studies_on_desk(desk.cases).get(study, []):
        answer = desk.answer(case.key)
        if answer is None or answer.unit is None:
            raise PatientError("This scan cannot be read any more; put it on your desk again.")
        try:
            bounds = limits()
            scan = answer.unit.read(bounds, PixelBudget(bounds.max_total_pixels), predictors().modalities)
        except ScanError as error:
            raise PatientError(f"{error.reason} {error.hint}") from error
        series.append(series_of(answer, scan))
    if not series:
        raise PatientError("This study is no longer on your desk; choose another one.")
    return store.studies().file(actor, patient_id, study, day, series)


def _title(cases: Sequence[Case]) -> str:
    first = cases[0].name
    return first if len(cases) == 1 else f"{first} and {len(cases) - 1} more series"
