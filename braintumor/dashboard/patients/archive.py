"""Searching the hospital's archives, and having a study sent to the node, which answers it like any other."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from braintumor import settings
from braintumor.accounts import Account
from braintumor.dashboard import choices, form_notes, gate
from braintumor.dashboard.patients import store
from braintumor.pacs.errors import PacsError
from braintumor.pacs.fetches import Fetches
from braintumor.pacs.peers import read_peers
from braintumor.pacs.query import FoundStudies, FoundStudy, Query, QueryError, read_query
from braintumor.records.arrivals import ArrivalState
from braintumor.reports import guarded

if TYPE_CHECKING:
    from braintumor.pacs.archive import Archive

_ASKED, _FOUND = "archive_asked", "archive_found"
_MODALITIES = ("any", "MR", "CT", "PT")
_LOOK_SECONDS = 2
_ARRIVED = {
    ArrivalState.RECEIVING: "arriving",
    ArrivalState.ANSWERING: "being answered",
    ArrivalState.SENDING: "answered",
    ArrivalState.DONE: "answered",
    ArrivalState.FAILED: "arrived, could not be answered",
}
_FETCHED = "being fetched"
_MOVING = (_FETCHED, _ARRIVED[ArrivalState.RECEIVING], _ARRIVED[ArrivalState.ANSWERING])


def has_archives(account: Account) -> bool:
    """Tell whether there is an archive that an account may search."""
    try:
        return bool(_titles()) and store.archive_access().is_open_to(account)
    except PacsError:
        return False


def show_archive() -> None:
    """Show the search, and of each study found how far it is; for accounts that ``has_archives``."""
    _show_form(_titles())
    if (asked := st.session_state.pop(_ASKED, None)) is not None:
        with st.spinner(f"Asking {asked[0]}"):
            found = store.attempt(_searched, *asked)
        st.session_state[_FOUND] = None if found is None else (asked[0], found)
    store.show_refusal()
    if (shown := st.session_state.get(_FOUND)) is not None:
        _show_found(*shown)


def _show_form(titles: list[str]) -> None:
    with st.form("archive"):
        choices.selectbox("Archive", titles, titles[0], key="archive_title")
        for label, field, most, placeholder in (
            ("Patient number", "number", 64, "In full"),
            ("Name", "name", 64, "Family name first; beginnings of words will do"),
            ("First day", "since", 10, "2026-01-31"),
            ("Last day", "until", 10, "2026-01-31"),
        ):
            st.text_input(label, key=f"archive_{field}", max_chars=most, placeholder=placeholder)
            form_notes.show_beside("archive", field)
        choices.selectbox("Modality", _MODALITIES, _MODALITIES[0], key="archive_modality")
        st.form_submit_button("Search the archive", type="primary", on_click=_ask)


def _ask() -> None:
    st.session_state.pop(_FOUND, None)
    st.session_state[_ASKED] = store.attempt_form("archive", _query)


def _query(_actor: Account) -> tuple[str, Query]:
    # A client may leave out any field of a form, and send something else than what was offered.
    state = st.session_state
    title, modality = state.get("archive_title"), state.get("archive_modality")
    titles = _titles()
    if title not in titles or modality not in _MODALITIES:
        title, modality = titles[0], _MODALITIES[0]
    number, name, since, until = (state.get(f"archive_{field}") for field in ("number", "name", "since", "until"))
    return title, read_query(number, name, since, until, "" if modality == _MODALITIES[0] else modality)


def _archive(title: str) -> "Archive":
    try:
        from braintumor.pacs.archive import Archive, archive_peer

        configured = settings.load()
        return Archive(configured, archive_peer(configured, title))
    except ImportError:
        raise QueryError("This server cannot call archives; install requirements/lock/pacs.txt.") from None
    except PacsError as error:
        raise QueryError(str(error)) from None


def _searched(actor: Account, title: str, query: Query) -> FoundStudies:
    found = _archive(title).find(query)
    store.archive_access().note_search(actor, title, len(found.studies))
    return found


def _show_found(title: str, found: FoundStudies) -> None:
    if not found.studies:
        st.info(f"{title} has no study that fits.")
        return
    if not found.is_all:
        st.warning(f"These are {len(found.studies)} of more studies; search for less at once.")
    by_uid = {study.uid: study for study in found.studies}
    chosen = choices.selectbox(
        f"Studies found: {len(by_uid)}",
        list(by_uid),
        None,
        format_func=lambda uid: _title(by_uid[uid]) if uid in by_uid else "",
        placeholder="Choose a study",
        key="archive_chosen",
    )
    st.button(
        "Fetch this study",
        icon=":material/download:",
        key="archive_fetch",
        disabled=chosen is None,
        on_click=store.attempt,
        args=(_fetch, title, chosen),
    )
    is_moving = any(state in _MOVING for state in _states(list(by_uid)).values())
    st.fragment(_show_states, run_every=_LOOK_SECONDS if is_moving else None)(by_uid, is_moving)


def _show_states(by_uid: Mapping[str, FoundStudy], was_moving: bool) -> None:
    account = gate.current().account
    if account is None or not store.archive_access().is_open_to(account):
        st.rerun()
    states = _states(list(by_uid))
    if was_moving and not any(state in _MOVING for state in states.values()):
        st.rerun()
    st.dataframe([_cells(study, _words(uid, states)) for uid, study in by_uid.items()], hide_index=True)
    for uid in by_uid:
        if (fetch := _fetches().of(uid)) is not None and fetch.trouble:
            st.error(fetch.trouble)


def _fetch(actor: Account, title: str, uid: str) -> None:
    archive = _archive(title)
    store.archive_access().note_fetch(actor, title, uid)
    _fetches().start(archive, uid)


def _states(uids: Sequence[str]) -> dict[str, str]:
    """Say how far each study is that is on its way here, or has arrived."""
    arrived = store.archive_access().states(uids)
    states = {uid: _ARRIVED[state] for uid, state in arrived.items()}
    for uid in uids:
        if (fetch := _fetches().of(uid)) is not None and not fetch.is_over:
            states[uid] = _FETCHED
    return states


def _words(uid: str, states: Mapping[str, str]) -> str:
    state, fetch = states.get(uid, "in the archive"), _fetches().of(uid)
    if state != _FETCHED or fetch is None:
        return state
    total = fetch.progress.sent + fetch.progress.failed + fetch.progress.left
    return f"{state}: {fetch.progress.sent} of {total} objects" if total else state


def _title(study: FoundStudy) -> str:
    parts = (study.name, study.number, study.taken_on and study.taken_on.isoformat(), study.description)
    return ", ".join(str(part) for part in parts if part) or study.uid


def _cells(study: FoundStudy, state: str) -> dict[str, object]:
    return {
        "Name": guarded(study.name),
        "Born": study.birth_date,
        "Number": guarded(study.number),
        "Study of": study.taken_on,
        "Modalities": guarded(", ".join(study.modalities)),
        "Description": guarded(study.description),
        "Objects": study.objects,
        "State": state,
    }


@cache
def _fetches() -> Fetches:
    return Fetches()


def _titles() -> list[str]:
    return [peer.title for peer in read_peers(settings.load().pacs_peers).receivers]
