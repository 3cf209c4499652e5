"""A patient's history: studies as a timeline, what the models found, and what readers said of it."""

import streamlit as st

from braintumor.accounts import Account, Role
from braintumor.dashboard import choices
from braintumor.dashboard.patients import store
from braintumor.dashboard.patients.follow_up import show_follow_up
from braintumor.dashboard.patients.outline_edits import show_outline_edits
from braintumor.dashboard.plain_text import plain
from braintumor.records import Patient, Study, VerdictKind
from braintumor.records.studies import Finding, Verdict
from braintumor.taxonomy import CLASSES, FINDING_TITLES

_LONGEST_COMMENT = 1000
_KINDS = {
    VerdictKind.AGREE: "The answer is right",
    VerdictKind.CORRECT: "The type is another",
    VerdictKind.COMMENT: "A comment only",
}


def show_history(account: Account, patient: Patient) -> None:
    """Show a patient's studies, the latest first; a clinician may add verdicts."""
    key = ("history", account.role, patient.id)
    studies: list[Study] = store.shown(key, store.studies().history, patient.id) or []
    show_follow_up(account, patient, studies)
    st.subheader("History", anchor=False)
    if not studies:
        st.info("No study is filed under this patient yet.")
    if account.role is Role.RESEARCHER and studies:
        st.caption("Dates are shifted by the same number of days for all studies of this patient.")
    for study in studies:
        with st.container(border=True, key=f"study_{study.id}"):
            st.markdown(f"**{study.taken_on or 'Date unknown'}** :gray[filed {study.filed_at:%Y-%m-%d %H:%M} UTC]")
            for series in study.series:
                st.caption(plain(f"{series.modality} {series.sequence}, {series.slices} slices"))
                for finding in series.findings:
                    _show_finding(finding, is_reader=account.role is not Role.RESEARCHER)
                    if finding.has_mask and account.role is not Role.RESEARCHER:
                        show_outline_edits(account, finding, series.id)


def finding_words(finding: Finding) -> str:
    """Say in one line what a model found, for Markdown."""
    model = plain(f"{finding.bundle_name} {finding.bundle_version}")
    if finding.label is None:
        return f"No answer ({plain(', '.join(finding.reasons)) or 'referred'}) :gray[by {model}]"
    parts = [f"**{plain(FINDING_TITLES.get(finding.label, finding.label))}**"]
    if finding.probability is not None:
        parts.append(f"{finding.probability:.0%}")
    if finding.volume_mm3 is not None:
        parts.append(f"{finding.volume_mm3 / 1000:.1f} mL")
    if finding.diameter_mm is not None:
        parts.append(f"{finding.diameter_mm:.0f} mm")
    return f"{', '.join(parts)} :gray[by {model}]"


def verdict_words(verdict: Verdict) -> str:
    """Say in one line what a reader said, for Markdown."""
    is_outline = verdict.has_mask and verdict.label is None
    said = "the outline is another" if is_outline else _KINDS[verdict.kind].lower()
    parts = [f"Version {verdict.version}, {verdict.made_at:%Y-%m-%d}: {said}"]
    if verdict.label is not None:
        parts.append(plain(FINDING_TITLES[verdict.label].lower()))
    by = f" :gray[by {plain(verdict.reader)}]" if verdict.reader else ""
    comment = f"  \n{plain(verdict.comment)}" if verdict.comment else ""
    return f"{', '.join(parts)}{by}{comment}"


def _show_finding(finding: Finding, *, is_reader: bool) -> None:
    st.markdown(finding_words(finding))
    for verdict in finding.verdicts:
        st.markdown(f"- {verdict_words(verdict)}")
    if not is_reader:
        return
    with st.popover("Add a verdict", icon=":material/rate_review:"):
        kind = choices.selectbox(
            "Verdict", list(VerdictKind), VerdictKind.AGREE, format_func=_KINDS.__getitem__, key=f"kind_{finding.id}"
        )
        label = None
        if kind is VerdictKind.CORRECT:
            label = choices.selectbox(
                "Right type", CLASSES, CLASSES[0], format_func=FINDING_TITLES.__getitem__, key=f"label_{finding.id}"
            )
        st.text_input("Comment", key=f"comment_{finding.id}", max_chars=_LONGEST_COMMENT)
        st.button(
            "Add verdict", type="primary", key=f"judge_{finding.id}", on_click=_judge, args=(finding.id, kind, label)
        )


def _judge(finding_id: int, kind: VerdictKind, label: str | None) -> None:
    comment = st.session_state.get(f"comment_{finding_id}", "")
    store.attempt(store.studies().judge, finding_id, kind, label, comment)
