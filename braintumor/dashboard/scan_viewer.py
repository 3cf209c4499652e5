"""One scan's answer on a page: words, bars, and the picture beside its heatmap."""

from functools import cache
from typing import Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import get_colorscale, sample_colorscale, unlabel_rgb

from braintumor.dashboard import charts, gate
from braintumor.dashboard.answers import Answer, predictor
from braintumor.dashboard.escaping import plain
from braintumor.explanation import METHODS, ExplanationError, explain_apart
from braintumor.inference import Prediction
from braintumor.reports import DECISION_WORDS, stated
from braintumor.scans import place_on_scan
from braintumor.taxonomy import FINDINGS, TITLES

_Slot = tuple[str, str, str]

_MAPS = "_heatmaps"
_MOST_MAPS = 32
_BADGES: dict[str, tuple[str, Literal["orange", "blue", "violet"]]] = {
    "tumor": (":material/error:", "orange"),
    "no_tumor": (":material/check_circle:", "blue"),
    "refer": (":material/person_search:", "violet"),
}
"""Icon and color of each decision."""


@st.fragment
def show_answer(answer: Answer) -> None:
    """Show one answer as a card; moving its slider or switching its method runs this card alone."""
    gate.current()
    prediction = answer.prediction
    with st.container(border=True, key=f"card-{answer.key}"):
        st.subheader(plain(prediction.source), anchor=False)
        if answer.synthetic:
            st.caption("Synthetic: drawn by this app, no patient and no real scan.")
        words, pictures = st.columns([2, 3], gap="medium")
        with words:
            _show_words(prediction)
        if prediction.finding is None:
            # Numbers and a heatmap would pass for an answer.
            pictures.image(answer.picture, caption="Not assessed", width=320, alt="The picture as it was uploaded")
            return
        with words:
            figure = charts.probability_bars(prediction.probabilities)
            st.plotly_chart(
                figure, key=f"bars-{answer.key}", config={"displayModeBar": False}, alt=charts.alt_text(figure)
            )
        with pictures:
            _show_pictures(answer, prediction.finding)


def answer_sentence(prediction: Prediction) -> str:
    """Say a prediction in one plain sentence."""
    if prediction.finding is None:
        return "No answer is given for this picture."
    title = FINDINGS[prediction.finding].title.lower()
    if prediction.decision == "refer":
        best = "no tumor" if prediction.finding == "notumor" else title
        return f"The model leans towards {best}, but not surely enough to answer."
    if prediction.decision == "no_tumor":
        return "The model sees no tumor on this slice."
    return f"The model sees a tumor, most likely a {title}."


def overlay(picture: NDArray[np.uint8], heat: NDArray[np.float32], opacity: float) -> NDArray[np.uint8]:
    """Lay a heatmap (height, width, from 0 to 1) over a gray picture (height, width): uint8 (height, width, 3)."""
    colors = _palette()[np.rint(heat * 255).astype(np.uint8)]
    share = (opacity * np.clip(heat * 1.5, 0, 1))[..., np.newaxis]
    gray = picture[..., np.newaxis].astype(np.float32)
    return np.asarray(np.rint(gray * (1 - share) + colors * share), dtype=np.uint8)


def _show_words(prediction: Prediction) -> None:
    icon, color = _BADGES[prediction.decision]
    st.badge(DECISION_WORDS[prediction.decision], icon=icon, color=color)
    st.markdown(f"**{answer_sentence(prediction)}**")
    if prediction.reasons:
        st.markdown("\n".join(f"- {plain(reason)}" for reason in prediction.reasons))
    if prediction.finding and prediction.decision != "refer":
        st.metric(
            f"Calibrated confidence: {TITLES[prediction.finding].lower()}",
            stated(prediction.confidence),
            help="Of answers given with this confidence, about this share was right on held-out scans.",
        )
    took = f"Answered in {prediction.seconds * 1000:.0f} ms by {prediction.bundle}."
    st.caption(took + " Decision support for research, never a diagnosis.")


def _show_pictures(answer: Answer, finding: str) -> None:
    method = st.segmented_control(
        "Heatmap method",
        list(METHODS),
        default="gradcam",
        required=True,
        wrap=True,
        format_func=METHODS.__getitem__,
        key=f"method-{answer.key}",
        help="Grad-CAM is at hand at once; the others take some seconds.",
    )
    opacity = st.slider("Heatmap opacity", 0, 100, 60, 5, format="%d%%", key=f"opacity-{answer.key}")
    heat = _heatmap(answer, finding, method or "gradcam")
    left, right = st.columns(2)
    left.image(answer.picture, caption="Scan", width="stretch", alt="The scan as it was uploaded")
    shown = overlay(answer.picture, heat, opacity / 100)
    looked_for = FINDINGS[finding].title.lower()
    right.image(
        shown,
        caption=f"Where the network looked to score “{looked_for}”: dark little, bright much. It is no tumor outline.",
        width="stretch",
        alt=f"Heatmap over the scan for the class {looked_for}",
    )


def _heatmap(answer: Answer, name: str, method: str) -> NDArray[np.float32]:
    prediction = answer.prediction
    square = None if method == "gradcam" else _computed_map(prediction, name, method)
    if isinstance(square, str):
        st.warning(square)
        # What keeps a map from being made may pass, as when others keep the one process busy.
        st.button("Try again", key=f"again-{answer.key}", on_click=_forget, args=(_slot(prediction, name, method),))
    return _on_picture(square if isinstance(square, np.ndarray) else prediction.class_map(name), answer)


def _computed_map(prediction: Prediction, name: str, method: str) -> NDArray[np.float32] | str:
    """Give a map over the prepared square, or the sentence why there is none; either is computed once a session."""
    kept: dict[_Slot, NDArray[np.float32] | str] = st.session_state.setdefault(_MAPS, {})
    slot = _slot(prediction, name, method)
    if slot not in kept:
        bar = st.progress(0.0, text="Waiting for a free place …")
        try:
            kept[slot] = explain_apart(
                predictor().bundle,
                prediction.prepared.image,
                name,
                method,
                lambda share, doing: bar.progress(share, text=f"{doing} …"),
            )
        except ExplanationError as error:
            kept[slot] = str(error)
        finally:
            bar.empty()
        while len(kept) > _MOST_MAPS:
            del kept[next(iter(kept))]
    return kept[slot]


def _slot(prediction: Prediction, name: str, method: str) -> _Slot:
    return prediction.sha256, name, method


def _forget(slot: _Slot) -> None:
    st.session_state[_MAPS].pop(slot, None)


def _on_picture(square: NDArray[np.float32], answer: Answer) -> NDArray[np.float32]:
    height, width = answer.picture.shape
    full = place_on_scan(square, answer.prediction.prepared, answer.prediction.shape)
    resized = Image.fromarray(full).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(resized, dtype=np.float32), 0, 1)


@cache
def _palette() -> NDArray[np.float32]:
    colors = sample_colorscale(get_colorscale("Inferno"), [level / 255 for level in range(256)])
    return np.array([unlabel_rgb(color) for color in colors], dtype=np.float32)
