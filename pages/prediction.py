"""Prediction: scans in, answers out."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError
from braintumor.dashboard import answers, choices, gate
from braintumor.dashboard.answers import Answer, Outcome, Progress
from braintumor.dashboard.plain_text import plain
from braintumor.dashboard.studies import show_studies
from braintumor.dashboard.viewer import show_answer, show_scan
from braintumor.reports import Answered, answers_csv, answers_table, has_mask, masks_zip
from braintumor.scans import NotJudgedError, ScanError

CARDS_AT_ONCE = 5


def main() -> None:
    session = gate.current()
    st.title("Prediction")
    st.markdown(
        "Drop DICOM studies, volumes or slices of the head below. For each you get tumor or not, the likely kind, how "
        "sure the model is, and where it places the tumor. **Research and decision support, never a diagnosis.**"
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
        show_studies(outcomes)
        _show_table([outcome for outcome in outcomes if not isinstance(outcome, NotJudgedError)])
        _show_cards(outcomes)


def _outcomes() -> list[Outcome]:
    configured = settings.load()
    uploads = st.file_uploader(
        "Scans",
        accept_multiple_files=True,
        help="DICOM studies (files, a folder, or a CD's), volumes (.nii, .nii.gz, .mgz), pictures (PNG, JPEG, BMP, "
        f"GIF, TIFF, WebP), or a ZIP of any: {configured.max_upload_mb} MB a file, {configured.max_session_mb} MB in "
        "all. A file marked in red did not fit; remove some to make room. Remove names from pictures before you upload "
        "them.",
    )
    if not uploads:
        st.toggle("No scan at hand? Try a synthetic sample", key="sample")
    bar, lines = st.empty(), st.empty()

    def show_lines(outcomes: Sequence[Outcome]) -> None:
        with lines.container():
            show_studies(outcomes, is_whole=False)

    outcomes = answers.answer_uploads(
        uploads, lambda now: bar.progress(now.done / (now.total or 1), text=_progress_text(now)), show_lines
    )
    bar.empty()
    lines.empty()
    if not uploads and st.session_state.get("sample"):
        outcomes.append(answers.sample_answer())
    return outcomes


def _progress_text(now: Progress) -> str:
    if now.total is None:
        return f"Looking at {plain(now.name)}"
    text = f"Scan {now.done + 1} of {now.total}: {plain(now.name)}"
    return f"{text}. Waiting for other users; scans ahead: {now.ahead}" if now.ahead else text


def _show_table(outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        return
    rows = [(item.prediction, item.measurements) if isinstance(item, Answer) else item for item in outcomes]
    table = answers_table(rows)
    counts = table["decision"].value_counts()
    parts = [f"{count} × {str(name).lower()}" for name, count in counts.items()]
    st.subheader(f"{len(rows)} scans: {', '.join(parts)}" if len(rows) > 1 else "Answer", anchor=False)
    for row in rows:
        if isinstance(row, ScanError):
            st.error(f"**{plain(row.source)}**: {row.reason} {row.hint}", icon=":material/broken_image:")
    if len(rows) > 1:
        _show_columns(table)
    with st.container(horizontal=True):
        st.download_button(
            "Download answers (CSV)",
            answers_csv(rows),
            "brain-tumor-answers.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        answered = [row for row in rows if not isinstance(row, ScanError)]
        if len(rows) > 1 and any(has_mask(prediction) for prediction, _ in answered):
            _offer_masks(answered)


def _show_columns(table: pd.DataFrame) -> None:
    columns: dict[str, Any] = {
        "source": "Scan",
        "decision": "Decision",
        "finding": "Finding",
        "p_tumor": st.column_config.ProgressColumn("P(tumor)", min_value=0.0, max_value=1.0, format="percent"),
        "lesions": st.column_config.NumberColumn("Lesions"),
        "area_mm2": st.column_config.NumberColumn("Area (mm²)", format="%.0f"),
        "head_share": st.column_config.NumberColumn("Area (of the head)", format="percent"),
        "largest_diameter_mm": st.column_config.NumberColumn("Diameter (mm)", format="%.0f"),
        "largest_diameter_head": st.column_config.NumberColumn("Diameter (of the head)", format="percent"),
        "volume_ml": st.column_config.NumberColumn("Volume (mL)", format="%.1f"),
        "reasons": "Why referred",
    }
    # Pictures do not tell their spacing, and mostly there is nothing to refer.
    told = [name for name in columns if (table[name].notna() & table[name].ne("")).any()]
    st.dataframe(table[told], hide_index=True, column_config=columns, placeholder="–")


def _offer_masks(answered: Sequence[Answered]) -> None:
    st.download_button(
        "Download all masks (ZIP)",
        # Only who asks for the masks waits for them.
        partial(masks_zip, answered),
        "brain-tumor-masks.zip",
        "application/zip",
        icon=":material/folder_zip:",
        on_click="ignore",
        help="The mask of each scan, named by its content, and a table of them.",
    )


def _show_cards(outcomes: Sequence[Outcome]) -> None:
    shown = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    first = 0
    if len(shown) > CARDS_AT_ONCE:
        starts = list(range(0, len(shown), CARDS_AT_ONCE))
        first = choices.selectbox(
            "Scans shown",
            starts,
            first,
            format_func=lambda start: f"{start + 1} to {min(start + CARDS_AT_ONCE, len(shown))} of {len(shown)}",
        )
    for answer in shown[first : first + CARDS_AT_ONCE]:
        with st.container(border=True, key=f"card-{answer.key}"):
            picture, said = st.columns([3, 2], gap="medium")
            with picture:
                show_scan(answer)
            with said:
                show_answer(answer)


main()
