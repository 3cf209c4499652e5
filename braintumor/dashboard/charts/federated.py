"""Charts of rounds of federated training."""

from html import escape

import pandas as pd
import plotly.graph_objects as go

from braintumor.dashboard.charts.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, finish

_COLORS = (ORANGE, SKY, GREEN, VERMILION, PURPLE)
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")


def round_curves(table: pd.DataFrame, title: str, everyone: str) -> go.Figure:
    """Draw a figure by round: ``table`` has round, who and value, one line for each who, that of ``everyone`` bold."""
    figure = go.Figure()
    others = [name for name in table["who"].unique() if name != everyone]
    for name in [everyone, *others]:
        own = table[table["who"] == name]
        number = 0 if name == everyone else 1 + others.index(name)
        figure.add_scatter(
            x=own["round"],
            y=own["value"],
            # Plotly reads names as HTML.
            name=escape(name),
            mode="lines+markers",
            line={
                "color": BLUE if name == everyone else _COLORS[number % len(_COLORS)],
                "width": 3.5 if name == everyone else 1.5,
                "dash": "solid" if name == everyone else "dash",
            },
            marker={"symbol": _SYMBOLS[number % len(_SYMBOLS)], "size": 8},
            hovertemplate=f"{escape(name)}, round %{{x}}: %{{y:.3f}}<extra></extra>",
        )
    whole = table[table["who"] == everyone]["value"]
    said = f"from {whole.iloc[0]:.3f} to {whole.iloc[-1]:.3f}" if len(whole) else "not measured"
    alt = f"{title} by round, of {len(others)} sites and of all of them, which goes {said}"
    return finish(figure, title, "Round", title, alt)
