"""What the model is, and the figures to see first."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from braintumor.bundles import PREDICTIONS_FILE
from braintumor.dashboard import charts
from braintumor.dashboard.bundle_tables import FIRST, BundleTables, headline_table, training_overlap
from braintumor.dashboard.metric_sections import elements
from braintumor.reports import PUBLISHED, SPLITS, TEST, figure, in_words, interval, percent


def show(reports: dict[str, dict[str, Any] | None], tables: BundleTables) -> None:
    """Show figures by split, title of ``SPLITS`` to what ``BundleTables.figures`` gave, leaking ones marked."""
    st.header("How good is it?", divider="gray")
    clean, leaky = reports[TEST], reports[PUBLISHED]
    if clean is None and leaky is None:
        st.info(f"This model has no test figures; evaluate it to write {PREDICTIONS_FILE}.")
        return
    table = headline_table({SPLITS[split]: report for split, report in reports.items() if report is not None})
    if clean is not None:
        _leak_free(clean, table[table["split"] == SPLITS[TEST]])
    if leaky is not None:
        overlap = training_overlap(tables.split(PUBLISHED), leaky)
        st.warning(
            f"**The figures of the published test are inflated.** {overlap} They are shown only to compare with "
            "publications."
        )
    columns = ["value", "low", "high", "is_share"]
    texts = [in_words(*row) for row in table[columns].itertuples(index=False)]
    # A value and its interval stay on one line, however narrow the page.
    words = table.assign(text=[text.replace(" ", "\u00a0") for text in texts])
    left, right = st.columns([3, 2])
    with left:
        wide = words.pivot(index="figure", columns="split", values="text").rename_axis("Figure")
        st.table(wide.loc[table["figure"].unique()])
    with right:
        # Of a calibration error less is better, so it would read wrongly beside the others.
        shares = table[~table["figure"].str.startswith("Calibration")]
        shares = shares[shares.groupby("figure")["low"].transform("count") > 0]
        elements.chart(charts.headline_intervals(shares), "headlines")
    st.caption(
        "In brackets and as bars: the 95% interval, found by drawing whole groups of near-"
        "identical images again and again. Only for calibration error is lower better."
    )


def _leak_free(report: dict[str, Any], table: pd.DataFrame) -> None:
    st.markdown(
        f"**{SPLITS[TEST]}**: {report.get('images', 0):,} images in {report.get('groups', 0):,} groups; no group has "
        "an image in the training set. These are the figures to trust."
        if not report.get("in_training_share")
        else f":red-badge[Leak] {percent(report['in_training_share'])} of the images of the test that should be "
        "leak-free were themselves in the training set; do not trust these figures."
    )
    with st.container(horizontal=True):
        for row in table[table["figure"].isin(list(FIRST))].itertuples():
            elements.figure_card(
                FIRST[row.figure],
                figure(row.value, row.is_share),
                interval(row.low, row.high, row.is_share),
                row.figure,
            )


def show_card(card: dict[str, Any]) -> None:
    """Say in one line what the model is."""
    calibration = card.get("calibration")
    facts = {
        "network": card.get("network"),
        "version": card.get("version"),
        "trained": card.get("created"),
        "tumor score": _score_words(calibration),
        "temperature of the kinds": _number(calibration, "temperature") if card.get("kinds", True) else None,
    }
    st.caption(" · ".join(f"{name} {value}" for name, value in facts.items() if value is not None))


def _score_words(calibration: object) -> str | None:
    slope, shift = _number(calibration, "slope"), _number(calibration, "shift")
    if slope is None or shift is None:
        return None
    return f"calibrated × {slope} {'−' if shift.startswith('-') else '+'} {shift.removeprefix('-')}"


def _number(section: object, name: str) -> str | None:
    value = section.get(name) if isinstance(section, dict) else None
    return f"{value:.3f}" if isinstance(value, (int, float)) and math.isfinite(value) else None
