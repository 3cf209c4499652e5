"""Who a patient is: added, edited, merged with another record, and deleted."""

from collections.abc import Mapping, Sequence

import streamlit as st

from braintumor.accounts import Account
from braintumor.dashboard import choices, form_notes, gate
from braintumor.dashboard.patients import store
from braintumor.dashboard.patients.search import title
from braintumor.records import Patient


def show_new(groups: Mapping[int, str]) -> None:
    """Show the form for a new patient of one of the groups."""
    with st.expander("Add a patient", icon=":material/person_add:"), st.form("patient_new"):
        _fields("new", None)
        choices.selectbox("Group", list(groups), next(iter(groups)), format_func=groups.__getitem__, key="new_group")
        st.form_submit_button("Add patient", type="primary", on_click=_add)


def show_identity(account: Account, patient: Patient, others: Sequence[Patient]) -> None:
    """Show the forms that change one patient's record; ``others`` may be merged into it."""
    with st.expander("Edit, merge or delete", icon=":material/edit:"):
        with st.form(f"patient_edit_{patient.id}"):
            _fields(f"edit_{patient.id}", patient)
            st.form_submit_button("Save", on_click=_edit, args=(patient.id,))
        for merged in patient.merged:
            st.button(
                f"Undo the merge of record {merged}",
                icon=":material/call_split:",
                on_click=store.attempt,
                args=(store.patients().unmerge, merged),
            )
        _show_merge(patient, [other for other in others if other.id != patient.id])
        if st.button("Delete patient", icon=":material/delete:"):
            _confirm_delete(account, patient)


def _show_merge(patient: Patient, others: Sequence[Patient]) -> None:
    by_id = {other.id: other for other in others if other.group_id == patient.group_id}
    if not by_id:
        st.caption("To merge this patient with another record, search so that both are found.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = choices.selectbox(
            "Merge another record into this one",
            list(by_id),
            None,
            format_func=lambda number: title(by_id[number]),
            placeholder="Choose a record of the same person",
            key=f"merge_{patient.id}",
        )
        st.button(
            "Merge",
            disabled=other is None,
            on_click=store.attempt,
            args=(store.patients().merge, patient.id, other),
        )


@st.dialog("Delete the patient?")
def _confirm_delete(account: Account, patient: Patient) -> None:
    gate.current()
    if not store.is_still_seen(account, patient.id):
        # Deleted, or no longer to be named to this account: the page is drawn as it is now.
        st.rerun()
    st.text(title(patient))
    st.write("All studies, findings, verdicts and reports go, and cannot be brought back. The audit trail stays.")
    if st.button(
        "Delete for good",
        type="primary",
        key="patient_delete_confirmed",
        width="stretch",
        on_click=store.attempt,
        args=(store.patients().delete, patient.id),
    ):
        st.rerun()


def _fields(form: str, patient: Patient | None) -> None:
    born = patient.birth_date if patient else None
    st.text_input("Full name", patient.name or "" if patient else "", key=f"{form}_name", max_chars=80)
    form_notes.show_beside(form, "name")
    st.text_input(
        "Date of birth", born.isoformat() if born else "", key=f"{form}_born", max_chars=10, placeholder="1970-01-31"
    )
    form_notes.show_beside(form, "born")
    st.text_input("Patient number", patient.number or "" if patient else "", key=f"{form}_number", max_chars=64)
    form_notes.show_beside(form, "number")


def _values(form: str) -> tuple[object, object, object]:
    # A client may leave out any field of a form.
    state = st.session_state
    return state.get(f"{form}_name"), state.get(f"{form}_born"), state.get(f"{form}_number")


def _add() -> None:
    added = store.attempt_form("new", store.patients().add, st.session_state.get("new_group"), *_values("new"))
    if added is not None:
        for field in ("name", "born", "number"):
            st.session_state[f"new_{field}"] = ""


def _edit(patient_id: int) -> None:
    form = f"edit_{patient_id}"
    store.attempt_form(form, store.patients().edit, patient_id, *_values(form))
