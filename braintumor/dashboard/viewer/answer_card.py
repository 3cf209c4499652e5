"""The answer of one scan as a card: its decision, its bars, and what its outline measures."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st

from braintumor.dashboard import charts, gate
from braintumor.dashboard.answers import Answer, bundle_of, limits
from braintumor.dashboard.plain_text import plain
from braintumor.dashboard.viewer.words import (
    answer_sentence,
    caution_words,
    elsewhere_words,
    error_words,
    level_words,
    measured_words,
)
from braintumor.inference import TRAINED_ON, Prediction
from braintumor.reports import DECISION_WORDS, NOTE_WORDS, mask_file, mask_name, reason_words, stated
from braintumor.segmentation import Measurements
from braintumor.taxonomy import TITLES

if TYPE_CHECKING:
    from braintumor.evaluation import AreaAgreement

BADGES: dict[str, tuple[str, Literal["orange", "blue", "violet"]]] = {
    "tumor": (":material/error:", "orange"),
    "no_tumor": (":material/check_circle:", "blue"),
    "refer": (":material/person_search:", "violet"),
}
"""Icon and color of each decision."""


@st.fragment
def show_answer(answer: Answer) -> None:
    """Show the answer of a scan, its bars, and what its outline measures."""
    gate.current()
    prediction = answer.prediction
    st.header(plain(prediction.source), anchor=False)
    st.caption(level_words(prediction))
    if answer.synthetic:
        st.caption("Synthetic: drawn by this app, no patient and no real scan.")
    _show_words(prediction)
    if prediction.finding is not None and prediction.decision != "refer":
        elsewhere = elsewhere_words(bundle_of(answer).card, is_volume=len(prediction.slices) > 1)
        if elsewhere:
            st.caption(elsewhere)
    if prediction.finding is None:
        # Numbers, an outline and a heatmap would pass for an answer.
        return
    figure = charts.probability_bars(prediction.probabilities)
    st.plotly_chart(figure, key=f"bars-{answer.key}", config={"displayModeBar": False}, alt=charts.alt_text(figure))
    if answer.measurements is not None and answer.measurements.lesions:
        _show_measurements(answer, answer.measurements)


def _show_words(prediction: Prediction) -> None:
    icon, color = BADGES[prediction.decision]
    st.badge(DECISION_WORDS[prediction.decision], icon=icon, color=color)
    st.markdown(f"**{answer_sentence(prediction)}** {caution_words(prediction)}".strip())
    if prediction.trained_on:
        st.warning(NOTE_WORDS[TRAINED_ON])
    if prediction.reasons:
        st.markdown(
            "\n".join(f"- {plain(reason)}" for reason in reason_words(prediction.reasons, prediction.probabilities))
        )
    if prediction.finding and prediction.decision != "refer":
        st.metric(
            f"Calibrated confidence: {TITLES[prediction.finding].lower()}",
            stated(prediction.confidence),
            help="Of answers given with this confidence, about this share was right on held-out scans.",
        )
    took = f"Answered in {prediction.seconds * 1000:.0f} ms by {prediction.bundle}."
    st.caption(took + " Decision support for research, never a diagnosis.")


def _show_measurements(answer: Answer, measured: Measurements) -> None:
    prediction = answer.prediction
    agreement = _area_agreement(bundle_of(answer).folder)
    st.markdown(measured_words(measured, len(prediction.slices), agreement))
    st.caption(error_words(agreement))
    st.download_button(
        f"Download mask ({'PNG' if len(prediction.slices) == 1 else 'NIfTI'})",
        # Only who asks for the mask waits for it.
        partial(mask_file, prediction),
        mask_name(prediction),
        key=f"mask-{answer.key}",
        icon=":material/download:",
        on_click="ignore",
    )
    if answer.unit and answer.unit.unreferable and measured.lesions:
        st.caption(f"No DICOM SEG of this mask. {answer.unit.unreferable}")
    elif answer.unit and answer.unit.sources and measured.lesions:
        st.download_button(
            "Download mask (DICOM SEG)",
            partial(_segmentation, answer),
            f"{prediction.sha256[:12]}-mask.dcm",
            "application/dicom",
            key=f"segmentation-{answer.key}",
            icon=":material/download:",
            on_click="ignore",
            help="For the archive that holds the study: it carries the patient's name as the study does.",
        )


@st.cache_data(ttl="10min", show_spinner=False)
def _area_agreement(folder: Path) -> "AreaAgreement | None":
    """Compare areas with readers' on the test images of a bundle; None where it holds no such table."""
    # It brings libraries that only measuring needs, which the first answer need not wait for.
    from braintumor.evaluation import area_agreement_of

    try:
        return area_agreement_of(folder)
    except (OSError, ValueError, KeyError):
        return None


def _segmentation(answer: Answer) -> bytes:
    # Loading highdicom takes a second, and few ask for it.
    from braintumor.reports.dicom_segmentation import segmentation_file

    assert answer.unit is not None
    assert answer.unit.sources is not None
    return segmentation_file(answer.prediction, answer.unit.sources(limits()))
