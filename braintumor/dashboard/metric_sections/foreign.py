"""Whether pictures that are not brain MRI are told from real scans."""

import html

import pandas as pd
import streamlit as st

from braintumor.bundles.figures import ForeignFigures
from braintumor.dashboard import charts
from braintumor.dashboard.bundle_tables import BundleTables
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.datasets.catalogue import short_name
from braintumor.reports import figure, listed, percent

REAL = "Real scans"


def show(tables: BundleTables) -> None:
    """Show distances and referrals of pictures that are not brain MRI, where the model was tried on some."""
    rows, report = tables.foreign, tables.card.metrics.foreign
    if rows is None or report is None:
        return
    st.header("Does it notice what is not a brain MRI?", divider="gray")
    st.markdown(
        f"{len(rows):,} pictures of {rows['kind'].nunique()} kinds that are not brain MRI, against real scans. What "
        "lies too far from the training scans is referred without any finding."
    )
    _cards(report)
    kinds = _by_kind(report)
    left, right = st.columns(2)
    with left:
        elements.chart(
            charts.distance_boxes(_distances(tables, rows, kinds), tables.card.operating_point.referral.distance_limit),
            "foreign-distance",
        )
        st.caption("Right of the dashed line a picture is referred for its distance." + _real_referred(report))
    with right:
        st.subheader("Kind by kind")
        shown = kinds.assign(Referred=kinds["Referred"].map(percent), **{"ROC AUC": kinds["ROC AUC"].map(_area)})
        st.table(shown.rename_axis("Kind").rename(plain))
        st.caption(
            "Referred: blank, or too far from the training scans. ROC AUC: chance that such a picture lies farther "
            "than a real scan."
        )


def _cards(report: ForeignFigures) -> None:
    with st.container(horizontal=True):
        for title, value, is_share, meaning in (
            (
                "ROC AUC",
                report.auroc,
                False,
                "Chance that a foreign picture lies farther from the training scans than a real one",
            ),
            ("Foreign referred", report.foreign_referred, True, "Share of the foreign pictures that are referred"),
            (
                "Real referred",
                report.real_referred,
                True,
                "Share of real scans that are referred for their distance",
            ),
        ):
            st.metric(title, figure(value, is_share), help=meaning, border=True, width=charts.CARD_PIXELS)


def _real_referred(report: ForeignFigures) -> str:
    shares = report.real_referred_by_dataset
    told = listed([f"{plain(short_name(name))} {percent(share)}" for name, share in shares.items()])
    return f" Of real scans: {told}." if told else ""


def _by_kind(report: ForeignFigures) -> pd.DataFrame:
    rows = {name: (found.images, found.referred, found.auroc) for name, found in report.kinds.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["Images", "Referred", "ROC AUC"])
    return table.astype({"ROC AUC": float}).sort_values(["Referred", "ROC AUC"])


def _area(value: float) -> str:
    return figure(value, False)


def _distances(tables: BundleTables, rows: pd.DataFrame, kinds: pd.DataFrame) -> "dict[str, pd.Series[float]]":
    real = tables.real_distances
    named = {} if real is None else {REAL: real}
    # A chart reads its labels as HTML.
    return named | {html.escape(str(name)): rows.loc[rows["kind"] == name, "distance"] for name in kinds.index}
