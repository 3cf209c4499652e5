"""What several sections of the training-metrics page show alike."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from braintumor.dashboard import charts


def chart(figure: go.Figure, key: str) -> None:
    """Show a chart, told in words to those who do not see it; ``key`` is its own on the page."""
    st.plotly_chart(
        figure,
        width="stretch",
        theme="streamlit",
        key=key,
        alt=charts.alt_text(figure),
        config={"displayModeBar": False},
    )


def figure_card(label: str, value: str, below: str, meaning: str) -> None:
    """Show a card with a figure, and below it in small what it may be between."""
    st.metric(
        label,
        value,
        delta=below,
        delta_color="off",
        delta_arrow="off",
        border=True,
        width=charts.CARD_PIXELS,
        help=meaning,
    )


def share_table(table: pd.DataFrame, whole: tuple[str, ...]) -> None:
    """Show a table of shares as percentages, and of the columns in ``whole`` as they are."""
    shown = table.astype(float)
    shares = [name for name in shown.columns if name not in whole]
    shown[shares] *= 100
    formats = dict.fromkeys(shares, "%.1f%%") | dict.fromkeys(whole, "%d")
    config = {name: st.column_config.NumberColumn(name, format=text) for name, text in formats.items()}
    st.dataframe(shown, width="stretch", height="content", column_config=config, placeholder="–")
