"""Charts as plotly figures: pure functions of tables, one look for every page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.reports import in_words, source, stated
from braintumor.taxonomy import ANY_TUMOR, CLASSES, FINDING_TITLES, LABELS, NO_TUMOR, TITLES

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

_CLEAR = "rgba(0,0,0,0)"
_GRID = "rgba(138,138,138,0.25)"
_LEARNED: Mapping[str, tuple[str, str]] = {
    "accuracy": ("Accuracy", "Share right"),
    "loss": ("Loss", "Loss (no unit)"),
    "dice": ("Dice of the outlines", "Mean Dice (0 to 1)"),
}
_RIGHT = ("Share right", "right")
_SIZE_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_ERASING: Mapping[str, tuple[str, str]] = {
    "deletion": ("Deletion", "taken away"),
    "insertion": ("Insertion", "brought back"),
}
_MOST_DOTS = 300
"""Pictures up to which a box shows each as a dot."""

_FEWEST_FOR_A_LINE = 20
"""Images from which on medians by tumor size say something."""


def learning_curves(history: pd.DataFrame, quantity: str) -> go.Figure:
    """Draw ``quantity`` ("accuracy", "loss" or "dice") of the training and the validation scans by epoch.

    ``history`` has epoch and ``val_`` + quantity, one row an epoch; without the quantity itself, only the validation
    scans are drawn.
    """
    best = history[f"val_{quantity}"]
    row = int(np.nanargmin(best) if quantity == "loss" else np.nanargmax(best)) if best.notna().any() else None
    figure = go.Figure()
    for column, name, color, dash, symbol in (
        (quantity, "Training", ORANGE, "dash", "circle"),
        (f"val_{quantity}", "Validation", BLUE, "solid", "square"),
    ):
        if column not in history:
            continue
        figure.add_scatter(
            x=history["epoch"],
            y=history[column],
            name=name,
            mode="lines+markers" if len(history) <= 40 else "lines",
            line={"color": color, "dash": dash, "width": 2.5},
            marker={"symbol": symbol, "size": 6},
            hovertemplate=f"{name}, epoch %{{x}}: %{{y:.3f}}<extra></extra>",
        )
    title, unit = _LEARNED[quantity]
    both = "training and validation" if quantity in history else "validation"
    words = f"{title} by epoch for {both} scans"
    if row is not None:
        words += f"; best on validation {best.iloc[row]:.3f} at epoch {history['epoch'].iloc[row]:g}"
    return _finish(figure, f"{title} by epoch", "Epoch", unit, words)


def confusion_matrix(counts: Sequence[Sequence[int]], shares: bool = False) -> go.Figure:
    """Draw a table of true (rows) against answered class (columns), both in the order of ``CLASSES``.

    ``counts`` is (4, 4). With ``shares`` each cell is the percentage of its row. Raises ``ValueError`` for another
    shape.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.shape != (len(CLASSES), len(CLASSES)):
        raise ValueError(f"counts are {table.shape}; they must be {(len(CLASSES), len(CLASSES))}")
    rows = table.sum(axis=1, keepdims=True)
    percent = 100 * np.divide(table, rows, out=np.zeros_like(table), where=rows > 0)
    names = [TITLES[name] for name in CLASSES]
    shown = percent if shares else table
    figure = go.Figure(
        go.Heatmap(
            z=percent,
            x=names,
            y=names,
            text=[[f"{value:.0f}%" if shares else f"{value:.0f}" for value in row] for row in shown],
            texttemplate="%{text}",
            customdata=table,
            hovertemplate="Truth %{y}, answer %{x}: %{customdata:.0f} images, %{z:.1f}% of the row<extra></extra>",
            colorscale=[[0, "#F2F7FB"], [1, BLUE]],
            zmin=0,
            zmax=100,
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    right = f"{table.trace():.0f} of {table.sum():.0f} images are on the diagonal"
    unit = "% of each true class" if shares else "images"
    _finish(figure, f"Truth and answer ({unit})", "Answer", "Truth", f"Confusion matrix; {right}")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_xaxes(showgrid=False)


def roc_curves(predictions: pd.DataFrame) -> go.Figure:
    """Draw sensitivity against false alarms for each class against the rest, and for tumor or not.

    ``predictions`` has label and the four probabilities. A class that is absent, or alone, has no curve.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    figure = go.Figure()
    said = []
    for name, truth, score in _questions(predictions):
        false_alarms, sensitivity, _ = roc_curve(truth, score)
        area = roc_auc_score(truth, score)
        said.append(f"{CURVE_TITLES[name]} {area:.3f}")
        _add_curve(figure, name, f"AUC {area:.3f}", false_alarms, sensitivity, "False alarms %{x:.3f}, found %{y:.3f}")
    _add_diagonal(figure, "Guessing")
    alt = "ROC curves; area under the curve: " + (", ".join(said) or "none can be drawn")
    _finish(figure, "ROC curves", "False alarms (1 − specificity)", "Found (sensitivity)", alt)
    return _unit_square(figure)


def precision_recall_curves(predictions: pd.DataFrame) -> go.Figure:
    """Draw precision against recall for each class against the rest, and for tumor or not; as ``roc_curves``."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    figure = go.Figure()
    said = []
    for name, truth, score in _questions(predictions):
        precision, recall, _ = precision_recall_curve(truth, score, drop_intermediate=True)
        area = average_precision_score(truth, score)
        said.append(f"{CURVE_TITLES[name]} {area:.3f}")
        _add_curve(figure, name, f"AP {area:.3f}", recall, precision, "Recall %{x:.3f}, precision %{y:.3f}")
    alt = "Precision–recall curves; average precision: " + (", ".join(said) or "none can be drawn")
    _finish(figure, "Precision and recall", "Recall (share found)", "Precision (share of calls right)", alt)
    return _unit_square(figure)


def operating_curve(p_tumor: npt.ArrayLike, is_tumor: npt.ArrayLike, threshold: float) -> go.Figure:
    """Draw the ROC curve of tumor or not with a marker at ``threshold``.

    ``p_tumor`` is (n,) in [0, 1], ``is_tumor`` (n,) bool. Without both tumors and tumor-free scans it is empty.
    """
    from sklearn.metrics import roc_curve

    score, truth = np.asarray(p_tumor, dtype=np.float64), np.asarray(is_tumor, dtype=bool)
    figure = go.Figure()
    alt = "No ROC curve: it needs scans with and without a tumor"
    if truth.any() and not truth.all():
        false_alarms, sensitivity, _ = roc_curve(truth, score)
        _add_curve(figure, ANY_TUMOR, "", false_alarms, sensitivity, "False alarms %{x:.3f}, found %{y:.3f}")
        found, alarms = float((score[truth] >= threshold).mean()), float((score[~truth] >= threshold).mean())
        figure.add_scatter(
            x=[alarms],
            y=[found],
            mode="markers",
            name=f"Threshold {threshold:.3f}",
            marker={"color": BLUE, "size": 16, "symbol": "diamond", "line": {"color": "white", "width": 2}},
            hovertemplate="False alarms %{x:.3f}, found %{y:.3f}<extra></extra>",
        )
        alt = f"ROC curve of tumor or not; the marker is at sensitivity {found:.3f}, specificity {1 - alarms:.3f}"
    _finish(figure, "Where the threshold stands", "False alarms (1 − specificity)", "Found (sensitivity)", alt)
    return _unit_square(figure)


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
    _finish(figure, f"{title} (ECE {said})", x, y, alt)
    return _unit_square(figure)


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
    _finish(figure, f"Reliability of the map (ECE {said})", "Stated P(tumor) of a cell", "Share that is tumor", alt)
    _unit_square(figure)
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
    _finish(figure, "Risk and coverage", "Scans answered (%)", "Wrong among the answered (%)", alt)
    figure.update_xaxes(range=[0, 101])
    return figure.update_yaxes(rangemode="tozero").update_layout(showlegend=kept is not None)


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
            fillcolor=_CLEAR,
            hoveron="points",
            hovertemplate=f"{title}: {name} %{{x:.3f}}<extra></extra>",
        )
        titles.append(f"{title} ({len(some):,})")
        said.append(f"{title} {some[quantity].median():.3f}")
    alt = f"{name} of each image as dots with a box, by class and source; median: {', '.join(said) or 'no image'}"
    _finish(figure, f"{name} by class and source", f"{name} (1 is best)", "", alt)
    _titles_above(figure, titles)
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
    _finish(figure, "Dice by size of the tumor", "Tumor (% of the picture, log scale)", "Dice (1 is best)", alt)
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
    _finish(figure, "Distance between the outlines", x, y, alt)
    return figure.update_yaxes(range=[-2, 102])


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
    _finish(figure, "Probability of each class", "", "", f"Calibrated probabilities: {pairs}.")
    figure.update_xaxes(range=[0, 1.3], visible=False)
    figure.update_yaxes(showgrid=False, title=None)
    return figure.update_layout(height=190, margin={"b": 0, "t": 52})


def headline_intervals(table: pd.DataFrame) -> go.Figure:
    """Draw figures of several splits as dots with 95% intervals.

    ``table`` has figure, split, value, low, high (in [0, 1]) and is_share, as ``headline_table`` gives it.
    """
    figure = go.Figure()
    titles, splits = _add_interval_dots(figure, table, 100)
    alt = f"{len(titles)} headline figures with 95% intervals for {' and '.join(splits)}"
    return _finish_intervals(figure, "Figures with 95% intervals", "Percent (areas and Dice × 100)", alt, titles)


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
            boxpoints="all" if len(known) <= _MOST_DOTS else "outliers",
            pointpos=0,
            jitter=0.8,
            marker={"color": BLUE if place == 0 else VERMILION, "size": 4, "opacity": 0.5},
            line={"width": 2},
            fillcolor=_CLEAR,
            hoveron="points",
            hovertemplate=f"{title}: %{{x:.2f}}<extra></extra>",
        )
        titles.append(f"{title} ({len(known):,})")
        said += [f"{title} {np.median(known):.2f}"] if len(known) else []
    alt = f"Distance from the training scans by kind of picture; median: {', '.join(said) or 'no picture'}"
    if limit is not None:
        figure.add_vline(x=limit, line={"color": GRAY, "width": 2, "dash": "dash"})
        alt += f"; referred beyond {limit:.2f}, the dashed line"
    _finish(figure, "Distance from the training scans", "Distance (1 is usual, log scale)", "", alt)
    _titles_above(figure, titles)
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
    _finish(figure, title, f"Hottest pixels {change} (%)", "Mean score of the class", alt)
    # A legend of as many lines as there are methods must not squeeze the curves.
    figure.update_layout(height=400 + 20 * len(curves), legend={"y": -0.3})
    return figure.update_yaxes(range=[-0.02, 1.03])


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
        known = scale * pair["value"].dropna()
        if len(known) > 1:
            line = {"color": GRAY, "width": 1.5, "dash": "dot"}
            # Joins the dots where they stand, a little above and below the middle of the row.
            ends = [place - 0.11, place + 0.11]
            figure.add_scatter(x=known, y=ends, mode="lines", line=line, showlegend=False, hoverinfo="skip")
    titles, _ = _add_interval_dots(figure, rows, scale)
    said = [
        f"{row.title}, {row.split.lower()} {in_words(row.value, row.low, row.high, is_share)}"
        for row in rows.dropna(subset="value").itertuples()
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
    _finish(figure, title, unit.capitalize(), counted.capitalize(), f"{title}: {pairs}")
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
    _finish(figure, "Where the copies lie (% of the images of a row)", "Have a copy in", "Images of", alt)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_xaxes(showgrid=False, tickangle=-45).update_layout(height=200 + 40 * len(titles))


def alt_text(figure: go.Figure) -> str:
    """Say in one sentence what a figure of this module shows, for readers who do not see it."""
    meta: Any = figure.layout.meta
    return str(meta["alt"]) if meta else ""


def _questions(predictions: pd.DataFrame) -> list[tuple[str, Bools, Floats]]:
    """Each yes-or-no question that has both answers: name, truth and score of its rows."""
    label = predictions["label"].to_numpy(dtype=str)
    known = label != ANY_TUMOR
    questions = [
        (name, label[known] == name, predictions[column].to_numpy()[known])
        for name, column in zip(CLASSES, PROBABILITIES, strict=True)
    ]
    questions.append((ANY_TUMOR, label != NO_TUMOR, 1 - predictions[f"p_{NO_TUMOR}"].to_numpy()))
    return [question for question in questions if question[1].any() and not question[1].all()]


def _by_class_and_source(rows: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Part outlined images by label and dataset: title, label and rows, in the order of the labels."""
    parts = [
        (f"{TITLES[label]}, {source(str(dataset))}", str(label), some)
        for (label, dataset), some in rows.groupby(["label", "dataset"])
    ]
    return sorted(parts, key=lambda part: LABELS.index(part[1]))


def _medians_by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the median dice and tumor_share of up to six parts of like size, each with as many images."""
    if len(rows) < _FEWEST_FOR_A_LINE:
        return rows[["tumor_share", "dice"]].head(0)
    part = pd.qcut(rows["tumor_share"], min(6, len(rows) // 10), labels=False, duplicates="drop")
    return rows.groupby(part)[["tumor_share", "dice"]].median()


def _titles_above(figure: go.Figure, titles: Sequence[str]) -> None:
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
    _add_diagonal(figure, "Perfectly calibrated")


def _bar_width(used: pd.DataFrame) -> pd.Series:
    return (used["high"] - used["low"]) * 0.92


def _add_curve(figure: go.Figure, name: str, note: str, x: Floats, y: Floats, hover: str) -> None:
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


def _add_diagonal(figure: go.Figure, name: str) -> None:
    line = {"color": GRAY, "width": 1.5, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name=name, line=line, hoverinfo="skip")


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
            customdata=[
                (row.figure, in_words(row.value, row.low, row.high, row.is_share)) for row in rows.itertuples()
            ],
            hovertemplate="%{customdata[0]}: %{customdata[1]}<extra>" + split + "</extra>",
        )
    return titles, splits


def _finish_intervals(figure: go.Figure, title: str, x: str, alt: str, titles: Sequence[str]) -> go.Figure:
    """Give dots with intervals their place, the title of each row above it."""
    _finish(figure, title, x, "", alt)
    _titles_above(figure, titles)
    figure.update_xaxes(showgrid=True)
    top = {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    return figure.update_layout(height=190 + 50 * len(titles), legend=top, margin={"t": 104})


def _unit_square(figure: go.Figure) -> go.Figure:
    return figure.update_xaxes(range=[-0.02, 1.02]).update_yaxes(range=[-0.02, 1.03])


def _finish(figure: go.Figure, title: str, x: str, y: str, alt: str) -> go.Figure:
    """Give a figure its title, axes and place in a light or dark page, and the words for those who do not see it."""
    axis = {"showgrid": True, "gridcolor": _GRID, "zeroline": False, "automargin": True, "fixedrange": True}
    return figure.update_layout(
        title={"text": title, "font": {"size": 17}, "x": 0, "xanchor": "left"},
        xaxis={**axis, "title": {"text": x}},
        yaxis={**axis, "title": {"text": y}},
        legend={"orientation": "h", "x": 0, "y": -0.22, "xanchor": "left", "yanchor": "top"},
        height=440,
        margin={"l": 8, "r": 12, "t": 64, "b": 8},
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        # A drag on a phone is meant to scroll the page.
        dragmode=False,
        meta={"alt": alt},
    )
