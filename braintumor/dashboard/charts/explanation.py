"""Charts of heatmaps and of what the model does not know."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from braintumor.dashboard.charts.segmentation import MOST_DOTS
from braintumor.dashboard.charts.style import (
    BLUE,
    CLEAR,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    finish,
    titles_above,
)

_ERASING: Mapping[str, tuple[str, str]] = {
    "deletion": ("Deletion", "taken away"),
    "insertion": ("Insertion", "brought back"),
}


def distance_boxes(distances: Mapping[str, npt.ArrayLike], limit: float | None) -> go.Figure:
    """Draw how far kinds of pictures lie from the training scans, a row a kind with a box and its dots.

    ``distances`` maps a title to its pictures' distances (n,), above 0; one that is not finite is left out. Beyond
    ``limit`` a picture is referred.
    """
    figure = go.Figure()
    titles, said = [], []
    for place, (title, values) in enumerate(distances.items()):
        known = np.asarray(values, dtype=np.float64)
        known = known[np.isfinite(known) & (known > 0)]
        figure.add_box(
            x=known,
            y=np.full(len(known), place),
            orientation="h",
            name=title,
            width=0.3,
            boxpoints="all" if len(known) <= MOST_DOTS else "outliers",
            pointpos=0,
            jitter=0.8,
            marker={"color": BLUE if place == 0 else VERMILION, "size": 4, "opacity": 0.5},
            line={"width": 2},
            fillcolor=CLEAR,
            hoveron="points",
            hovertemplate=f"{title}: %{{x:.2f}}<extra></extra>",
        )
        titles.append(f"{title} ({len(known):,})")
        said += [f"{title} {np.median(known):.2f}"] if len(known) else []
    alt = f"Distance from the training scans by kind of picture; median: {', '.join(said) or 'no picture'}"
    if limit is not None:
        figure.add_vline(x=limit, line={"color": GRAY, "width": 2, "dash": "dash"})
        alt += f"; referred beyond {limit:.2f}, the dashed line"
    finish(figure, "Distance from the training scans", "Distance (1 is usual, log scale)", "", alt)
    titles_above(figure, titles)
    figure.update_xaxes(type="log", dtick="D2")
    return figure.update_layout(height=max(300, 130 + 48 * len(titles)), showlegend=False)


def erasing_curves(share: Sequence[float], curves: Mapping[str, Sequence[float]], kind: str) -> go.Figure:
    """Draw what a network makes of a picture as its hottest pixels are taken away or brought back, a line a method.

    ``share`` is (n,), the share of pixels changed in [0, 1]; ``curves`` maps a title to (n,) mean scores in [0, 1];
    ``kind`` is "deletion" or "insertion". Source: Petsiuk et al., RISE, BMVC 2018.
    """
    title, change = _ERASING[kind]
    colors, dashes = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GRAY), ("solid", "dash", "dot", "dashdot")
    figure = go.Figure()
    said = []
    for number, (name, values) in enumerate(curves.items()):
        figure.add_scatter(
            x=[100 * one for one in share],
            y=list(values),
            mode="lines",
            # A chart reads its labels as HTML, and a template what stands in braces as well.
            name=escape(name),
            line={"color": colors[number % len(colors)], "dash": dashes[number % len(dashes)], "width": 2.5},
            hovertemplate="%{fullData.name}: %{y:.3f} at %{x:.0f}%<extra></extra>",
        )
        if len(values) == len(share) > 1:
            said.append(f"{name} {float(np.trapezoid(values, share)):.3f}")
    alt = f"{title} curves; area under each: {', '.join(said) or 'none can be drawn'}"
    finish(figure, title, f"Hottest pixels {change} (%)", "Mean score of the class", alt)
    # A legend of as many lines as there are methods must not squeeze the curves.
    figure.update_layout(height=400 + 20 * len(curves), legend={"y": -0.3})
    return figure.update_yaxes(range=[-0.02, 1.03])
