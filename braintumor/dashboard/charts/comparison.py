"""Charts that set networks and figures side by side."""

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from braintumor.dashboard.charts.style import BLUE, GRAY, ORANGE, VERMILION, finish, titles_above
from braintumor.reports import in_words


def headline_intervals(
    table: pd.DataFrame, title: str = "Figures", unit: str = "Percent (areas and Dice × 100)"
) -> go.Figure:
    """Draw figures of several splits as dots with 95% intervals.

    ``title`` says which figures they are and ``unit`` stands at their axis. ``table`` has figure, split, value, low and
    high in [0, 1], and is_share, as ``headline_table`` gives it.
    """
    figure = go.Figure()
    titles, splits = _add_interval_dots(figure, table, 100)
    alt = f"{len(titles)} headline figures with 95% intervals for {' and '.join(splits)}"
    return _finish_intervals(figure, f"{title} with 95% intervals", unit, alt, titles)


def network_intervals(table: pd.DataFrame, name: str, is_share: bool) -> go.Figure:
    """Draw one figure of every network as dots with 95% intervals, a line joining what leaks to what does not.

    ``table`` has title, split, value, low and high in [0, 1], up to two splits a network, the leak-free one first;
    ``name`` is what the figure is called. A share is drawn in percent.
    """
    # Plotly reads titles and hover text as HTML, but not what is said to those who do not see the chart.
    rows = table.assign(figure=table["title"].map(escape), is_share=is_share)
    scale = 100 if is_share else 1
    figure = go.Figure()
    for place, (_, pair) in enumerate(rows.groupby("figure", sort=False)):
        values = scale * pair["value"].dropna()
        if len(values) > 1:
            line = {"color": GRAY, "width": 1.5, "dash": "dot"}
            # Joins the dots where they stand, a little above and below the middle of the row.
            ends = [place - 0.11, place + 0.11]
            figure.add_scatter(x=values, y=ends, mode="lines", line=line, showlegend=False, hoverinfo="skip")
    titles, _ = _add_interval_dots(figure, rows, scale)
    known = rows.dropna(subset="value")
    said = [
        f"{title}, {split.lower()} {words}"
        for title, split, words in zip(known["title"], known["split"], _in_words(known), strict=True)
    ]
    alt = f"{name} of {len(titles)} networks with 95% intervals: {'; '.join(said) or 'none is known'}"
    unit = f"{name} (%)" if is_share else name
    return _finish_intervals(figure, f"{name}, with 95% intervals", unit, alt, titles)


def size_bars(table: pd.DataFrame, title: str, unit: str, counted: str) -> go.Figure:
    """Draw how many things have each size: ``table`` has size (in words), number and images.

    ``unit`` says what a size counts, ``counted`` what is counted, both in the plural.
    """
    figure = go.Figure(
        go.Bar(
            x=table["size"],
            y=table["number"],
            marker={"color": BLUE},
            text=[f"{number:,}" for number in table["number"]],
            textposition="outside",
            cliponaxis=False,
            customdata=table["images"],
            hovertemplate=f"%{{x}} {unit}: %{{y:,}} {counted}, %{{customdata:,}} images in all<extra></extra>",
        )
    )
    pairs = ", ".join(f"{row.size} {unit} {row.number:,}" for row in table[["size", "number"]].itertuples(index=False))
    finish(figure, title, unit.capitalize(), counted.capitalize(), f"{title}: {pairs}")
    # Words such as "3" would else be read as numbers.
    return figure.update_xaxes(type="category", showgrid=False)


def copies_matrix(titles: Sequence[str], shares: npt.ArrayLike) -> go.Figure:
    """Draw what share of the images of each part (row) has a copy in each part (column).

    ``titles`` are those of n parts, ``shares`` is (n, n) in [0, 1]. In its own part an image needs another copy.
    Raises ``ValueError`` for shapes that do not fit.
    """
    table = np.asarray(shares, dtype=np.float64)
    if table.shape != (len(titles), len(titles)):
        raise ValueError(f"shares are {table.shape}; they must be {(len(titles), len(titles))}")
    percent = 100 * table
    figure = go.Figure(
        go.Heatmap(
            z=percent,
            x=[escape(title) for title in titles],
            y=[escape(title) for title in titles],
            text=[[f"{value:.0f}" if value >= 0.5 else ("<1" if value else "") for value in row] for row in percent],
            texttemplate="%{text}",
            hovertemplate="%{z:.1f}% of the images of %{y} have a copy in %{x}<extra></extra>",
            colorscale=[[0, "#F2F7FB"], [1, VERMILION]],
            zmin=0,
            zmax=100,
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    apart = [
        f"{100 * table[row, column]:.0f}% of {titles[row]} in {titles[column]}"
        for row, column in zip(*np.nonzero(table), strict=True)
        if row != column
    ]
    alt = f"Share of the images with a copy elsewhere: {', '.join(apart) or 'none'}"
    finish(figure, "Where the copies lie (% of the images of a row)", "Have a copy in", "Images of", alt)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_xaxes(showgrid=False, tickangle=-45).update_layout(height=200 + 40 * len(titles))


def _add_interval_dots(figure: go.Figure, table: pd.DataFrame, scale: float) -> tuple[list[str], list[str]]:
    """Draw a dot with its interval for each row, a line a figure and a color a split; gives the titles of both.

    ``table`` is as for ``headline_intervals``; ``scale`` is what its values are multiplied by.
    """
    looks = ((BLUE, "circle"), (ORANGE, "x"))
    titles = list(dict.fromkeys(table["figure"]))
    splits = list(dict.fromkeys(table["split"]))
    for number, split in enumerate(splits):
        color, symbol = looks[number % len(looks)]
        rows = table[(table["split"] == split) & table["value"].notna()]
        place = np.array([titles.index(title) for title in rows["figure"]], dtype=np.float64)
        figure.add_scatter(
            x=scale * rows["value"],
            # A little above and below the line, so that intervals never cover each other.
            y=place + 0.22 * (number - (len(splits) - 1) / 2),
            mode="markers",
            name=split,
            marker={"color": color, "symbol": symbol, "size": 10},
            error_x={
                "type": "data",
                "array": scale * (rows["high"] - rows["value"]).fillna(0),
                "arrayminus": scale * (rows["value"] - rows["low"]).fillna(0),
                "symmetric": False,
                "thickness": 2,
            },
            customdata=[*zip(rows["figure"], _in_words(rows), strict=True)],
            hovertemplate="%{customdata[0]}: %{customdata[1]}<extra>" + split + "</extra>",
        )
    return titles, splits


def _in_words(rows: pd.DataFrame) -> list[str]:
    columns = (rows[name] for name in ("value", "low", "high", "is_share"))
    return [in_words(value, low, high, is_share) for value, low, high, is_share in zip(*columns, strict=True)]


def _finish_intervals(figure: go.Figure, title: str, x: str, alt: str, titles: Sequence[str]) -> go.Figure:
    """Give dots with intervals their place, the title of each row above it."""
    finish(figure, title, x, "", alt)
    titles_above(figure, titles)
    figure.update_xaxes(showgrid=True)
    top = {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    return figure.update_layout(height=190 + 50 * len(titles), legend=top, margin={"t": 104})
