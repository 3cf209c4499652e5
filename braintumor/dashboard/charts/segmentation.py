"""Charts of how well outlines fit."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from braintumor.dashboard.charts.style import (
    CLASS_COLORS,
    CLASS_DASHES,
    CLASS_SYMBOLS,
    CLEAR,
    GRAY,
    finish,
    titles_above,
)
from braintumor.datasets.catalogue import short_name
from braintumor.taxonomy import LABELS, TITLES

_SIZE_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)

MOST_DOTS = 300
"""Pictures up to which a box shows each as a dot."""

_FEWEST_FOR_A_LINE = 20
"""Images from which on medians by tumor size say something."""


def overlap_boxes(rows: pd.DataFrame, quantity: str) -> go.Figure:
    """Draw ``quantity`` ("dice" or "iou") of each outlined image as a dot over its class's box, a row a class and set.

    ``rows`` has dataset, label and the quantity in [0, 1].
    """
    name = {"dice": "Dice", "iou": "IoU"}[quantity]
    figure = go.Figure()
    titles, said = [], []
    for place, (title, label, some) in enumerate(_by_class_and_source(rows)):
        figure.add_box(
            x=some[quantity],
            y=np.full(len(some), place),
            orientation="h",
            name=title,
            width=0.26,
            boxpoints="all",
            # Beside the box, not over it, where a heap of misses at 0 would hide its whisker.
            pointpos=-1.75,
            jitter=0.9,
            marker={"color": CLASS_COLORS[label], "symbol": CLASS_SYMBOLS[label], "size": 4, "opacity": 0.6},
            line={"color": CLASS_COLORS[label], "width": 2},
            fillcolor=CLEAR,
            hoveron="points",
            hovertemplate=f"{title}: {name} %{{x:.3f}}<extra></extra>",
        )
        titles.append(f"{title} ({len(some):,})")
        said.append(f"{title} {some[quantity].median():.3f}")
    alt = f"{name} of each image as dots with a box, by class and source; median: {', '.join(said) or 'no image'}"
    finish(figure, f"{name} by class and source", f"{name} (1 is best)", "", alt)
    titles_above(figure, titles)
    figure.update_xaxes(range=[-0.03, 1.03])
    return figure.update_layout(height=max(440, 110 + 95 * len(titles)), showlegend=False)


def overlap_by_size(rows: pd.DataFrame) -> go.Figure:
    """Draw Dice of each outlined image against the size of its tumor, with a line through medians of like-sized ones.

    ``rows`` has dataset, label, dice and tumor_share, both in [0, 1].
    """
    figure = go.Figure()
    for title, label, some in _by_class_and_source(rows):
        figure.add_scatter(
            x=100 * some["tumor_share"],
            y=some["dice"],
            mode="markers",
            name=title,
            marker={"color": CLASS_COLORS[label], "symbol": CLASS_SYMBOLS[label], "size": 6, "opacity": 0.7},
            hovertemplate=f"{title}: %{{x:.2f}}% of the picture, Dice %{{y:.3f}}<extra></extra>",
        )
    alt = f"Dice against the size of the tumor for {len(rows)} images"
    medians = _medians_by_size(rows)
    if len(medians):
        figure.add_scatter(
            x=100 * medians["tumor_share"],
            y=medians["dice"],
            mode="lines+markers",
            name="Median of tumors of like size",
            line={"color": GRAY, "width": 4},
            marker={"size": 9, "line": {"color": "white", "width": 1.5}},
            hovertemplate="About %{x:.2f}% of the picture: median Dice %{y:.3f}<extra></extra>",
        )
        first, last = medians.iloc[0], medians.iloc[-1]
        alt += (
            f"; the median is {first['dice']:.3f} at {first['tumor_share']:.2%} of the picture and {last['dice']:.3f} "
            f"at {last['tumor_share']:.2%}"
        )
    finish(figure, "Dice by size of the tumor", "Tumor (% of the picture, log scale)", "Dice (1 is best)", alt)
    figure.update_xaxes(type="log", tickvals=_SIZE_TICKS, ticktext=[f"{tick:g}" for tick in _SIZE_TICKS])
    return figure.update_yaxes(range=[-0.03, 1.03])


def distance_curves(rows: pd.DataFrame) -> go.Figure:
    """Draw the share of outlined images whose outline lies within a distance of the true one, by class and source.

    ``rows`` has dataset, label and hausdorff95_percent (NaN where nothing was outlined: such an image never counts as
    within a distance, so its curve ends lower).
    """
    figure = go.Figure()
    said = []
    farthest = rows["hausdorff95_percent"].max()
    for title, label, some in _by_class_and_source(rows):
        apart = np.sort(some["hausdorff95_percent"].dropna().to_numpy(dtype=np.float64))
        within = 100 * np.arange(1, len(apart) + 1) / len(some)
        figure.add_scatter(
            # Every line goes on to the right edge, so that each shows where it stays.
            x=np.concatenate([[0], apart, [farthest]]),
            y=np.concatenate([[0], within, within[-1:] if len(within) else [0]]),
            mode="lines",
            name=title,
            line={"color": CLASS_COLORS[label], "dash": CLASS_DASHES[label], "width": 2.5, "shape": "hv"},
            hovertemplate=f"{title}: %{{y:.0f}}% within %{{x:.1f}}%<extra></extra>",
        )
        median = f"{np.median(apart):.1f}%" if len(apart) else "not defined"
        said.append(f"{title} median {median}, {len(some) - len(apart)} of {len(some)} without an outline")
    alt = f"How far outlines lie from the true ones, in percent of the picture's side: {'; '.join(said) or 'no image'}"
    x, y = "Hausdorff 95 (% of the picture's side)", "Images within that distance (%)"
    finish(figure, "Distance between the outlines", x, y, alt)
    return figure.update_yaxes(range=[-2, 102])


def _by_class_and_source(rows: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Part outlined images by label and dataset: title, label and rows, in the order of the labels."""
    parts = [
        (f"{TITLES[str(label)]}, {short_name(str(dataset))}", str(label), some)
        for (label, dataset), some in rows.groupby(["label", "dataset"])
    ]
    return sorted(parts, key=lambda part: LABELS.index(part[1]))


def _medians_by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the median dice and tumor_share of up to six parts of like size, each with as many images."""
    if len(rows) < _FEWEST_FOR_A_LINE:
        return rows[["tumor_share", "dice"]].head(0)
    part = pd.qcut(rows["tumor_share"], min(6, len(rows) // 10), labels=False, duplicates="drop")
    return rows.groupby(part)[["tumor_share", "dice"]].median()
