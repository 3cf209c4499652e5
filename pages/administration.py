"""Administration: who may use the app, and who did what."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from braintumor.accounts import Account, Role, State
from braintumor.dashboard import audit_trail, choices, desk, gate, patients
from braintumor.database import RefusedError
from braintumor.reports import guarded

_ERROR = "administration_error"
_TEMPORARY = "administration_temporary"


def main() -> None:
    session = gate.current()
    st.title("Administration")
    if session.account is None or not session.is_administrator:
        st.error("Only an administrator may see this page; ask one for the role.")
        return
    if _ERROR in st.session_state:
        st.error(st.session_state.pop(_ERROR))
    with gate.unless_busy():
        everybody = gate.accounts().everybody(session.account)
    show_pending(everybody)
    show_table(everybody)
    manage(everybody)
    with gate.unless_busy():
        patients.show_groups(session.account, everybody, attempt)
    audit_trail.show(everybody, attempt)


def attempt(action: Callable[..., Any], *arguments: Any) -> Any:
    """Run one action in the name of who is logged in now; gives None where nobody is, or where it is refused.

    A refusal is shown on the page.
    """
    try:
        actor = gate.actor()
        return None if actor is None else action(actor, *arguments)
    except RefusedError as error:
        st.session_state[_ERROR] = str(error)
        return None


def delete(actor: Account, account_id: int) -> None:
    """Delete an account, and what it has on its desk with it."""
    with desk.forgetting(account_id):
        gate.accounts().delete(actor, account_id)


def label(account: Account) -> str:
    return f"{account.display_name} ({account.username})"


def show_pending(people: list[Account]) -> None:
    accounts = gate.accounts()
    waiting = [person for person in people if person.state is State.PENDING]
    st.header(f"Waiting for approval: {len(waiting)}")
    if len(waiting) > 1:
        st.button("Refuse all", icon=":material/close:", on_click=attempt, args=(accounts.refuse_waiting,))
    for person in waiting:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"pending_{person.id}"):
            st.text(f"{label(person)}, {person.role.value}\n{person.email or 'no e-mail address'}")
            st.button(
                "Approve",
                key=f"approve_{person.id}",
                icon=":material/check:",
                type="primary",
                on_click=attempt,
                args=(accounts.approve, person.id),
            )
            st.button(
                "Refuse",
                key=f"refuse_{person.id}",
                icon=":material/close:",
                on_click=attempt,
                args=(delete, person.id),
            )


def show_table(people: list[Account]) -> None:
    st.header("Accounts")
    st.dataframe(
        [
            {
                "Name": guarded(person.display_name),
                "Username": guarded(person.username),
                "E-mail": guarded(person.email or ""),
                "Role": person.role.value,
                "State": person.state.value,
                "Failed logins": person.failed_login_attempts,
                "Created": person.created_at,
            }
            for person in people
        ],
        hide_index=True,
        column_config={
            "Failed logins": st.column_config.NumberColumn(help="Wrong passwords since the account's last login"),
            "Created": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
    )


def manage(people: list[Account]) -> None:
    accounts = gate.accounts()
    st.header("Manage an account")
    by_id = {person.id: person for person in people}
    chosen = choices.selectbox(
        "Account",
        list(by_id),
        None,
        format_func=lambda number: label(by_id[number]),
        placeholder="Choose an account",
        key="managed",
    )
    if chosen is None:
        return
    person = by_id[chosen]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        role = choices.selectbox(
            "Role",
            list(Role),
            person.role,
            format_func=lambda choice: choice.value,
            key=f"role_{person.id}_{person.role.value}",
            width=220,
        )
        st.button(
            "Set role",
            disabled=role is person.role,
            on_click=attempt,
            args=(accounts.set_role, person.id, role),
        )
    with st.container(horizontal=True):
        if person.state is State.ACTIVE:
            st.button(
                "Disable",
                icon=":material/block:",
                on_click=attempt,
                args=(accounts.disable, person.id),
            )
        else:
            st.button(
                "Approve" if person.state is State.PENDING else "Enable",
                icon=":material/check:",
                on_click=attempt,
                args=(accounts.approve, person.id),
            )
        if st.button("Reset password", icon=":material/lock_reset:"):
            confirm_reset(person)
        if st.button("Delete", icon=":material/delete:"):
            confirm_delete(person)


def reset(person: Account) -> None:
    st.session_state[_TEMPORARY] = attempt(gate.accounts().reset_password, person.id)


@st.dialog("Reset the password?")
def confirm_reset(person: Account) -> None:
    gate.current()
    st.text(label(person))
    st.write("The present password stops working, and every session of this account is logged out.")
    place = st.empty()
    if place.button(
        "Reset password",
        type="primary",
        key="reset_confirmed",
        width="stretch",
        on_click=reset,
        args=(person,),
    ):
        temporary = st.session_state.pop(_TEMPORARY)
        if temporary is None:
            st.rerun()
        place.write("Hand over this temporary password. It is shown only now and must be changed at the next login.")
        st.code(temporary, language=None)


@st.dialog("Delete the account?")
def confirm_delete(person: Account) -> None:
    gate.current()
    st.text(label(person))
    st.write("This cannot be undone. The lines in the audit trail stay.")
    if st.button(
        "Delete for good",
        type="primary",
        key="delete_confirmed",
        width="stretch",
        on_click=attempt,
        args=(delete, person.id),
    ):
        st.rerun()


main()
