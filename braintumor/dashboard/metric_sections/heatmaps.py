"""Whether heatmaps show what the network used, measured method by method."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st

from braintumor.bundles import Estimate, HeatmapFigures
from braintumor.bundles.figures import MethodFigures
from braintumor.dashboard import charts
from braintumor.dashboard.bundle_tables import BundleTables
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.evaluation.faithfulness import FLOORS, MAP
from braintumor.explanation import METHODS
from braintumor.reports import figure, in_words

COMMAND = "python -m braintumor heatmaps --bundle DIR --data DIR"

TITLES: Mapping[str, str] = {
    **METHODS,
    MAP: "Tumor map",
    **{name: f"{title} (floor)" for name, title in FLOORS.items()},
}

MEASURES: Sequence[tuple[str, Callable[[MethodFigures], Estimate], bool]] = (
    ("Inside the tumor", lambda found: found.inside, True),
    ("Points at it", lambda found: found.pointing, True),
    ("Deletion ↓", lambda found: found.deletion, False),
    ("Insertion ↑", lambda found: found.insertion, False),
    ("Random weights ↓", lambda found: found.randomized_correlation, False),
)
"""What is measured of a method: title, where it is found, and whether it is a share."""


def show(tables: BundleTables) -> None:
    """Show how faithful each method's heatmaps are, or which command measures it."""
    st.header("Does the heatmap look at the tumor?", divider="gray")
    report = tables.heatmaps
    if report is None:
        st.info(f"The heatmaps of this model have not been measured yet; run `{COMMAND}`.")
        return
    st.markdown(
        f"Heatmaps of {report.images:,} held-out pictures with a tumor outlined by hand, in {report.groups:,} "
        f"groups. {_chance(report)}Floors know nothing of the network: heat at random, and heat in the middle of the "
        "picture."
    )
    st.table(_table(report.methods))
    st.caption(
        "In brackets the 95% interval from drawing whole groups. Inside the tumor: share of the heat that is. Points "
        "at it: share of the pictures whose hottest pixel is inside. Deletion and insertion: area under the curves "
        "below. Random weights: correlation with the heatmap of the same network with its weights drawn at random; a "
        "method that shows what was learned changes, so it should be near 0."
    )
    _curves(report)


def _chance(report: HeatmapFigures) -> str:
    share = report.chance.inside
    return f"Heat spread evenly over the head would be inside the tumor by {share:.1%}. " if share is not None else ""


def _table(methods: Mapping[str, MethodFigures]) -> pd.DataFrame:
    rows = {}
    for name, found in methods.items():
        words = {
            title: in_words(*of(found).floats, is_share).replace(" ", "\u00a0") for title, of, is_share in MEASURES
        }
        rows[TITLES.get(name) or plain(name)] = words | {"Seconds": figure(found.seconds, False)}
    return pd.DataFrame(rows).T.rename_axis("Method")


def _curves(report: HeatmapFigures) -> None:
    captions = {
        "deletion": "The sooner it falls, the more the pixels called hot were what the answer rested on.",
        "insertion": "The sooner it rises, the more the hottest pixels by themselves suffice for the answer.",
    }
    for column, (kind, caption) in zip(st.columns(2), captions.items(), strict=True):
        curves = {name: pair.deletion if kind == "deletion" else pair.insertion for name, pair in report.curves.items()}
        found = {TITLES.get(name, name): curve for name, curve in curves.items() if curve}
        if found and report.share:
            with column:
                elements.chart(charts.erasing_curves(report.share, found, kind), f"heatmap-{kind}")
                st.caption(caption)
