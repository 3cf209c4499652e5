"""How well the outlines match those drawn by hand."""

import numpy as np
import pandas as pd
import streamlit as st

from braintumor.bundles.figures import DatasetMasks
from braintumor.dashboard import charts
from braintumor.dashboard.bundle_tables import (
    OUTCOMES,
    BundleTables,
    extreme_cases,
    outcome_counts,
    segmentation_table,
)
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.datasets.catalogue import short_name
from braintumor.evaluation import map_calibration
from braintumor.model_cards import SPLITS, TEST
from braintumor.reports import figure, in_words, interval, percent
from braintumor.taxonomy import TITLES


def show(tables: BundleTables) -> None:
    """Show overlap, distance and cases of the leak-free test."""
    report = tables.card.metrics.test
    if tables.card.map is None:
        st.caption("This model gives no map of where a tumor is, so it has no outlines to measure.")
        return
    figures = None if report is None else report.segmentation
    rows, cells = tables.outlined(TEST), tables.cells(TEST)
    st.header("Where is the tumor?", divider="gray")
    if figures is None:
        st.info(f"No picture of the {SPLITS[TEST].lower()} has an outline drawn by hand to measure against.")
        return
    st.markdown(
        f"Outlines as the app draws them against those drawn by hand, on {figures.images:,} pictures of the "
        f"{SPLITS[TEST].lower()} in {figures.groups:,} groups. Where the answer is “no tumor” the outline "
        "is empty, and the Dice of a tumor so missed is 0."
    )
    _outline_cards(figures.datasets)
    _outline_table(segmentation_table(figures))
    if rows is not None:
        _outline_charts(rows, cells)
        _cases(rows)


def _outline_cards(datasets: dict[str, DatasetMasks]) -> None:
    for dataset, found in datasets.items():
        st.markdown(f"**{plain(short_name(dataset))}**: {found.images:,} pictures in {found.groups:,} groups")
        value, low, high = found.dice.floats
        first, third = found.dice_quartiles
        with st.container(horizontal=True):
            elements.figure_card(
                "Mean Dice",
                figure(value, False),
                interval(low, high, False),
                "Overlap of both outlines, from 0 to 1 (the same); below, the 95% interval",
            )
            elements.figure_card(
                "Median Dice",
                figure(found.dice_median, False),
                f"IQR: {interval(first, third, False)}",
                "Half of the pictures reach it; below, the interquartile range, where the middle half lies",
            )
            elements.figure_card(
                "Lesions found",
                percent(found.lesion_sensitivity),
                f"{found.lesions_found:,} of {found.lesions:,}",
                "Lesion sensitivity: a lesion is found where a tenth of it or more is inside the outline",
            )
            elements.figure_card(
                "False regions",
                f"{found.false_lesions_per_image:.2f}",
                "per picture",
                "Outlined regions that touch no lesion, for each picture with a tumor",
            )


def _outline_table(table: pd.DataFrame) -> None:
    labels = table["label"].map(TITLES).fillna("All")
    shown = pd.DataFrame(
        {
            "Pictures": labels + ", " + table["dataset"].map(short_name),
            "Mean Dice": [
                in_words(dice, low, high, False)
                for dice, low, high in zip(table["dice"], table["low"], table["high"], strict=True)
            ],
            "Median": table["dice_median"],
            "Quartiles": [
                interval(first, third, False)
                for first, third in zip(table["first_quartile"], table["third_quartile"], strict=True)
            ],
            "Lesions found": 100 * table["lesion_sensitivity"].astype(float),
            "False regions": table["false_lesions_per_image"],
            "Hausdorff 95": table["hausdorff95_percent_median"].astype(float),
            "No outline": 100 * table["hausdorff95_undefined_share"],
            "Mean IoU": table["iou"],
            "Images": table["images"],
            "Groups": table["groups"],
        }
    ).set_index("Pictures")
    formats = {"Median": "%.3f", "Mean IoU": "%.3f", "False regions": "%.2f"}
    formats |= dict.fromkeys(("Hausdorff 95", "No outline", "Lesions found"), "%.1f%%")
    config = {name: st.column_config.NumberColumn(name, format=text) for name, text in formats.items()}
    st.dataframe(shown, width="stretch", height="content", column_config=config, placeholder="–")
    st.caption(
        "In brackets the 95% interval from drawing whole groups; where groups are few it is rough, and rather too "
        "narrow. Hausdorff 95: median distance between the outlines, all but the worst 5% of their points, in percent "
        "of the picture's side, since web images do not say how many millimeters a pixel has. No outline: share of "
        "pictures without one, which have no such distance. False regions: for each picture."
    )


def _outline_charts(rows: pd.DataFrame, cells: pd.DataFrame | None) -> None:
    left, right = st.columns(2)
    with left:
        quantity = "iou" if st.toggle("Show IoU instead of Dice", key="iou") else "dice"
        elements.chart(charts.overlap_boxes(rows, quantity), "overlap")
        st.caption(
            "Each dot is a picture; the box holds the middle half, its line is the median. Dots at 0 are misses."
        )
    with right:
        # As high as the toggle, so that both charts start on one line.
        st.space(32)
        elements.chart(charts.overlap_by_size(rows), "overlap-by-size")
        st.caption(
            "Small tumors are harder to match: a border off by one pixel costs them a larger share of their area."
        )
    left, right = st.columns(2)
    with left:
        elements.chart(charts.distance_curves(rows), "distance")
        st.caption(
            "The sooner a line rises, the closer the outlines. Pictures without an outline never count as within, so "
            "a line that ends below 100% tells how many were missed."
        )
    with right:
        if cells is not None:
            table, error = map_calibration(cells)
            elements.chart(charts.map_reliability_diagram(table, error), "map-reliability")
            st.caption(
                "Cells of the map itself, before any threshold, on pictures with an outline and on tumor-free ones. "
                f"Nearly all are plain background, which makes its ECE small: {_ece_above_the_first(table)}"
            )


def _ece_above_the_first(table: pd.DataFrame) -> str:
    """Say how far off the map is where it suspects anything."""
    rest = table.iloc[1:].query("count > 0")
    if rest.empty:
        return "no cell has a higher probability."
    gap = float(np.average((rest["accuracy"] - rest["confidence"]).abs(), weights=rest["count"]))
    return f"from a P(tumor) of {rest['low'].iloc[0]:.0%} on it is {gap:.3f}."


def _cases(rows: pd.DataFrame) -> None:
    st.subheader("Hits and misses")
    counts = outcome_counts(rows)
    share = counts.pop("share").map(percent)
    st.table(counts.rename(columns=short_name).assign(Share=share, When=pd.Series(OUTCOMES)).rename_axis("Outline"))
    best, worst = extreme_cases(rows)
    for title, chosen in ((f"The {len(worst)} worst", worst), (f"The {len(best)} best", best)):
        if len(chosen):
            st.markdown(f"**{title}**")
            _case_table(chosen)
    st.caption(
        "Pictures by their name in the published dataset; none is shown or kept here. Neighboring slices of one "
        "patient may stand side by side. Among equals the larger tumor comes first."
    )


def _case_table(rows: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "Picture": rows["path"],
            "What happened": rows["outcome"],
            "Dice": rows["dice"],
            "Tumor": 100 * rows["tumor_share"],
            "Class": rows["label"].map(TITLES),
        }
    )
    config = {
        "Tumor": st.column_config.NumberColumn("Tumor", format="%.2f%%", help="Share of the picture"),
        "Dice": st.column_config.NumberColumn("Dice", format="%.3f"),
    }
    st.dataframe(shown, width="stretch", height="content", column_config=config, hide_index=True)
