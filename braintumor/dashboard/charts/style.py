"""The one look of every chart: colors, marks, frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from braintumor.taxonomy import ANY_TUMOR, NO_TUMOR, TITLES

Floats = npt.NDArray[np.float64]

Bools = npt.NDArray[np.bool_]

ORANGE, SKY, GREEN, BLUE = "#E69F00", "#56B4E9", "#009E73", "#0072B2"

VERMILION, PURPLE = "#D55E00", "#CC79A7"

GRAY = "#8A8A8A"
"""Stands in for the black of the palette, which a dark page would swallow."""

CLASS_COLORS: Mapping[str, str] = {
    "glioma": VERMILION,
    "meningioma": BLUE,
    "pituitary": PURPLE,
    NO_TUMOR: GREEN,
    ANY_TUMOR: ORANGE,
}
"""One color for each label on every page. Source of the palette: Okabe and Ito, Color Universal Design, 2008."""

CLASS_DASHES: Mapping[str, str] = {
    "glioma": "solid",
    "meningioma": "dash",
    "pituitary": "dot",
    NO_TUMOR: "dashdot",
    ANY_TUMOR: "solid",
}
"""Second mark beside the color, for print and for eyes that see few colors."""

CLASS_SYMBOLS: Mapping[str, str] = {
    "glioma": "circle",
    "meningioma": "square",
    "pituitary": "diamond",
    NO_TUMOR: "triangle-up",
    ANY_TUMOR: "cross",
}
"""The second mark of a dot."""

CURVE_TITLES: Mapping[str, str] = {**TITLES, ANY_TUMOR: "Tumor or not"}
"""Title of each curve: a class against the rest, or any tumor against none."""

CARD_PIXELS = 165
"""Width of a card with one figure; two of them fit side by side on a phone."""

CLEAR = "rgba(0,0,0,0)"

_GRID = "rgba(138,138,138,0.25)"


def alt_text(figure: go.Figure) -> str:
    """Say in one sentence what a figure of this module shows, for readers who do not see it."""
    meta: Any = figure.layout.meta
    return str(meta["alt"]) if meta else ""


def titles_above(figure: go.Figure, titles: Sequence[str]) -> None:
    """Number rows from the top down, each with its title above it: beside it, a phone would have no room left."""
    notes = [
        {
            "text": title,
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": place - 0.46,
            "yref": "y",
            "showarrow": False,
            "font": {"size": 12},
        }
        for place, title in enumerate(titles)
    ]
    figure.update_yaxes(range=[len(titles) - 0.6, -0.9], showticklabels=False, showgrid=False, zeroline=False)
    figure.update_layout(annotations=notes)


def add_curve(figure: go.Figure, name: str, note: str, x: Floats, y: Floats, hover: str) -> None:
    """Draw a class's curve in its color and dash."""
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=f"{CURVE_TITLES[name]} ({note})" if note else CURVE_TITLES[name],
        line={
            "color": CLASS_COLORS[name],
            "dash": CLASS_DASHES[name],
            "width": 4 if name == ANY_TUMOR else 2.5,
        },
        hovertemplate=f"{CURVE_TITLES[name]}: {hover}<extra></extra>",
    )


def add_diagonal(figure: go.Figure, name: str) -> None:
    """Draw the dotted line on which both axes say the same."""
    line = {"color": GRAY, "width": 1.5, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name=name, line=line, hoverinfo="skip")


def unit_square(figure: go.Figure) -> go.Figure:
    """Let both axes run from 0 to 1."""
    return figure.update_xaxes(range=[-0.02, 1.02]).update_yaxes(range=[-0.02, 1.03])


def finish(figure: go.Figure, title: str, x: str, y: str, alt: str) -> go.Figure:
    """Give a figure its title, axes and place in a light or dark page, and the words for those who do not see it."""
    axis = {"showgrid": True, "gridcolor": _GRID, "zeroline": False, "automargin": True, "fixedrange": True}
    return figure.update_layout(
        title={"text": title, "font": {"size": 17}, "x": 0, "xanchor": "left"},
        xaxis={**axis, "title": {"text": x}},
        yaxis={**axis, "title": {"text": y}},
        legend={"orientation": "h", "x": 0, "y": -0.22, "xanchor": "left", "yanchor": "top"},
        height=440,
        margin={"l": 8, "r": 12, "t": 64, "b": 8},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        # A drag on a phone is meant to scroll the page.
        dragmode=False,
        meta={"alt": alt},
    )
