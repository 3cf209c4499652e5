import numpy as np
import pytest
import streamlit as st

from braintumor.dashboard.viewer import heatmaps
from braintumor.dashboard.viewer.heatmaps import MAPS, heatmap
from braintumor.explanation import ExplanationError
from tests.dashboard.viewer.made_answers import made_answer


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})


@pytest.fixture
def asked(session, monkeypatch):
    """Heatmaps computed on demand, in order, each half bright; saliency fails."""
    made = []

    def explain(bundle, image, class_name, method, on_progress):
        made.append((class_name, method))
        if method == "saliency":
            raise ExplanationError("Saliency gives no map.")
        return np.full((192, 192), 0.5, np.float32)

    monkeypatch.setattr(heatmaps, "explain_apart", explain)
    monkeypatch.setattr(heatmaps, "bundle_of", lambda answer: None)
    return made


@pytest.fixture
def warned(monkeypatch):
    said = []
    monkeypatch.setattr(st, "warning", said.append)
    return said


def test_a_map_is_computed_once_for_each_scan_class_and_method(asked):
    for _ in range(3):
        heatmap(made_answer(), "glioma", "scorecam")
        heatmap(made_answer(), "meningioma", "scorecam")
        heatmap(made_answer(), "glioma", "gradcam")
    assert asked == [("glioma", "scorecam"), ("meningioma", "scorecam")]


def test_a_failed_map_is_not_tried_again_until_asked_for(asked, warned, monkeypatch):
    buttons = []
    monkeypatch.setattr(st, "button", lambda label, **options: buttons.append(options))
    for _ in range(3):
        heat, method = heatmap(made_answer(), "glioma", "saliency")
    assert (heat.max(), method) == (1, "gradcam"), "Grad-CAM stands in"
    assert asked == [("glioma", "saliency")]
    assert warned == ["Saliency gives no map."] * 3
    buttons[-1]["on_click"](*buttons[-1]["args"])
    heatmap(made_answer(), "glioma", "saliency")
    assert len(asked) == 2


def test_the_latest_maps_are_kept_and_no_more(asked):
    for number in range(40):
        heatmap(made_answer(sha256=str(number)), "glioma", "scorecam")
    assert len(st.session_state[MAPS]) == 32
    heatmap(made_answer(sha256="39"), "glioma", "scorecam")
    assert len(asked) == 40
    heatmap(made_answer(sha256="0"), "glioma", "scorecam")
    assert len(asked) == 41
