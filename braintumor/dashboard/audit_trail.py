"""The audit trail on the page of administrators: whether it is whole, its lines by filters, and a file of them."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import streamlit as st

from braintumor.accounts import Account
from braintumor.dashboard import choices, gate
from braintumor.database import AuditEntry, Wanted
from braintumor.database.audit import utc_now
from braintumor.reports import guarded

Attempt = Callable[..., Any]
LINES_SHOWN = 500
LINES_EXPORTED = 10_000
SUBJECTS = ("account", "group", "patient", "study", "finding")
PERIODS = {"Last day": 1, "Last 7 days": 7, "Last 30 days": 30, "Last year": 365}
_EXPORT = "audit_trail_export"
_CHECK = "audit_trail_check"


def show(people: Sequence[Account], attempt: Attempt) -> None:
    """Show the newest lines that the filters let through, to an administrator.

    ``attempt`` runs a function in the name of who is logged in when a button is pressed, and gives None where it is
    refused.
    """
    names = {person.id: person.username for person in people}
    st.subheader("Audit trail")
    _show_check()
    wanted = _filters(names)
    session = gate.current()
    assert session.account is not None
    with gate.unless_busy():
        lines = gate.accounts().audit_trail(session.account, LINES_SHOWN, wanted)
    st.caption(f"The newest {LINES_SHOWN} lines, in UTC.")
    st.dataframe(
        [_cells(line, names) for line in lines],
        hide_index=True,
        column_config={"Time": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")},
    )
    with st.container(horizontal=True):
        st.button("Check the trail", icon=":material/verified:", on_click=_check, args=(attempt,))
        st.button("Export as CSV", icon=":material/download:", on_click=_export, args=(attempt, wanted, names))
    if _EXPORT in st.session_state:
        st.download_button("Save the file", st.session_state[_EXPORT], "audit_trail.csv", "text/csv")


def as_csv(lines: Sequence[AuditEntry], names: Mapping[int, str]) -> str:
    """Write lines as CSV that a spreadsheet opens without running any of it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("Number", *_HEADS))
    for line in lines:
        cells = _cells(line, names)
        cells["Time"] = line.time.isoformat(timespec="microseconds")
        writer.writerow((line.number, *cells.values()))
    return file.getvalue()


_HEADS = ("Time", "By", "Action", "Subject", "From", "Details")


def _cells(line: AuditEntry, names: Mapping[int, str]) -> dict[str, object]:
    details = ", ".join(f"{name}: {value}" for name, value in sorted(line.details.items()))
    values = (line.time, _who(line.actor_id, names), line.action, _subject(line, names), line.address or "", details)
    return dict(zip(_HEADS, [value if value is line.time else guarded(str(value)) for value in values], strict=True))


def _subject(line: AuditEntry, names: Mapping[int, str]) -> str:
    if line.subject_kind == "account":
        return _who(line.subject_id, names)
    return "" if line.subject_kind is None else f"{line.subject_kind} {line.subject_id}"


def _who(number: int | None, names: Mapping[int, str]) -> str:
    return "" if number is None else names.get(number, f"deleted account {number}")


def _filters(names: Mapping[int, str]) -> Wanted:
    columns = st.columns(3)
    with columns[0]:
        actor = choices.selectbox(
            "By", list(names), None, format_func=lambda number: names[number], placeholder="Anybody", key="trail_by"
        )
    with columns[1]:
        kind = choices.selectbox("Done to", SUBJECTS, None, placeholder="Anything", key="trail_subject")
    with columns[2]:
        period = choices.selectbox("When", list(PERIODS), None, placeholder="At any time", key="trail_period")
    since = None if period is None else utc_now() - timedelta(days=PERIODS[period])
    return Wanted(actor_id=actor, subject_kind=kind, since=since)


def _show_check() -> None:
    check = st.session_state.pop(_CHECK, None) or gate.trail_at_start()
    if check.is_whole:
        st.caption(f"Whole when last checked: {check.lines} lines. Newest seal: `{check.newest_seal}`")
    else:
        st.error(
            f"The audit trail does not fit together at line {check.broken_at}: a line was changed, removed or added, "
            "or the site's key is another one. Keep a copy of the database and compare it with your backups."
        )


def _check(attempt: Attempt) -> None:
    st.session_state[_CHECK] = attempt(lambda _actor: gate.accounts().verify_audit_trail())


def _export(attempt: Attempt, wanted: Wanted, names: Mapping[int, str]) -> None:
    lines = attempt(gate.accounts().export_audit_trail, LINES_EXPORTED, wanted)
    if lines is not None:
        st.session_state[_EXPORT] = as_csv(lines, names)
