"""DICOM studies on a page: one answer for each, and a line for each of its series."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from braintumor.dashboard import gate
from braintumor.dashboard.answers import Answer, Outcome
from braintumor.dashboard.plain_text import plain
from braintumor.dashboard.report_downloads import SEE_NAMES
from braintumor.decision import Agreement, SeriesAnswer, StudyAnswer, answer_study
from braintumor.decision import Outcome as Decided
from braintumor.reports import DECISION_WORDS, guarded
from braintumor.scans import NotJudgedError, Patient, ScanError, Series, SeriesNote, kind_words
from braintumor.taxonomy import ANY_TUMOR, FINDING_TITLES, NO_TUMOR

_ICONS = {
    Decided.TUMOR: ":material/error:",
    Decided.NO_TUMOR: ":material/check_circle:",
    Decided.REFER: ":material/person_search:",
}
_NOTES = {
    SeriesNote.GAPS: "{missing} slices missing",
    SeriesNote.DUPLICATES: "{repeated} repeated images left out",
    SeriesNote.UNREAD: "{unread} images could not be read",
    SeriesNote.UNEVEN: "slices unevenly spaced",
    SeriesNote.SHEARED: "slices shifted evenly, as with a tilted gantry",
    SeriesNote.SHIFTED: "slices shifted against each other: a NIfTI mask may lie beside them",
    SeriesNote.BURNED_IN: "text may be burned into the images",
}
_COLUMNS = (
    *("Series", "Sequence", "Plane", "Slices", "Answer", "P(tumor)", "Spacing (mm)"),
    *("Body part", "Contrast agent", "Scanner", "Notes"),
)
_SIDES = {"L": "left", "R": "right", "B": "both sides"}
_AGENT = {True: "given", False: "none", None: ""}

Line = Outcome
"""What has a line of its own in a study: a series that was answered, that is not judged, or that cannot be read."""


def show_studies(outcomes: Sequence[Outcome], *, is_whole: bool = True) -> None:
    """Show each study among the outcomes, with its answer above its series; nothing where there is none.

    A study of which not all series are answered yet (``is_whole`` False) has no answer of its own.
    """
    studies: dict[int, list[Line]] = {}
    for outcome in outcomes:
        if (series := _series_of(outcome)) is not None:
            studies.setdefault(series.study_number, []).append(outcome)
    for _, lines in sorted(studies.items()):
        _show_study(lines, is_whole=is_whole)


def _series_of(outcome: Line) -> Series | None:
    return outcome.series if isinstance(outcome, ScanError) else outcome.prediction.series


def facts(outcome: Line) -> Series:
    """Give the facts of the series that an outcome is of."""
    series = _series_of(outcome)
    assert series is not None
    return series


def _show_study(lines: Sequence[Line], *, is_whole: bool) -> None:
    answered = [line for line in lines if isinstance(line, Answer)]
    number = facts(lines[0]).study_number
    with st.container(border=True):
        st.header(f"Study {number}", anchor=False)
        patient = next((answer.unit.patient for answer in answered if answer.unit), None)
        if patient and gate.current().role in SEE_NAMES:
            st.caption(plain(_patient_words(patient)))
        if is_whole:
            _show_study_answer(answered, [line for line in lines if _has_failed(line)])
        st.dataframe(series_table(lines), hide_index=True, placeholder="–")


def _has_failed(line: Line) -> bool:
    return isinstance(line, ScanError) and not isinstance(line, NotJudgedError)


def _show_study_answer(answered: Sequence[Answer], failed: Sequence[Line]) -> None:
    given = answer_study([_of_series(answer) for answer in answered], len(failed))
    if given is None:
        st.markdown("**No series of this study could be judged.** Each line says why.")
        return
    color: Any = {Decided.TUMOR: "orange", Decided.NO_TUMOR: "blue"}.get(given.decision, "violet")
    st.badge(DECISION_WORDS[given.decision], icon=_ICONS[given.decision], color=color)
    said = [f"**{study_sentence(given, answered)}**", agreement_words(given, answered), lack_words(failed, answered)]
    st.markdown(" ".join(part for part in said if part))


def lack_words(failed: Sequence[Line], answered: Sequence[Answer] = ()) -> str:
    """Say which series of a study, and how many images of others, its answer is given without; empty without any."""
    lacking = [_named(line) for line in failed]
    lacking += [f"{facts(line).unread} images of {_named(line)}" for line in answered if facts(line).unread]
    if not lacking:
        return ""
    return f":material/warning: This answer is given without {', '.join(lacking)}, which could not be read."


def _of_series(answer: Answer) -> SeriesAnswer:
    prediction = answer.prediction
    return SeriesAnswer(facts(answer).weighting, prediction.decision, prediction.finding, prediction.p_tumor)


def _patient_words(patient: Patient) -> str:
    told = [patient.name.replace("^", " ").strip(), patient.identifier, patient.birth_date, patient.sex]
    return "Patient: " + ", ".join(part for part in told if part)


def study_sentence(given: StudyAnswer, answered: Sequence[Answer]) -> str:
    """Say the answer for a study in one sentence, and which of its series gave it."""
    lead = _named(answered[given.lead])
    if given.decision is Decided.REFER:
        if given.agreement is Agreement.CONTRADICT:
            return f"Series contradict each other: {lead} shows no tumor and another does."
        return f"The model is not sure enough of {lead} to answer for this study."
    if given.decision is Decided.NO_TUMOR:
        return f"The model sees no tumor, by {lead}; this does not rule out a tumor."
    kind = "" if given.finding in (None, ANY_TUMOR) else f", most likely a {FINDING_TITLES[str(given.finding)].lower()}"
    return f"The model sees a tumor{kind}, by {lead}."


def agreement_words(given: StudyAnswer, answered: Sequence[Answer]) -> str:
    """Say how the other series of a study stand to its answer."""
    parts = []
    if given.agreement is Agreement.ALONE:
        parts.append("No other series was judged.")
    if given.agreement is Agreement.UNSURE:
        parts += _beside_referred(given, answered)
    if given.agreeing:
        parts.append(f"The same is seen on {_listed(_chosen(given.agreeing, answered))}.")
    if given.contradicting:
        seen = "a tumor" if answered[given.lead].prediction.finding == NO_TUMOR else "no tumor"
        parts.append(f"The model sees {seen} on {_listed(_chosen(given.contradicting, answered))}.")
    return " ".join(parts)


def _beside_referred(given: StudyAnswer, answered: Sequence[Answer]) -> list[str]:
    """Say of each answer what the other series have, where the one that answers or all others are referred."""
    said = {
        Decided.TUMOR: "The model sees a tumor on {series}.",
        Decided.NO_TUMOR: "The model sees no tumor on {series}.",
        Decided.REFER: "Referred: {series}.",
    }
    sorted_out: dict[Decided, list[int]] = {}
    for number, answer in enumerate(answered):
        if number != given.lead and answer.prediction.finding is not None:
            sorted_out.setdefault(answer.prediction.decision, []).append(number)
    return [
        words.format(series=_listed(_chosen(sorted_out[key], answered)))
        for key, words in said.items()
        if key in sorted_out
    ]


def _chosen(numbers: Sequence[int], answered: Sequence[Answer]) -> list[Answer]:
    return [answered[number] for number in numbers]


def _listed(lines: Sequence[Line]) -> str:
    return ", ".join(map(_named, lines))


def _named(line: Line) -> str:
    series = facts(line)
    number = "a series" if series.number is None else f"series {series.number}"
    return f"{number} ({kind_words(series)})"


def series_table(lines: Sequence[Line]) -> pd.DataFrame:
    """Put the series of a study in a table, a row each; what is not judged or cannot be read says why."""
    return pd.DataFrame([_row(line) for line in lines], columns=list(_COLUMNS))


def _row(line: Line) -> dict[str, object]:
    series = facts(line)
    told = isinstance(line, Answer) and line.prediction.finding is not None
    return {
        "Series": None
        if series.number is None
        else f"{series.number}" + (f".{series.part}" if series.part > 1 else ""),
        "Sequence": kind_words(series),
        "Plane": series.plane,
        "Slices": f"{series.volumes} × {series.slices}" if series.volumes > 1 else str(series.slices),
        "Answer": _answer_words(line),
        "P(tumor)": f"{line.prediction.p_tumor:.1%}" if isinstance(line, Answer) and told else "",
        "Spacing (mm)": " × ".join(f"{size:.2g}" for size in series.spacing) if series.spacing else "",
        "Body part": guarded(", ".join(filter(None, [series.body_part.lower(), _SIDES.get(series.laterality, "")]))),
        "Contrast agent": _AGENT[series.contrast_agent],
        "Scanner": guarded(
            " ".join([series.vendor, f"{series.field_strength:g} T" if series.field_strength else ""]).strip()
        ),
        "Notes": "; ".join(
            _NOTES[note].format(missing=series.missing, repeated=series.repeated, unread=series.unread)
            for note in series.notes
        ),
    }


def _answer_words(line: Line) -> str:
    if isinstance(line, ScanError):
        return f"{'Could not be read' if _has_failed(line) else 'Not judged'}. {line.reason}"
    prediction = line.prediction
    if prediction.decision is Decided.TUMOR and prediction.finding:
        return FINDING_TITLES[prediction.finding]
    return DECISION_WORDS[prediction.decision]
