"""The patients of this server, and how a page acts on them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

from braintumor import settings
from braintumor.accounts import Account
from braintumor.dashboard import form_notes, gate
from braintumor.dashboard.patients.room import Kept, Room
from braintumor.database import RefusedError, open_database
from braintumor.records import Groups, Patients, Research, Studies
from braintumor.records.arrivals import ArchiveAccess
from braintumor.records.vault import VaultError, open_vault

_REFUSAL = "patients_refusal"
_SHOWN = "patients_shown"
"""What the page shows, so that drawing it again is not viewing it again; any change empties it."""
_ROOM = Room(256 * 2**20)


def patients() -> Patients:
    """Give the patients of this server."""
    return _open(settings.load())[0]


def studies() -> Studies:
    """Give the studies of this server."""
    return _open(settings.load())[1]


def groups() -> Groups:
    """Give the groups of this server."""
    return _open(settings.load())[2]


def research() -> Research:
    """Give what this server offers to researchers."""
    return _open(settings.load())[3]


def archive_access() -> ArchiveAccess:
    """Give who may search archives from this server."""
    return _open(settings.load())[4]


@cache
def _open(configured: settings.Settings) -> tuple[Patients, Studies, Groups, Research, ArchiveAccess]:
    engine, vault = open_database(configured), open_vault(configured, "patients")
    opened = Patients(engine, vault)
    opened.finish_removals()
    archives = ArchiveAccess(engine, vault, configured.pacs_account)
    return opened, Studies(engine, vault), Groups(engine), Research(engine, vault), archives


def attempt(action: Callable[..., Any], *arguments: Any) -> Any:
    """Run a change in the name of who is logged in now; gives None where nobody is, or where it is refused.

    A refusal is shown on the page.
    """
    st.session_state.pop(_SHOWN, None)
    return _run(action, *arguments)


def attempt_form(form: str, action: Callable[..., Any], *arguments: Any) -> Any:
    """Run a change as ``attempt`` does; a refusal that is about a field of the form is shown beside it."""
    form_notes.clear()
    st.session_state.pop(_SHOWN, None)
    return _run(action, *arguments, form=form)


def shown(key: object, action: Callable[..., Any], *arguments: Any) -> Any:
    """Give what a view gave when it was shown first, by its key; looked up once, so it is in the audit trail once."""
    kept = st.session_state.setdefault(_SHOWN, {})
    if key not in kept:
        kept[key] = _run(action, *arguments)
    return kept[key]


def shown_last(slot: str, key: object, size: Callable[[Any], int], action: Callable[..., Any], *arguments: Any) -> Kept:
    """Keep what a view gave, as ``shown``, and of a slot the last view alone, for what is large.

    It is looked up again where others needed the room, so nothing else may keep it. ``size`` tells its bytes.
    """
    kept: dict[str, tuple[object, Kept]] = st.session_state.setdefault(_SHOWN, {})
    if slot not in kept or kept[slot][0] != key or kept[slot][1].is_gone:
        kept.pop(slot, None)
        found = _run(action, *arguments)
        kept[slot] = key, _ROOM.keep(found, size(found))
    return _ROOM.used(kept[slot][1])


def is_still_seen(account: Account, patient_id: int) -> bool:
    """Tell whether an account may still see a patient as the page was drawn, with or without the name.

    A fragment asks this each time it is drawn, since groups and roles may have changed since the page was.
    """
    with gate.unless_busy():
        return patient_id in patients().may_see(account, [patient_id])


def forget_shown() -> None:
    """Forget what the page shows."""
    st.session_state.pop(_SHOWN, None)


def show_refusal() -> None:
    """Say why the last change was refused, once."""
    if _REFUSAL in st.session_state:
        st.error(st.session_state.pop(_REFUSAL))


def _run(action: Callable[..., Any], *arguments: Any, form: str = "") -> Any:
    try:
        actor = gate.actor()
        return None if actor is None else action(actor, *arguments)
    except (RefusedError, VaultError) as error:
        field = error.field if isinstance(error, RefusedError) and form else ""
        if field:
            form_notes.put("error", str(error), form, field)
        else:
            st.session_state[_REFUSAL] = str(error)
        return None
