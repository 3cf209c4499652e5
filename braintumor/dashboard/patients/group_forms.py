"""Groups of accounts on the page of administrators."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from braintumor.accounts import Account
from braintumor.dashboard import choices, form_notes
from braintumor.dashboard.patients import store
from braintumor.database import RefusedError

_NEW = "group_new"


def show_groups(administrator: Account, people: Sequence[Account], attempt: Callable[..., Any]) -> None:
    """Show each group with who is in it, and a field for a new one; ``attempt`` runs a change as the page does."""
    names = {person.id: f"{person.display_name} ({person.username})" for person in people}
    st.subheader("Groups")
    st.caption("The accounts of a group see the same patients; researchers without names.")
    for group in store.groups().everyone(administrator):
        with st.container(border=True, key=f"group_{group.id}"):
            st.text(group.name)
            members = choices.multiselect(
                "Accounts",
                list(names),
                sorted(group.members),
                format_func=names.__getitem__,
                key=f"members_{group.id}",
            )
            with st.container(horizontal=True):
                arguments = (store.groups().set_members, group.id, members)
                st.button("Save", key=f"members_save_{group.id}", on_click=attempt, args=arguments)
                st.button(
                    "Delete group",
                    key=f"group_delete_{group.id}",
                    icon=":material/delete:",
                    on_click=attempt,
                    args=(store.groups().remove, group.id),
                )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Name of a new group", key=_NEW, max_chars=80)
        st.button("Create group", icon=":material/group_add:", on_click=_create, args=(attempt,))
    form_notes.show_beside(_NEW, "name")


def _create(attempt: Callable[..., Any]) -> None:
    form_notes.clear()
    if attempt(_created, st.session_state.get(_NEW, "")) is not None:
        st.session_state[_NEW] = ""


def _created(administrator: Account, name: object) -> object:
    try:
        return store.groups().create(administrator, name)
    except RefusedError as error:
        if not error.field:
            raise
        form_notes.put("error", str(error), _NEW, error.field)
        return None
