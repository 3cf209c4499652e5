"""Prediction: scans in, answers out."""

from collections.abc import Sequence

import streamlit as st

from braintumor.bundles import BundleError
from braintumor.dashboard import answers, gate
from braintumor.dashboard.answers import Answer
from braintumor.dashboard.escaping import plain
from braintumor.dashboard.scan_viewer import show_answer
from braintumor.reports import answers_csv, answers_table
from braintumor.scans import ScanError

CARDS_AT_ONCE = 5


def main() -> None:
    session = gate.current()
    st.title("Prediction")
    st.markdown(
        "Drop MRI slices of the head below. For each you get tumor or not, the likely kind, how sure the model is, "
        "and where it looked. **Research and decision support, never a diagnosis.**"
    )
    if session.is_guest:
        st.info("You are trying this as a guest: nothing you upload is stored.", icon=":material/lock_open:")
    try:
        answers.predictor()
    except BundleError as error:
        st.error(str(error))
        return
    outcomes = _outcomes()
    if outcomes:
        _show_table(outcomes)
        _show_cards(outcomes)


def _outcomes() -> list[Answer | ScanError]:
    uploads = st.file_uploader(
        "Scans",
        accept_multiple_files=True,
        help="PNG, JPEG, BMP, GIF, TIFF or WebP, or a ZIP of them. Remove names from pictures before you upload them.",
    )
    if not uploads:
        st.toggle("No scan at hand? Try a synthetic sample", key="sample")
    bar = st.empty()
    outcomes = answers.answer_uploads(
        uploads,
        lambda number, total, name: bar.progress(number / total, text=f"{number + 1} of {total}: {plain(name)}"),
    )
    bar.empty()
    if not uploads and st.session_state.get("sample"):
        outcomes.append(answers.sample_answer())
    return outcomes


def _show_table(outcomes: Sequence[Answer | ScanError]) -> None:
    rows = [outcome.prediction if isinstance(outcome, Answer) else outcome for outcome in outcomes]
    counts = answers_table(rows)["decision"].value_counts()
    parts = [f"{count} × {name.lower()}" for name, count in counts.items()]
    st.subheader(f"{len(rows)} files: {', '.join(parts)}" if len(rows) > 1 else "Answer", anchor=False)
    for row in rows:
        if isinstance(row, ScanError):
            st.error(f"**{plain(row.source)}**: {row.reason} {row.hint}", icon=":material/broken_image:")
    if len(rows) > 1:
        table = answers_table(rows)[["source", "decision", "finding", "p_tumor", "reasons"]]
        share = st.column_config.ProgressColumn("P(tumor)", min_value=0.0, max_value=1.0, format="percent")
        titles = {"source": "Scan", "decision": "Decision", "finding": "Finding", "reasons": "Why referred"}
        st.dataframe(table, hide_index=True, column_config={**titles, "p_tumor": share})
    st.download_button(
        "Download answers (CSV)",
        answers_csv(rows),
        "brain-tumor-answers.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _show_cards(outcomes: Sequence[Answer | ScanError]) -> None:
    shown = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    first = 0
    if len(shown) > CARDS_AT_ONCE:
        starts = list(range(0, len(shown), CARDS_AT_ONCE))
        first = st.selectbox(
            "Scans shown",
            starts,
            format_func=lambda start: f"{start + 1} to {min(start + CARDS_AT_ONCE, len(shown))} of {len(shown)}",
        )
    for answer in shown[first : first + CARDS_AT_ONCE]:
        show_answer(answer)


main()
