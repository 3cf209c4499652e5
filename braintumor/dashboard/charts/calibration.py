"""Charts of how far a probability can be believed."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from braintumor.dashboard.charts.style import BLUE, GRAY, SKY, VERMILION, add_diagonal, finish, unit_square

_RIGHT = ("Share right", "right")


def reliability_diagram(table: pd.DataFrame, error: float | None, of_tumor: bool = False) -> go.Figure:
    """Draw how often the model was right against how sure it was, or how often there was a tumor against P(tumor).

    ``table`` is what ``braintumor.evaluation.reliability`` gives; ``error`` the expected calibration error in [0, 1].
    """
    used = table[table["count"] > 0]
    figure = go.Figure()
    x, y, word = ("Stated P(tumor)", "Share with a tumor", "tumor") if of_tumor else ("Stated confidence", *_RIGHT)
    _add_reliability(figure, used, y, f"Stated %{{customdata[0]:.3f}}, {word} %{{y:.3f}}", "images")
    said = "not defined" if error is None else f"{error:.3f}"
    alt = f"Reliability diagram over {int(used['count'].sum())} images; expected calibration error {said}"
    title = "Reliability of P(tumor)" if of_tumor else "Reliability"
    finish(figure, f"{title} (ECE {said})", x, y, alt)
    return unit_square(figure)


def map_reliability_diagram(table: pd.DataFrame, error: float) -> go.Figure:
    """Draw how many cells of tumor maps are tumor against what the map said, and below how many there are, by log.

    ``table`` and ``error``, in [0, 1] or NaN, are what ``braintumor.evaluation.map_calibration`` gives.
    """
    used = table[table["count"] > 0]
    figure = go.Figure()
    _add_reliability(figure, used, "Share that is tumor", "Stated %{customdata[0]:.3f}, tumor %{y:.3f}", "cells")
    figure.add_bar(
        x=(used["low"] + used["high"]) / 2,
        y=used["count"],
        width=_bar_width(used),
        yaxis="y2",
        name="Cells",
        showlegend=False,
        marker={"color": GRAY},
        hovertemplate="%{y:,.0f} cells<extra></extra>",
    )
    said = "not defined" if np.isnan(error) else f"{error:.3f}"
    alt = f"Reliability diagram over {int(used['count'].sum()):,} cells of maps; expected calibration error {said}"
    finish(figure, f"Reliability of the map (ECE {said})", "Stated P(tumor) of a cell", "Share that is tumor", alt)
    unit_square(figure)
    lower = {**figure.layout.yaxis.to_plotly_json(), "title": {"text": "Cells"}, "type": "log", "domain": [0, 0.2]}
    lower |= {"range": None, "dtick": 2, "exponentformat": "SI", "anchor": "x"}
    return figure.update_layout(yaxis={"domain": [0.28, 1]}, yaxis2=lower, xaxis={"anchor": "y2"}, height=500)


def risk_coverage_curve(table: pd.DataFrame, kept: tuple[float, float] | None = None) -> go.Figure:
    """Draw the error among the answers given against the share of scans answered, the surest first.

    ``table`` is what ``braintumor.evaluation.risk_coverage`` gives. ``kept`` (share answered, share of that wrong, both
    in [0, 1]) marks what the model's own referral keeps.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=100 * table["coverage"],
        y=100 * table["risk"],
        mode="lines",
        name="Error",
        line={"color": BLUE, "width": 2.5},
        customdata=table["confidence"],
        hovertemplate="%{x:.0f}% answered, %{y:.1f}% wrong (confidence from %{customdata:.3f})<extra></extra>",
    )
    alt = "Risk–coverage curve without any answer"
    if len(table):
        alt = f"Risk–coverage curve; with every scan answered {100 * table['risk'].iloc[-1]:.1f}% are wrong"
    if kept is not None:
        share, wrong = (100 * value for value in kept)
        figure.add_scatter(
            x=[share],
            y=[wrong],
            mode="markers",
            name="The model's own referral",
            marker={"color": VERMILION, "size": 14, "symbol": "diamond", "line": {"color": "white", "width": 2}},
            hovertemplate="%{x:.1f}% answered, %{y:.1f}% wrong<extra></extra>",
        )
        alt += f"; the model's own referral keeps {share:.1f}%, of which {wrong:.1f}% are wrong"
    finish(figure, "Risk and coverage", "Scans answered (%)", "Wrong among the answered (%)", alt)
    figure.update_xaxes(range=[0, 101])
    return figure.update_yaxes(rangemode="tozero").update_layout(showlegend=kept is not None)


def _add_reliability(figure: go.Figure, used: pd.DataFrame, happened: str, hover: str, unit: str) -> None:
    figure.add_bar(
        x=(used["low"] + used["high"]) / 2,
        y=used["accuracy"],
        width=_bar_width(used),
        name=happened,
        marker={"color": SKY, "line": {"color": BLUE, "width": 1}},
        customdata=used[["confidence", "count"]],
        hovertemplate=f"{hover}, %{{customdata[1]:,.0f}} {unit}<extra></extra>",
    )
    figure.add_scatter(
        x=used["confidence"],
        y=used["accuracy"],
        mode="markers",
        name="Mean confidence of the bin",
        marker={"color": VERMILION, "size": 8, "symbol": "diamond"},
        hoverinfo="skip",
    )
    add_diagonal(figure, "Perfectly calibrated")


def _bar_width(used: pd.DataFrame) -> pd.Series:
    return (used["high"] - used["low"]) * 0.92
