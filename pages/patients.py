"""Patients: search, records, history, and what readers say of the answers."""

import streamlit as st

from braintumor.accounts import Role
from braintumor.dashboard import gate, patients
from braintumor.records.vault import VaultError


def main() -> None:
    session = gate.current()
    st.title("Patients")
    account = session.account
    if account is None:
        st.info("A guest has no patients. Log in to see those of your groups.")
        return
    try:
        with gate.unless_busy():
            groups = patients.groups().own(account)
    except VaultError as error:
        st.error(str(error))
        return
    if not groups:
        st.info("You are in no group yet. An administrator adds you to one on the page Administration.")
        return
    with gate.unless_busy():
        chosen, found = patients.choose(account)
    is_reader = account.role is not Role.RESEARCHER
    if is_reader:
        patients.show_new(groups)
    if chosen is not None:
        if is_reader:
            patients.show_identity(chosen, found)
        patients.show_history(account, chosen)


main()
