"""The same slices with and without their tumor."""

import streamlit as st

from braintumor.bundles import SplitFigures
from braintumor.dashboard.metric_sections import elements
from braintumor.reports import figure, interval


def show(report: SplitFigures | None) -> None:
    """Show whether slices score higher with their tumor; ``report`` holds the figures of that split, if any."""
    if report is None:
        return
    detection = report.detection
    st.header("The same slices without their tumor", divider="gray")
    st.markdown(
        "In public sets nearly every contrast-enhanced slice shows a tumor, so a network could tell tumors by the kind "
        f"of picture; here picture and label no longer go together. {detection.tumors:,} test slices with a tumor "
        "in one half stand beside themselves with that half replaced by the mirrored other one."
    )
    with st.container(horizontal=True):
        for title, found, is_share, meaning in (
            (
                "ROC AUC",
                detection.roc_auc,
                False,
                "Chance that it scores higher than a tumor-free one; 0.5 is guessing",
            ),
            ("Sensitivity", detection.sensitivity, True, "Share of the slices with their tumor that are called"),
            ("Specificity", detection.specificity, True, "Share of the slices without it that are not called"),
        ):
            value, low, high = found.floats
            elements.figure_card(title, figure(value, is_share), interval(low, high, is_share), meaning)
    st.caption(
        f"{report.images:,} pictures in {report.groups:,} groups, at the model's operating point; below the "
        "figures their 95% intervals. A head that is its own mirror image is a hint, too, and a network whose training "
        "showed it such pictures of other patients knows them, so on real tumor-free slices of these scanners it may "
        "be worse."
    )
