"""Whether what the model refers is what it would have got wrong."""

import math

import numpy as np
import pandas as pd
import streamlit as st

from braintumor.bundles.figures import Answered, Failures
from braintumor.dashboard import charts
from braintumor.dashboard.bundle_tables import BundleTables
from braintumor.dashboard.metric_sections import elements
from braintumor.evaluation import risk_coverage
from braintumor.evaluation.samples import right_answers
from braintumor.model_cards import SPLITS, TEST
from braintumor.reports import REFERRAL_WORDS, figure, interval, percent
from braintumor.taxonomy import PROBABILITIES


def show(tables: BundleTables) -> None:
    """Show the error among answered and among referred scans of the leak-free test, and why scans are referred."""
    report, rows, tells_kinds = tables.card.metrics.test, tables.split(TEST), tables.card.kinds
    if report is None or report.answered is None:
        return
    st.header("Does it refer the right scans?", divider="gray")
    st.markdown(
        "A scan is referred to a reader instead of answered where the model doubts its answer. That is earned where "
        f"the answers it withholds would have been wrong more often than those it gives. {SPLITS[TEST]}; "
        + (
            "wrong is where the likeliest of the four classes is not the true one, on scans whose class is known."
            if tells_kinds
            else "this model tells only tumor or not, so what it answers is held to that."
        )
    )
    _cards(report.answered, tells_kinds)
    left, right = st.columns(2)
    with left:
        known = None if rows is None else rows[np.isfinite(right_answers(rows))]
        if known is not None and len(known) and "referred" in known:
            _curve(known, report.answered)
    with right:
        if report.failures is not None:
            _reasons(report.failures, tells_kinds)


def _cards(answered: Answered, tells_kinds: bool) -> None:
    wrong, withheld = answered.error.floats, answered.error_of_referred.floats
    cards = [("Answered", answered.share, "Share of the scans that get an answer; the rest is referred")]
    cards += (
        [
            ("Wrong if answered", answered.error, "Share of the answers given that are wrong"),
            (
                "Wrong if referred",
                answered.error_of_referred,
                "Share of withheld answers that would have been wrong",
            ),
        ]
        if tells_kinds
        else [
            ("Sensitivity", answered.sensitivity, "Share of the tumors with an answer that are called"),
            ("Specificity", answered.specificity, "Share of the tumor-free scans with an answer that are not called"),
        ]
    )
    with st.container(horizontal=True):
        for title, found, meaning in cards:
            value, low, high = found.floats
            elements.figure_card(title, figure(value), interval(low, high), meaning)
        if tells_kinds and wrong[0] > 0 and math.isfinite(withheld[0]):
            times = f"{withheld[0] / wrong[0]:.1f} ×"
            elements.figure_card("Ratio", times, "as often wrong", "How much oftener withheld answers are wrong")


def _curve(rows: pd.DataFrame, answered: Answered) -> None:
    """Draw the curve of rows whose class is known."""
    confidence = rows[list(PROBABILITIES)].max(axis=1)
    marked = float((~rows["referred"].astype(bool)).mean()), answered.error.floats[0]
    curve = risk_coverage(confidence, right_answers(rows))
    elements.chart(charts.risk_coverage_curve(curve, marked if math.isfinite(marked[1]) else None), "risk-coverage")
    st.caption(
        "Moving left, only the surest answers by their probability are given; the line should fall to show that doubt "
        "is well placed. The diamond is the model's own rule, which also weighs tumor or not by itself and what is "
        "unlike the training scans; below the line it would beat the probability by itself."
    )


def _reasons(failures: Failures, tells_kinds: bool) -> None:
    st.subheader("Why scans are referred")
    found = failures.referrals
    titles = pd.Index([REFERRAL_WORDS[code] for code in found], name="Reason")
    shown = {"Images": [one.images for one in found.values()], "Of all": [percent(one.share) for one in found.values()]}
    said = "The first reason that holds, from the top."
    if tells_kinds:
        shown["Would be wrong"] = [figure(one.wrong) for one in found.values()]
        said += " Would be wrong: as in the cards; a dash where no class is known."
    st.table(pd.DataFrame(shown, index=titles))
    st.caption(said)
