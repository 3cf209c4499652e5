"""How losses and scores went by epoch."""

import pandas as pd
import streamlit as st

from braintumor.dashboard import charts
from braintumor.dashboard.metric_sections import elements


def show(history: pd.DataFrame) -> None:
    """Show the curves of a training history, one row an epoch."""
    st.header("How did it learn?", divider="gray")
    for column, quantity in zip(st.columns(2), ("accuracy", "loss"), strict=True):
        with column:
            elements.chart(charts.learning_curves(history, quantity), f"history-{quantity}")
    st.caption(
        "Both lines should settle. A training line that keeps improving while the validation line does not means that "
        "the model learns its scans by heart."
    )
    if "val_dice" in history and history["val_dice"].notna().any():
        elements.chart(charts.learning_curves(history, "dice"), "history-dice")
        st.caption(
            "How well the map, cut at a probability of one half, agrees with the outlines of validation pictures."
        )
