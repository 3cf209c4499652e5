"""Home: what this is, what it is not, and where to begin."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError
from braintumor.dashboard import charts, gate
from braintumor.dashboard.bundle_tables import (
    FIRST,
    BundleTables,
    bundle_stamp,
    bundle_tables,
    training_overlap,
)
from braintumor.dashboard.escaping import plain
from braintumor.reports import HEADLINES, bounds, figure, interval, percent


@st.cache_data(max_entries=2, show_spinner=False)
def _tables(folder: Path, stamp: tuple[float, ...]) -> BundleTables:
    return bundle_tables(folder)


def main() -> None:
    gate.current()
    st.title("Brain tumor MRI dashboard")
    st.markdown(
        "Drop an MRI slice of the head and see within a second whether a network finds a tumor, its outline, which of "
        "three kinds it resembles, how sure it is, and where it looked. When it is unsure, it refers the scan to a "
        "reader instead of answering."
    )
    if st.button("Get started", type="primary", icon=":material/arrow_forward:", width=260):
        st.switch_page("pages/prediction.py")
    configured = settings.load()
    folder = configured.models_dir / configured.model
    try:
        tables = _tables(folder, bundle_stamp(folder))
    except BundleError as error:
        _show_scope({})
        st.warning(str(error))
        return
    _show_scope(tables.card)
    _show_figures(tables)


def _show_scope(card: Mapping[str, Any]) -> None:
    is_for, is_not = st.columns(2)
    with is_for, st.container(border=True, height="stretch"):
        st.subheader("What it is", anchor=False)
        st.markdown(
            "- A second look at single MRI slices for readers who know what they see\n"
            "- A place where researchers can check how every figure was earned\n"
            "- Open: the data, the splits, the training command and the model are all named"
        )
    origin = f"{len(card['data'])} public collections" if card.get("data") else "public collections"
    with is_not, st.container(border=True, height="stretch"):
        st.subheader("What it is not", anchor=False)
        st.markdown(
            "- Not a medical device and never a diagnosis\n"
            "- Not able to rule out a tumor: it knows three kinds, on single slices\n"
            f"- Not proven on your scanner: it learned from {origin}"
        )


def _show_figures(tables: BundleTables) -> None:
    # The card holds them ready; working them out from the predictions takes seconds.
    metrics = tables.card.get("metrics") or {}
    test = metrics.get("test")
    if not test:
        st.warning("The model's card holds no test figures.")
        return
    st.divider()
    st.subheader("What it reaches on scans it never saw", anchor=False)
    st.caption(
        f"{plain(str(tables.card.get('name')))} {plain(str(tables.card.get('version')))}, {test['images']:,} test "
        f"images in {test['groups']} groups. No copy of a test image that the audit finds was in training, nor a slice "
        "of its block of consecutive slices; patients are not known. Ranges are 95% intervals."
    )
    first = [headline for headline in HEADLINES if headline.title in FIRST]
    with st.container(horizontal=True):
        for headline in first:
            value, low, high = bounds(test, headline)
            if not math.isfinite(value):
                continue
            st.metric(
                FIRST[headline.title],
                figure(value, headline.is_share),
                delta=interval(low, high, headline.is_share),
                delta_color="off",
                delta_arrow="off",
                border=True,
                width=charts.CARD_PIXELS,
                help=headline.title,
            )
    published = metrics.get("published_test")
    if published:
        accuracy = percent(bounds(published, HEADLINES[0])[0])
        st.markdown(
            f"Of the published test images it gets {accuracy} right, an inflated figure: "
            f"{training_overlap(tables.split('published_test'), published)}"
        )
    st.page_link("pages/training_metrics.py", label="All figures and curves", icon=":material/monitoring:")


main()
