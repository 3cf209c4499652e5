"""What the model is, and the figures to see first."""

import math

import streamlit as st

from braintumor.bundles import Card, Metrics, SplitFigures
from braintumor.dashboard import charts
from braintumor.dashboard.bundle_tables import headline_table, training_overlap
from braintumor.dashboard.metric_sections import elements
from braintumor.model_cards import HEADLINES, SPLITS, TEST, bounds
from braintumor.reports import figure, in_words, interval, percent


def show(card: Card) -> None:
    """Show figures by split, leaking ones marked."""
    st.header("How good is it?", divider="gray")
    clean, leaky = card.metrics.test, card.metrics.published_test
    if clean is None and leaky is None:
        st.info("This model has no test figures; train it on data that has a test part.")
        return
    table = headline_table(card.metrics, [split for split in SPLITS if card.metrics.split(split) is not None])
    if clean is not None:
        _leak_free(clean, card.metrics)
    if leaky is not None:
        st.warning(
            f"**The figures of the published test are inflated.** {training_overlap(leaky)} They are shown only to "
            "compare with publications."
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


def _leak_free(report: SplitFigures, metrics: Metrics) -> None:
    st.markdown(
        f"**{SPLITS[TEST]}**: {report.images:,} images in {report.groups:,} groups; no group has "
        "an image in the training set. These are the figures to trust."
        if not report.in_training_share
        else f":red-badge[Leak] {percent(report.in_training_share)} of the images of the test that should be "
        "leak-free were themselves in the training set; do not trust these figures."
    )
    with st.container(horizontal=True):
        for headline in HEADLINES:
            value, low, high = bounds(metrics, TEST, headline)
            if headline.short is not None and math.isfinite(value):
                words = figure(value, headline.is_share), interval(low, high, headline.is_share)
                elements.figure_card(headline.short, *words, headline.title)


def show_card(card: Card) -> None:
    """Say in one line what the model is."""
    calibration = card.calibration
    sign = "−" if calibration.shift < 0 else "+"
    facts = {
        "network": card.network,
        "version": card.version,
        "trained": card.created,
        "tumor score": f"calibrated × {calibration.slope:.3f} {sign} {abs(calibration.shift):.3f}",
        **({"temperature of the kinds": f"{calibration.temperature:.3f}"} if card.kinds else {}),
    }
    st.caption(" · ".join(f"{name} {value}" for name, value in facts.items()))
