"""Home: what this is, what it is not, and where to begin."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError, read_card
from braintumor.dashboard import gate
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
    is_not, is_for = st.columns(2, gap="large")
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
        f"{plain(card['name'])} {plain(card['version'])}, {test['images']} test images in {test['groups']} groups. "
        "No image, near-duplicate or neighboring slice of a test image was in training. Ranges are 95 % intervals."
    )
    figures = (
        ("Four classes: accuracy", test["four_class"]["accuracy"]),
        ("Tumor or not: AUC", test["detection"]["roc_auc"]),
        ("Sensitivity", test["detection"]["sensitivity"]),
        ("Specificity", test["detection"]["specificity"]),
    )
    for column, (title, figure) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(title, _value(figure), border=True)
        column.caption(f"{_number(figure['low'])} to {_number(figure['high'])}")
    _show_published(card["metrics"].get("published_test"), test)


def _show_published(published: Mapping[str, Any] | None, test: Mapping[str, Any]) -> None:
    if published:
        share = published["in_training_share"]
        st.markdown(
            f"On the split that others publish, the same model reaches {_value(published['four_class']['accuracy'])} "
            f"instead of {_value(test['four_class']['accuracy'])}. That figure is inflated: {share:.0%} of those "
            "images belong to groups that it was trained on."
        )
    st.page_link("pages/training_metrics.py", label="All figures and curves", icon=":material/monitoring:")


def _value(figure: Mapping[str, float | None]) -> str:
    return _number(figure["value"])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


main()
