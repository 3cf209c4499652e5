"""What a form answers: beside the field that it is about, or above the form."""

from typing import Literal

import streamlit as st

_NOTE = "_form_note"

Kind = Literal["error", "info", "success"]


def put(kind: Kind, text: str, form: str, field: str = "") -> None:
    """Say something of a form, and of which of its fields; it takes the place of what was said before."""
    st.session_state[_NOTE] = (kind, text, form, field)


def clear() -> None:
    """Forget what was said."""
    st.session_state.pop(_NOTE, None)


def show(form: str) -> None:
    """Show what was said of a form as a whole."""
    show_beside(form, "")


def show_beside(form: str, field: str) -> None:
    """Show what was said of a field; call it right after the field, where readers of the screen go next."""
    # It stays until the next one: the cookie component runs the page again right after it was drawn.
    kind, text, *where = st.session_state.get(_NOTE, ("info", "", "", ""))
    if where == [form, field] and text:
        {"error": st.error, "info": st.info, "success": st.success}[kind](text)
