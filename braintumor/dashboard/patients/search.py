"""Finding a patient: a field, and what was found as a table and a choice."""

import streamlit as st

from braintumor.accounts import Account
from braintumor.dashboard import choices
from braintumor.dashboard.patients import store
from braintumor.records import Patient
from braintumor.reports import guarded

CHOSEN = "patients_chosen"


def choose(account: Account) -> tuple[Patient | None, list[Patient]]:
    """Show the search, and give the patient chosen and all that were found."""
    label = "Name or number" if account.role.value != "researcher" else "Code of the patient"
    text = st.text_input(label, key="patients_search", max_chars=200, placeholder="Beginnings of words will do")
    found: list[Patient] = store.shown(("search", account.role, text), store.patients().search, text) or []
    store.show_refusal()
    # Groups and roles may have changed since it was searched.
    seen = store.patients().may_see(account, [patient.id for patient in found])
    found = [patient for patient in found if patient.id in seen]
    if not found:
        st.info("No patient of your groups fits." if text else "There are no patients in your groups yet.")
        return None, []
    by_id = {patient.id: patient for patient in found}
    chosen = choices.selectbox(
        f"Patients found: {len(found)}",
        list(by_id),
        None,
        # What was chosen before may be gone.
        format_func=lambda number: title(by_id[number]) if number in by_id else "",
        placeholder="Choose a patient",
        key=CHOSEN,
    )
    st.dataframe([_cells(patient) for patient in found], hide_index=True, placeholder="–")
    return (None if chosen is None else by_id[chosen]), found


def title(patient: Patient) -> str:
    """Name a patient in one line, by the code only for who may not see names."""
    parts = (patient.name, patient.birth_date and f"born {patient.birth_date}", patient.number, patient.code)
    return ", ".join(str(part) for part in parts if part)


def _cells(patient: Patient) -> dict[str, object]:
    return {
        "Name": guarded(patient.name or ""),
        "Born": patient.birth_date,
        "Number": guarded(patient.number or ""),
        "Code": patient.code,
        "Merged records": len(patient.merged),
    }
