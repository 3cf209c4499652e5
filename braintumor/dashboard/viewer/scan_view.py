"""A scan as it is looked at: its slices with their overlays in the browser's viewer, or as plain pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
import streamlit.components.v1 as components

from braintumor.dashboard import gate
from braintumor.dashboard.answers import Answer, bundle_of
from braintumor.dashboard.viewer.heatmaps import choose_method, heatmap, heatmap_figures
from braintumor.dashboard.viewer.plain_view import show_pictures
from braintumor.dashboard.viewer.scene import Heatmap, Scene
from braintumor.dashboard.viewer.wishes import read_wish
from braintumor.dashboard.viewer.words import method_words
from braintumor.reports import NOTE_WORDS

HEIGHT = 540
"""Pixels of the viewer: what the page's header and the line below leave of a screen of 800."""

_LAST_STEP = "_last_step"

_component: Any = components.declare_component("viewer", path=Path(__file__).with_name("component"))


@st.fragment
def show_scan(answer: Answer, height: int = HEIGHT, on_step: Callable[[int], object] | None = None) -> None:
    """Show the slices of a scan with their overlays; a click on one of its controls runs nothing else anew.

    One that is not assessed shows no numbers, no outline and no heatmap, since they would pass for an answer.
    ``height`` is that of the viewer in pixels. ``on_step`` is called with 1 or -1 when a key asks for the next case or
    the one before; a page that gives it shows one scan at a time, and its viewer stays from case to case.
    """
    gate.current()
    finding = answer.prediction.finding
    name = answer.key if on_step is None else "one"
    place = st.container()
    is_plain = st.toggle(
        "Plain pictures",
        key=f"plain-{name}",
        help="Pictures with a description each, for screen readers and for browsers that do not show the viewer.",
    )
    with place:
        if is_plain:
            show_pictures(answer, finding)
        else:
            _show_viewer(answer, finding, height, on_step, name)


def _show_viewer(
    answer: Answer, finding: str | None, height: int, on_step: Callable[[int], object] | None, name: str
) -> None:
    place = st.container()
    heat, said = _heatmap(answer, finding)
    if said:
        st.caption(said)
    if answer.prediction.notes:
        st.caption(" ".join(NOTE_WORDS[note] for note in answer.prediction.notes))
    scene = Scene(answer, heat, steps=on_step is not None)
    slot = f"viewer-{name}"
    is_first = scene.has_first and read_wish(st.session_state.get(slot)).whole != scene.key
    with place:
        told = _component(**(scene.first_arguments() if is_first else scene.arguments()), height=height, key=slot)
    wish = read_wish(told)
    # The browser tells its latest wish at every run; each carries the time it was made at.
    if on_step is not None and wish.step and wish.at != st.session_state.get(_LAST_STEP):
        st.session_state[_LAST_STEP] = wish.at
        on_step(wish.step)


def _heatmap(answer: Answer, finding: str | None) -> tuple[Heatmap | None, str]:
    """Give the heatmap of the type and what was measured of its method; None where there is none."""
    if finding is None:
        return None, ""
    method = choose_method(answer, finding)
    if method is None:
        return None, ""
    values, drawn = heatmap(answer, finding, method)
    if values is None:
        return None, ""
    return Heatmap(drawn, values), method_words(drawn, heatmap_figures(bundle_of(answer).folder))
