"""Home: what this is, what it is not, and where to begin."""

import math

import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError, Card, read_card
from braintumor.dashboard import charts, gate
from braintumor.dashboard.bundle_tables import training_overlap
from braintumor.dashboard.metric_sections import hospitals
from braintumor.dashboard.plain_text import plain
from braintumor.model_cards import HEADLINES, TEST, bounds
from braintumor.reports import figure, interval, percent


def main() -> None:
    gate.current()
    st.title("Brain tumor MRI dashboard")
    st.markdown(
        "Drop MRI of the head, as pictures, NIfTI volumes or DICOM studies, and see whether a network finds a tumor, "
        "its outline, which of three kinds it resembles, and how sure it is. When it is unsure, it refers the scan to "
        "a reader instead of answering."
    )
    if st.button("Get started", type="primary", icon=":material/arrow_forward:", width=260):
        st.switch_page("pages/prediction.py")
    configured = settings.load()
    folder = configured.models_dir / configured.model
    try:
        card = read_card(folder)
    except BundleError as error:
        _show_scope("public collections")
        st.warning(str(error))
        return
    _show_scope(f"{len(card.data)} public collections")
    _show_figures(card)


def _show_scope(origin: str) -> None:
    is_for, is_not = st.columns(2)
    with is_for, st.container(border=True, height="stretch"):
        st.header("What it is", anchor=False)
        st.markdown(
            "- A second look at MRI for readers who know what they see\n"
            "- A place where researchers can check how every figure was earned\n"
            "- Open: the data, the splits, the training command and the model are all named"
        )
    with is_not, st.container(border=True, height="stretch"):
        st.header("What it is not", anchor=False)
        st.markdown(
            "- Not a medical device and never a diagnosis\n"
            "- Not able to rule out a tumor: it knows three kinds, and misses some\n"
            f"- Not proven on your scanner: it learned from {origin}"
        )


def _show_figures(card: Card) -> None:
    test, published = card.metrics.test, card.metrics.published_test
    if test is None:
        st.warning("The model's card holds no test figures.")
        return
    st.divider()
    hospitals.show_first(card)
    st.header("On held-out scans of the collections it learned from", anchor=False)
    st.caption(
        f"{plain(card.name)} {plain(card.version)}, {test.images:,} test images in {test.groups} groups. No copy of a "
        "test image that the audit finds was in training, nor a slice of its block of consecutive slices; patients are "
        "not known. Ranges are 95% intervals."
    )
    with st.container(horizontal=True):
        for headline in HEADLINES:
            value, low, high = bounds(card.metrics, TEST, headline)
            if headline.short is None or not math.isfinite(value):
                continue
            st.metric(
                headline.short,
                figure(value, headline.is_share),
                delta=interval(low, high, headline.is_share),
                delta_color="off",
                delta_arrow="off",
                border=True,
                width=charts.CARD_PIXELS,
                help=headline.title,
            )
    if published is not None:
        st.markdown(
            f"Of the published test images it gets {percent(published.four_class.accuracy.value)} right, an inflated "
            f"figure: {training_overlap(published)}"
        )
    st.page_link("pages/training_metrics.py", label="All figures and curves", icon=":material/monitoring:")


main()
