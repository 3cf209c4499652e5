"""Charts of a training."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from braintumor.dashboard.charts.style import BLUE, ORANGE, finish

_LEARNED: Mapping[str, tuple[str, str]] = {
    "accuracy": ("Accuracy", "Share right"),
    "loss": ("Loss", "Loss (no unit)"),
    "dice": ("Dice of the outlines", "Mean Dice (0 to 1)"),
}


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
    return finish(figure, f"{title} by epoch", "Epoch", unit, words)
