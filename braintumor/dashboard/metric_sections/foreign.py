"""Whether pictures that are no brain MRI are told from real scans."""

import html
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from braintumor.dashboard import charts
from braintumor.dashboard.bundle_tables import BundleTables
from braintumor.dashboard.escaping import plain
from braintumor.dashboard.metric_sections import elements
from braintumor.reports import figure, listed, percent, source

REAL = "Real scans"


def show(tables: BundleTables) -> None:
    """Show distances and referrals of pictures that are no brain MRI, where the model was tried on some."""
    rows, report = tables.foreign, tables.foreign_figures
    if rows is None or report is None:
        return
    st.header("Does it notice what is no brain MRI?", divider="gray")
    st.markdown(
        f"{len(rows):,} pictures of {rows['kind'].nunique()} kinds that are no brain MRI, against real scans. What "
        "lies too far from the training scans is referred without any finding."
    )
    _cards(report)
    kinds = _by_kind(rows, report.get("kinds") or {})
    left, right = st.columns(2)
    with left:
        elements.chart(
            charts.distance_boxes(_distances(tables, rows, kinds), tables.distance_limit), "foreign-distance"
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


def _cards(report: Mapping[str, Any]) -> None:
    with st.container(horizontal=True):
        for title, key, is_share, meaning in (
            (
                "ROC AUC",
                "auroc",
                False,
                "Chance that a foreign picture lies farther from the training scans than a real one",
            ),
            ("Foreign referred", "foreign_referred", True, "Share of the foreign pictures that are referred"),
            ("Real referred", "real_referred", True, "Share of the real scans that are referred for their distance"),
        ):
            st.metric(title, figure(report.get(key), is_share), help=meaning, border=True, width=charts.CARD_PIXELS)


def _real_referred(report: Mapping[str, Any]) -> str:
    shares = report.get("real_referred_by_dataset") or {}
    told = listed([f"{plain(source(name))} {percent(share)}" for name, share in shares.items()])
    return f" Of real scans: {told}." if told else ""


def _by_kind(rows: pd.DataFrame, figures: Mapping[str, Any]) -> pd.DataFrame:
    found = rows.groupby("kind", sort=False).agg(Images=("distance", "size"), Referred=("referred", "mean"))
    areas = {name: figures.get(name, {}).get("auroc") for name in found.index}
    table = found.assign(**{"ROC AUC": pd.Series(areas, dtype=float)})
    return table.sort_values(["Referred", "ROC AUC"])


def _area(value: float) -> str:
    return figure(value, False)


def _distances(tables: BundleTables, rows: pd.DataFrame, kinds: pd.DataFrame) -> dict[str, pd.Series]:
    real = tables.real_distances
    named = {} if real is None else {REAL: real}
    # A chart reads its labels as HTML.
    return named | {html.escape(str(name)): rows.loc[rows["kind"] == name, "distance"] for name in kinds.index}
