"""A scan as it is looked at: its picture, the control of its slice, and its overlays."""

import streamlit as st

from braintumor.dashboard import gate
from braintumor.dashboard.answers import Answer
from braintumor.dashboard.viewer.plain_view import show_pictures


@st.fragment
def show_scan(answer: Answer) -> None:
    """Show the picture of a scan with its overlays; a click on one of its controls runs nothing else anew."""
    gate.current()
    finding = answer.prediction.finding
    if finding is None:
        # Numbers, an outline and a heatmap would pass for an answer.
        st.image(answer.picture, caption="Not assessed", width=320, alt="The picture as it was uploaded")
        return
    show_pictures(answer, finding)
