"""Whether what the model refers is what it would have got wrong."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from braintumor.dashboard import charts
from braintumor.dashboard.bundle_tables import BundleTables
from braintumor.dashboard.metric_sections import elements
from braintumor.evaluation import risk_coverage
from braintumor.evaluation.samples import PROBABILITIES, right_answers
from braintumor.reports import SPLITS, TEST, figure, interval, percent, referral_reasons, spread


def show(tables: BundleTables, report: Mapping[str, Any]) -> None:
    """Show the error among answered and among referred scans of the leak-free test, and why scans are referred."""
    rows = tables.split(TEST)
    if rows is None or "referred" not in rows or "answered" not in report:
        return
    st.header("Does it refer the right scans?", divider="gray")
    st.markdown(
        "A scan is referred to a reader instead of answered where the model doubts its answer. That is earned where "
        f"the answers it withholds would have been wrong more often than those it gives. {SPLITS[TEST]}; "
        + (
            "wrong is where the likeliest of the four classes is not the true one, on scans whose class is known."
            if tables.tells_kinds
            else "this model tells tumor or not alone, so what it answers is held to that."
        )
    )
    _cards(report["answered"], tables.tells_kinds)
    known = np.isfinite(right_answers(rows))
    left, right = st.columns(2)
    with left:
        if known.any():
            _curve(rows[known], report["answered"])
    with right:
        _reasons(tables, rows)


def _cards(answered: Mapping[str, Any], tells_kinds: bool) -> None:
    wrong, withheld = spread(answered["error"]), spread(answered["error_of_referred"])
    cards = [("Answered", "share", "Share of the scans that get an answer; the rest is referred")]
    cards += (
        [
            ("Wrong if answered", "error", "Share of the answers given that are wrong"),
            ("Wrong if referred", "error_of_referred", "Share of the withheld answers that would have been wrong"),
        ]
        if tells_kinds
        else [
            ("Sensitivity", "sensitivity", "Share of the tumors with an answer that are called"),
            ("Specificity", "specificity", "Share of the tumor-free scans with an answer that are not called"),
        ]
    )
    with st.container(horizontal=True):
        for title, key, meaning in cards:
            value, low, high = spread(answered[key])
            elements.figure_card(title, figure(value), interval(low, high), meaning)
        if tells_kinds and wrong[0] > 0 and math.isfinite(withheld[0]):
            times = f"{withheld[0] / wrong[0]:.1f} ×"
            elements.figure_card("Ratio", times, "as often wrong", "How much oftener withheld answers are wrong")


def _curve(rows: pd.DataFrame, answered: Mapping[str, Any]) -> None:
    """Draw the curve of rows whose class is known."""
    confidence = rows[list(PROBABILITIES)].max(axis=1)
    marked = float((~rows["referred"].astype(bool)).mean()), spread(answered["error"])[0]
    curve = risk_coverage(confidence, right_answers(rows))
    elements.chart(charts.risk_coverage_curve(curve, marked if math.isfinite(marked[1]) else None), "risk-coverage")
    st.caption(
        "Moving left, only the surest answers by their probability are given; the line should fall to show that doubt "
        "is well placed. The diamond is the model's own rule, which also weighs tumor or not by itself and what is "
        "unlike the training scans; below the line it would beat the probability alone."
    )


def _reasons(tables: BundleTables, rows: pd.DataFrame) -> None:
    table = referral_reasons(tables.card, rows)
    st.subheader("Why scans are referred")
    if table is None:
        st.caption("The model's card does not name its rule, so the reasons cannot be told apart.")
        return
    shown = pd.DataFrame({"Images": table["images"], "Of all": table["share"].map(percent)}).rename_axis("Reason")
    said = "The first reason that holds, from the top."
    if tables.tells_kinds:
        shown["Would be wrong"] = table["wrong"].map(figure)
        said += " Would be wrong: as in the cards; a dash where no class is known."
    st.table(shown)
    st.caption(said)
