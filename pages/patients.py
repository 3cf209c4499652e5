"""Patients: search, records, history, and what readers say of the answers."""

from collections.abc import Callable, Mapping

import streamlit as st

from braintumor.accounts import Account, Role
from braintumor.dashboard import gate, patients
from braintumor.dashboard.tabs import show_tabs
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
            show(account)
    except VaultError as error:
        st.error(str(error))


def show(account: Account) -> None:
    groups = patients.groups().own(account)
    if not groups:
        st.info("You are in no group yet. An administrator adds you to one on the page Administration.")
        return
    tabs: dict[str, Callable[[], object]] = {
        "Patients": lambda: show_patients(account, groups),
        "Agreement with readers": lambda: patients.show_agreement(account),
    }
    if patients.has_archives(account):
        tabs["Search the PACS"] = patients.show_archive
    show_tabs(tabs, "patients_tabs")


def show_patients(account: Account, groups: Mapping[int, str]) -> None:
    chosen, found = patients.choose(account)
    is_reader = account.role is not Role.RESEARCHER
    if is_reader:
        patients.show_new(groups)
    if chosen is not None:
        if is_reader:
            patients.show_filing(account, chosen)
            patients.show_identity(account, chosen, found)
        patients.show_history(account, chosen)


main()
