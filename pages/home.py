"""Home: what this is, what it is not, and where to begin."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError, read_card
from braintumor.dashboard import gate
from braintumor.dashboard.bundle_tables import percent
from braintumor.dashboard.escaping import plain


def main() -> None:
    gate.current()
    st.title("Brain tumor MRI dashboard")
    st.markdown(
        "Drop an MRI slice of the head and see within a second whether a network finds a tumor, which of three kinds "
        "it resembles, how sure it is, and where it looked. When it should not be believed, it says so."
    )
    if st.button("Get started", type="primary", icon=":material/arrow_forward:", width=260):
        st.switch_page("pages/prediction.py")
    is_for, is_not = st.columns(2, gap="large")
    with is_for, st.container(border=True, height="stretch"):
        st.subheader("What it is", anchor=False)
        st.markdown(
            "- A second look at single MRI slices for readers who know what they see\n"
            "- A place where researchers can check how every figure was earned\n"
            "- Open: the data, the splits, the training command and the model are all named"
        )
    with is_not, st.container(border=True, height="stretch"):
        st.subheader("What it is not", anchor=False)
        st.markdown(
            "- Not a medical device and never a diagnosis\n"
            "- Not able to rule out a tumor: it knows three kinds, on single slices\n"
            "- Not proven on your scanner: it learned from four public collections"
        )
    st.divider()
    _show_figures()


def _show_figures() -> None:
    configured = settings.load()
    try:
        card = read_card(configured.models_dir / configured.model)
        test = card["metrics"]["test"]
    except (BundleError, KeyError) as error:
        st.warning(str(error) if isinstance(error, BundleError) else "The model's card holds no test figures.")
        return
    st.subheader("What it reaches on scans it never saw", anchor=False)
    st.caption(
        f"{plain(card['name'])} {plain(card['version'])}, {test['images']:,} test images in {test['groups']} groups. "
        "No copy of a test image was in training, nor a slice of its block of consecutive slices. "
        "Ranges are 95 % intervals."
    )
    figures = (
        ("Four classes: accuracy", test["four_class"]["accuracy"]),
        ("Tumor or not: AUC", test["detection"]["roc_auc"]),
        ("Sensitivity", test["detection"]["sensitivity"]),
        ("Specificity", test["detection"]["specificity"]),
    )
    for column, (title, figure) in zip(st.columns(len(figures)), figures, strict=True):
        span = f"{percent(figure['low'])} to {percent(figure['high'])}"
        column.metric(title, percent(figure["value"]), delta=span, delta_color="off", delta_arrow="off", border=True)
    _show_published(card["metrics"].get("published_test"), test)


def _show_published(published: Mapping[str, Any] | None, test: Mapping[str, Any]) -> None:
    if published:
        share = published["in_training_share"]
        st.markdown(
            f"On the split that others publish, the same model reaches {percent(_accuracy(published))} instead of "
            f"{percent(_accuracy(test))}. That figure is inflated: {percent(share)} of those images belong to groups "
            "that it was trained on."
        )
    st.page_link("pages/training_metrics.py", label="All figures and curves", icon=":material/monitoring:")


def _accuracy(report: Mapping[str, Any]) -> float | None:
    value: float | None = report["four_class"]["accuracy"]["value"]
    return value


main()
