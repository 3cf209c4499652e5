"""The chart of one answer."""

from collections.abc import Mapping

import plotly.graph_objects as go

from braintumor.dashboard.charts.style import CLASS_COLORS, finish
from braintumor.reports import stated
from braintumor.taxonomy import ANY_TUMOR, CLASSES, FINDING_TITLES, TITLES


def probability_bars(probabilities: Mapping[str, float]) -> go.Figure:
    """Draw one bar a class from calibrated probabilities, {label: 0 to 1}, as ``CLASSES``, "tumor" first."""
    names = sorted(probabilities, key=(ANY_TUMOR, *CLASSES).index, reverse=True)
    values = [probabilities[name] for name in names]
    labels = [FINDING_TITLES[name] if name == ANY_TUMOR else TITLES[name] for name in names]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=labels,
            orientation="h",
            marker={"color": [CLASS_COLORS[name] for name in names]},
            text=[stated(value) for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.2%}<extra></extra>",
        )
    )
    pairs = ", ".join(f"{label} {stated(value)}" for label, value in zip(labels[::-1], values[::-1], strict=True))
    finish(figure, "Probability of each class", "", "", f"Calibrated probabilities: {pairs}.")
    figure.update_xaxes(range=[0, 1.3], visible=False)
    figure.update_yaxes(showgrid=False, title=None)
    return figure.update_layout(height=190, margin={"b": 0, "t": 52})
