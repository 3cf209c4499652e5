"""Prediction: scans in, answers out."""

import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError
from braintumor.dashboard import answers, gate, server
from braintumor.dashboard.desk import Case, Desk, Intake, desk_of
from braintumor.dashboard.plain_text import plain
from braintumor.dashboard.report_downloads import show_report_downloads, show_study_report
from braintumor.dashboard.studies import show_studies
from braintumor.dashboard.viewer import show_answer, show_scan
from braintumor.dashboard.worklist import open_beside, opened_case, show_worklist
from braintumor.errors import InputError

_INTAKE, _INTAKES, _IS_NEW = "_intake", "_intakes", "_intake_is_new"
_COMPACT = """<style>
.stMainBlockContainer { padding: 3rem 1.5rem 1rem; }
.stMainBlockContainer h1 { font-size: 1.5rem; padding: 0; }
@media (max-width: 640px) {
  .stMainBlockContainer { padding-top: 4.5rem; }
  .st-key-room > div > .stHorizontalBlock > .stColumn:first-child { order: 1; }
}
</style>"""
"""So that at 1280 × 800 the picture, its controls and its answer are on the screen together.

On a phone, where columns lie one below the other, the picture comes first, then its answer, then the worklist.
"""
_PATIENCE_SECONDS = 1.5
"""So long a new upload's answers are waited for: those of a few pictures are then on the page at once."""


def main() -> None:
    session = gate.current()
    st.html(_COMPACT)
    st.title("Prediction")
    guest = " You are trying this as a guest: nothing you upload is stored." if session.is_guest else ""
    st.markdown(f"**Research and decision support, never a diagnosis.**{guest}")
    try:
        predictors = answers.predictors()
        desk = desk_of(session.account)
        _take_uploads(desk)
    except (BundleError, InputError) as error:
        st.error(str(error))
        return
    desk.start(predictors)
    _say_what_came()
    if st.session_state.pop(_IS_NEW, False):
        desk.wait(_PATIENCE_SECONDS)
    if desk.cases or desk.progress:
        _show_room(desk)


def _take_uploads(desk: Desk) -> None:
    """Show the uploader, and put what it holds on the desk; then it is empty again."""
    configured = settings.load()
    count = st.session_state.setdefault(_INTAKES, 0)
    has_scans = bool(desk.cases or desk.progress or st.session_state.get(_IS_NEW))
    with st.expander("Add scans", icon=":material/upload:", expanded=not has_scans):
        uploads = st.file_uploader(
            "Scans",
            accept_multiple_files=True,
            key=f"uploads-{count}",
            help="DICOM studies (files, a folder, or a CD's), volumes (.nii, .nii.gz, .mgz), pictures (PNG, JPEG, BMP, "
            f"GIF, TIFF, WebP), or a ZIP of any: {configured.max_upload_mb} MB a file, {configured.max_session_mb} MB "
            "at a time. Remove names from pictures before you upload them.",
        )
        is_sample = st.button("No scan at hand? Try a synthetic sample", key="sample")
    if uploads or is_sample:
        files = [(upload.name, upload.getvalue()) for upload in uploads]
        sample = [("Synthetic sample scan", answers.phantom_png())] if is_sample else []
        with st.spinner("Storing …"):
            st.session_state[_INTAKE] = desk.take([*files, *sample])
        st.session_state[_INTAKES], st.session_state[_IS_NEW] = count + 1, True
        server.release(upload.file_id for upload in uploads)
        st.rerun()


def _say_what_came() -> None:
    intake = st.session_state.get(_INTAKE, Intake())
    if intake.known and st.session_state.get(_IS_NEW):
        st.toast(f"{intake.known} of the files were on the desk already.")
    for refused in intake.refused:
        st.error(f"**{plain(refused.source)}**: {refused.reason} {refused.hint}", icon=":material/broken_image:")


def _show_room(desk: Desk) -> None:
    case = opened_case(desk)
    answer = desk.answer(case.key) if case else None
    with st.container(key="room"):
        worklist, picture, said = st.columns([4, 6, 4], gap="small")
    with worklist:
        show_worklist(desk)
    if case is None:
        picture.caption("The first answer appears here.")
    elif answer is not None:
        with picture.container(key=f"card-{answer.key}"):
            show_scan(answer, on_step=open_beside)
        with said:
            show_answer(answer)
            show_report_downloads(answer)
    else:
        with picture:
            _show_failure(case)
    if case is not None and case.series is not None:
        _show_study(desk, case.series.study_number)


def _show_failure(case: Case) -> None:
    st.header(plain(case.name), anchor=False)
    if case.error is None:
        st.caption("This scan waits for its answer.")
    else:
        st.error(
            f"**{plain(case.error.source)}**: {case.error.reason} {case.error.hint}", icon=":material/broken_image:"
        )


def _show_study(desk: Desk, number: int) -> None:
    outcomes = [case.outcome for case in desk.cases if case.series and case.series.study_number == number]
    show_studies([outcome for outcome in outcomes if outcome], is_whole=desk.progress is None)
    if desk.progress is None:
        show_study_report(outcomes)


main()
