"""Heatmaps of a scan: the Grad-CAM at hand, and those that are computed on demand."""

from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from braintumor.accounts import Role
from braintumor.bundles import HeatmapFigures, read_heatmap_figures
from braintumor.dashboard import choices, gate
from braintumor.dashboard.answers import Answer, bundle_of
from braintumor.dashboard.viewer.kept import once
from braintumor.explanation import METHODS, ExplanationError, explain_apart, methods_for
from braintumor.inference import Prediction

MAPS = "_heatmaps"

_CHOOSE = frozenset({Role.RESEARCHER, Role.ADMINISTRATOR})
"""Roles that may have heatmaps computed by other methods: measured, those point at a tumor less often or are slow."""

_Slot = tuple[str, str, str]


def choose_method(answer: Answer, finding: str) -> str | None:
    """Give the method of the heatmap: Grad-CAM where it is at hand, and for researchers the one that they choose."""
    at_hand = answer.prediction.explains(finding)
    if gate.current().role not in _CHOOSE:
        return "gradcam" if at_hand else None
    return choices.segmented_control(
        "Heatmap method",
        methods_for(bundle_of(answer)),
        "gradcam" if at_hand else None,
        required=at_hand,
        wrap=True,
        format_func=METHODS.__getitem__,
        key=f"method-{answer.key}",
        help="Grad-CAM is at hand at once; the others take some seconds." if at_hand else "Each takes some seconds.",
    )


def heatmap(answer: Answer, name: str, method: str) -> tuple[NDArray[np.float32] | None, str]:
    """Give the map asked for, else the Grad-CAM at hand and a warning; None where there is neither.

    It is float32 (size, size) from 0 to 1 over the prepared square of the slice that answers. With it comes the method
    that it is of.
    """
    prediction = answer.prediction
    at_hand = prediction.explains(name)
    square = None if method == "gradcam" and at_hand else _computed_map(answer, name, method)
    if isinstance(square, str):
        st.warning(square)
        # What keeps a map from being made may pass, as when others keep the one process busy.
        st.button("Try again", key=f"again-{answer.key}", on_click=_forget, args=(_slot(prediction, name, method),))
    if isinstance(square, np.ndarray):
        return square, method
    if not at_hand:
        return None, method
    return prediction.class_map(name), "gradcam"


@st.cache_data(ttl="10min", show_spinner=False)
def heatmap_figures(folder: Path) -> HeatmapFigures | None:
    """Read what was measured of the heatmaps of a bundle, see ``read_heatmap_figures``."""
    return read_heatmap_figures(folder)


def _computed_map(answer: Answer, name: str, method: str) -> NDArray[np.float32] | str:
    """Give a map over the prepared square, or the sentence why there is none; either is computed once a session."""
    prediction = answer.prediction

    def compute() -> NDArray[np.float32] | str:
        bar = st.progress(0.0, text="Waiting for a free place …")
        try:
            return explain_apart(
                bundle_of(answer),
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
