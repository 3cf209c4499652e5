"""Charts of how well classes are told apart."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from braintumor.dashboard.charts.style import (
    BLUE,
    CURVE_TITLES,
    Bools,
    Floats,
    add_curve,
    add_diagonal,
    finish,
    unit_square,
)
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR, PROBABILITIES, TITLES


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
    finish(figure, f"Truth and answer ({unit})", "Answer", "Truth", f"Confusion matrix; {right}")
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
        add_curve(figure, name, f"AUC {area:.3f}", false_alarms, sensitivity, "False alarms %{x:.3f}, found %{y:.3f}")
    add_diagonal(figure, "Guessing")
    alt = "ROC curves; area under the curve: " + (", ".join(said) or "none can be drawn")
    finish(figure, "ROC curves", "False alarms (1 − specificity)", "Found (sensitivity)", alt)
    return unit_square(figure)


def precision_recall_curves(predictions: pd.DataFrame) -> go.Figure:
    """Draw precision against recall for each class against the rest, and for tumor or not; as ``roc_curves``."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    figure = go.Figure()
    said = []
    for name, truth, score in _questions(predictions):
        precision, recall, _ = precision_recall_curve(truth, score, drop_intermediate=True)
        area = average_precision_score(truth, score)
        said.append(f"{CURVE_TITLES[name]} {area:.3f}")
        add_curve(figure, name, f"AP {area:.3f}", recall, precision, "Recall %{x:.3f}, precision %{y:.3f}")
    alt = "Precision–recall curves; average precision: " + (", ".join(said) or "none can be drawn")
    finish(figure, "Precision and recall", "Recall (share found)", "Precision (share of calls right)", alt)
    return unit_square(figure)


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
        add_curve(figure, ANY_TUMOR, "", false_alarms, sensitivity, "False alarms %{x:.3f}, found %{y:.3f}")
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
    finish(figure, "Where the threshold stands", "False alarms (1 − specificity)", "Found (sensitivity)", alt)
    return unit_square(figure)


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
