"""The worklist at the left of the page Prediction: progress, filters, the list itself, and what is done with many."""

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from braintumor.dashboard import choices, gate
from braintumor.dashboard.desk import Case, Desk, desk_of
from braintumor.dashboard.plain_text import plain
from braintumor.dashboard.worklist.selection import Filters, Mark, Order, Status, listed, status_of, step, table
from braintumor.errors import InputError
from braintumor.reports import Answered, answers_csv, masks_zip
from braintumor.scans import WEIGHTING_WORDS, ScanError
from braintumor.taxonomy import CLASSES, FINDING_TITLES, NO_TUMOR

_OPENED, _TICKED, _CELL, _LIST = "_opened", "_ticked", "_cell", "_list"
_MOVED, _REFUSED = "_moved", "_refused"
_LOOK_SECONDS = 2
_SORT_SECONDS = 10
"""While a job runs the list is sorted anew no more often, so that it holds still under the reader's hand."""
_HEIGHT = 560
_ROW_HEIGHT = 44
_TYPES = [name for name in CLASSES if name != NO_TUMOR]


def opened_case(desk: Desk) -> Case | None:
    """Give the case that this session has opened, at first the most urgent one that is answered; it is then read."""
    cases = {case.key: case for case in desk.cases}
    case = cases.get(str(st.session_state.get(_OPENED)))
    if case is None:
        answered = listed([case for case in cases.values() if case.outcome], Filters(), Order.URGENCY)
        case = answered[0] if answered else None
    st.session_state[_OPENED] = case.key if case else None
    if case and case.outcome and not case.is_read:
        desk.mark([case.key], True)
    return case


def open_beside(by: int) -> None:
    """Open the case so many places on in the list as it was shown last, and run the page anew."""
    _, _, keys = st.session_state.get(_LIST, (0.0, None, []))
    key = step(keys, st.session_state.get(_OPENED), by)
    if key is not None and key != st.session_state.get(_OPENED):
        st.session_state[_OPENED] = key
        st.rerun()


def show_worklist(desk: Desk) -> None:
    """Show the worklist; while a job runs it looks for news by itself."""
    is_running = desk.progress is not None
    st.fragment(_show, run_every=_LOOK_SECONDS if is_running else None)(is_running)


def _show(was_running: bool) -> None:
    desk = desk_of(gate.current().account)
    has_opened = st.session_state.get(_OPENED) is not None
    is_news = (was_running and desk.progress is None) or (not has_opened and any(case.outcome for case in desk.cases))
    if st.session_state.pop(_MOVED, False) or is_news:
        st.rerun()
    if refused := st.session_state.pop(_REFUSED, ""):
        st.error(refused)
    _show_job(desk)
    cases = desk.cases
    filters, order = _ask(cases)
    shown = _held_still(listed(cases, filters, order), cases, was_running, (filters, order))
    _show_steps(desk, shown)
    _show_list(shown)
    ticked = [case for case in shown if case.key in st.session_state.get(_TICKED, ())]
    _show_actions(desk, ticked or shown, "selected" if ticked else "listed")


def _show_job(desk: Desk) -> None:
    progress = desk.progress
    if progress is not None:
        if progress.total is None:
            text = f"Looking at {plain(progress.name)}" if progress.name else "Opening your desk"
        else:
            text = f"Scan {progress.done + 1} of {progress.total}: {plain(progress.name)}"
        if progress.ahead:
            text += f". Waiting for other users; scans ahead: {progress.ahead}"
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            st.progress(progress.done / (progress.total or 1), text=text)
            st.button("Stop", on_click=desk.stop, key="stop")
    elif desk.trouble:
        st.error(desk.trouble)
        st.button("Resume", icon=":material/play_arrow:", on_click=partial(_resume, desk), key="resume")
    elif desk.is_stopped:
        waiting = sum(not case.outcome for case in desk.cases)
        st.info(f"Stopped; {waiting} scans wait.")
        st.button("Resume", icon=":material/play_arrow:", on_click=partial(_resume, desk), key="resume")


def _resume(desk: Desk) -> None:
    desk.resume()
    st.session_state[_MOVED] = True


def _ask(cases: Sequence[Case]) -> tuple[Filters, Order]:
    counts = Counter(status_of(case) for case in cases)
    st.markdown("**" + " · ".join(f"{counts[status]} {status}" for status in Status if counts[status]) + "**")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        with st.popover("Filter", icon=":material/filter_list:"):
            statuses = choices.multiselect("Answer", list(Status), [], format_func=str.capitalize, key="of_status")
            types = choices.multiselect("Type", _TYPES, [], format_func=FINDING_TITLES.__getitem__, key="of_type")
            sequences = choices.multiselect(
                "Sequence", list(WEIGHTING_WORDS), [], format_func=WEIGHTING_WORDS.__getitem__, key="of_sequence"
            )
            mark = choices.segmented_control("Read", list(Mark), None, format_func=str.capitalize, key="of_mark")
        order = choices.selectbox(
            "Sort", list(Order), Order.URGENCY, key="sorted_by", label_visibility="collapsed", width=150
        )
    return Filters(tuple(statuses), tuple(types), tuple(sequences), mark), order


def _held_still(shown: list[Case], cases: Sequence[Case], is_running: bool, asked: object) -> list[Case]:
    """Give what is shown; while a job runs in the order in which it was shown some seconds ago."""
    before = st.session_state.get(_LIST)
    if is_running and before and before[2] and before[1] == asked and time.monotonic() - before[0] < _SORT_SECONDS:
        by_key = {case.key: case for case in cases}
        return [by_key[key] for key in before[2] if key in by_key]
    st.session_state[_LIST] = time.monotonic(), asked, [case.key for case in shown]
    return shown


def _show_steps(desk: Desk, shown: Sequence[Case]) -> None:
    keys = [case.key for case in shown]
    opened = st.session_state.get(_OPENED)
    place = f"{keys.index(opened) + 1} of {len(keys)}" if opened in keys else f"{len(keys)} listed"
    with st.container(horizontal=True, vertical_alignment="center"):
        previous, following = (partial(_open, step(keys, opened, by)) for by in (-1, 1))
        st.button("Previous", on_click=previous, shortcut="P", key="previous", disabled=not keys, type="tertiary")
        st.button("Next", on_click=following, shortcut="N", key="next", disabled=not keys, type="tertiary")
        st.caption(place, width="content")


def _show_list(shown: Sequence[Case]) -> None:
    if not shown:
        st.caption("No scan on the desk fits these filters.")
        return
    keys = [case.key for case in shown]
    # A list of others is another widget: what was ticked in it by number would be other cases.
    key = f"worklist-{hashlib.sha256(repr(keys).encode()).hexdigest()[:16]}"
    ticked = st.session_state.get(_TICKED, ())
    columns: dict[str, Any] = {
        "picture": st.column_config.ImageColumn("", width=44),
        "mark": st.column_config.TextColumn("", width=26, help="● is new, ▶ is open"),
        "answer": st.column_config.TextColumn("Answer", width=90),
        "scan": st.column_config.TextColumn("Scan"),
        "p_tumor": st.column_config.NumberColumn("P(tumor)", format="percent"),
    }
    selection = choices.selection(
        table(shown, st.session_state.get(_OPENED)),
        key=key,
        hide_index=True,
        height=min(_HEIGHT, _ROW_HEIGHT * (len(shown) + 1)),
        row_height=_ROW_HEIGHT,
        column_config=columns,
        selection_mode=["multi-row", "single-cell"],
        selection_default={"selection": {"rows": [row for row, one in enumerate(keys) if one in ticked]}},
        alt="Worklist: scans with their answers",
    )
    now = {keys[row] for row in selection.rows}
    # Ticks of cases that the filters hide are kept.
    st.session_state[_TICKED] = (set(ticked) - set(keys)) | now
    cell = (key, selection.cell)
    if selection.cell is not None and cell != st.session_state.get(_CELL):
        st.session_state[_CELL] = cell
        _open(keys[selection.cell[0]])
        st.rerun()


def _open(key: str | None) -> None:
    if key is not None and key != st.session_state.get(_OPENED):
        st.session_state[_OPENED] = key
        st.session_state[_MOVED] = True


def _show_actions(desk: Desk, cases: Sequence[Case], which: str) -> None:
    keys = [case.key for case in cases]
    if not keys:
        return
    with st.container(horizontal=True):
        st.download_button(
            "Answers (CSV)",
            partial(_csv, cases),
            "brain-tumor-answers.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="take_csv",
            help=f"Of the {_counted(keys)} {which}.",
        )
        if any(case.answer and case.answer.measurements for case in cases):
            st.download_button(
                "Masks (ZIP)",
                # Only who asks for the masks waits for them.
                partial(_masks, desk, keys),
                "brain-tumor-masks.zip",
                "application/zip",
                icon=":material/folder_zip:",
                on_click="ignore",
                key="take_masks",
                help=f"Of the {_counted(keys)} {which}: each mask, named by its content, and a table of them.",
            )
        marks = partial(_mark, keys)
        st.button("Mark as read", on_click=partial(marks, True), key="mark_read")
        st.button("Mark as new", on_click=partial(marks, False), key="mark_new")
        with st.popover("Clear", icon=":material/delete:"):
            st.write(f"This removes the {_counted(keys)} {which}, answers included, from the server for good.")
            st.button(
                f"Clear {_counted(keys)}",
                on_click=partial(_clear, keys),
                type="primary",
                key="clear",
            )


def _counted(keys: Sequence[str]) -> str:
    return "1 scan" if len(keys) == 1 else f"{len(keys)} scans"


def _csv(cases: Sequence[Case]) -> bytes:
    rows: list[Answered | ScanError] = []
    for case in cases:
        if case.answer:
            rows.append((case.answer.prediction, case.answer.measurements))
        elif case.error:
            rows.append(case.error)
    return answers_csv(rows)


def _masks(desk: Desk, keys: Sequence[str]) -> bytes:
    answers = (desk.answer(key) for key in keys)
    return masks_zip((answer.prediction, answer.measurements) for answer in answers if answer)


def _mark(keys: Sequence[str], is_read: bool) -> None:
    _change(lambda desk: desk.mark(keys, is_read))


def _clear(keys: Sequence[str]) -> None:
    _change(lambda desk: desk.clear(keys))


def _change(change: Any) -> None:
    # A callback runs before the page asks who this is.
    account = gate.actor()
    if account is None and not st.session_state.get(gate.GUEST):
        return
    try:
        change(desk_of(account))
    except InputError as error:
        st.session_state[_REFUSED] = str(error)
    st.session_state[_MOVED] = True
