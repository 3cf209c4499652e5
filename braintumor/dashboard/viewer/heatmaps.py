"""Heatmaps of a scan: the Grad-CAM at hand, and those that are computed on demand."""

from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from braintumor.bundles import HeatmapFigures, read_heatmap_figures
from braintumor.dashboard.answers import Answer, predictor
from braintumor.dashboard.viewer.drawing import on_picture
from braintumor.dashboard.viewer.kept import once
from braintumor.explanation import ExplanationError, explain_apart
from braintumor.inference import Prediction

MAPS = "_heatmaps"
_Slot = tuple[str, str, str]


def heatmap(answer: Answer, name: str, method: str) -> tuple[NDArray[np.float32] | None, str]:
    """Give the map asked for over the view, else the Grad-CAM at hand and a warning; None where there is neither.

    With it comes the method that it is of.
    """
    prediction = answer.prediction
    at_hand = prediction.explains(name)
    square = None if method == "gradcam" and at_hand else _computed_map(prediction, name, method)
    if isinstance(square, str):
        st.warning(square)
        # What keeps a map from being made may pass, as when others keep the one process busy.
        st.button("Try again", key=f"again-{answer.key}", on_click=_forget, args=(_slot(prediction, name, method),))
    if isinstance(square, np.ndarray):
        return on_picture(square, answer, prediction.slice_number), method
    if not at_hand:
        return None, method
    return on_picture(prediction.class_map(name), answer, prediction.slice_number), "gradcam"


@st.cache_data(ttl="10min", show_spinner=False)
def heatmap_figures(folder: Path) -> HeatmapFigures | None:
    """Read what was measured of the heatmaps of a bundle, see ``read_heatmap_figures``."""
    return read_heatmap_figures(folder)


def _computed_map(prediction: Prediction, name: str, method: str) -> NDArray[np.float32] | str:
    """Give a map over the prepared square, or the sentence why there is none; either is computed once a session."""

    def compute() -> NDArray[np.float32] | str:
        bar = st.progress(0.0, text="Waiting for a free place …")
        try:
            return explain_apart(
                predictor().bundle,
                prediction.prepared.image,
                name,
                method,
                lambda share, doing: bar.progress(share, text=f"{doing} …"),
            )
        except ExplanationError as error:
            return str(error)
        finally:
            bar.empty()

    return once(MAPS, _slot(prediction, name, method), compute)


def _slot(prediction: Prediction, name: str, method: str) -> _Slot:
    return prediction.sha256, name, method


def _forget(slot: _Slot) -> None:
    st.session_state[MAPS].pop(slot, None)
