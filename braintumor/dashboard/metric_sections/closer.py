"""Every chart of one split: errors, ranking, threshold, calibration, and figures by source."""

from typing import Any

import pandas as pd
import streamlit as st

from braintumor.dashboard import charts, choices, gate
from braintumor.dashboard.bundle_tables import BundleTables
from braintumor.dashboard.escaping import plain
from braintumor.dashboard.metric_sections import elements
from braintumor.evaluation import by_dataset_and_class, rates_at, reliability
from braintumor.evaluation.samples import PROBABILITIES, right_answers
from braintumor.reports import PUBLISHED, SPLITS, listed, percent, source
from braintumor.taxonomy import NO_TUMOR, TITLES


def show(tables: BundleTables, reports: dict[str, dict[str, Any] | None]) -> None:
    """Let one of ``SPLITS`` be chosen and show all that is drawn of it; ``reports`` has its figures."""
    rows = {split: found for split in SPLITS if (found := tables.split(split)) is not None}
    if not rows:
        return
    st.header("Look closer", divider="gray")
    splits = list(rows)
    split = choices.segmented_control(
        "Images", splits, splits[0], required=True, format_func=SPLITS.__getitem__, key="split"
    )
    chosen, report = rows[split], reports[split]
    if report is None:
        return
    if split == PUBLISHED:
        st.caption(":orange-badge[Inflated] Everything below is about images of which many were trained on.")
    threshold = 0.5 if tables.threshold is None else tables.threshold
    if tables.tells_kinds:
        _errors(report)
    else:
        st.caption("This model tells tumor or not alone, so there are no classes that it could mix up.")
    _ranking(chosen)
    _threshold_picker(chosen, threshold, _origin(tables))
    _confidence(chosen, report)
    _breakdown(chosen, threshold)


def _errors(report: dict[str, Any]) -> None:
    left, right = st.columns(2)
    four = report["four_class"]
    with left:
        shares = st.toggle("Show shares of each true class", key="shares")
        elements.chart(charts.confusion_matrix(four["confusion_matrix"]["counts"], shares), "confusion")
        st.caption("Right answers are on the diagonal; a dark cell off it is a kind of mistake the model often makes.")
    with right:
        st.subheader("Classification report")
        table = pd.DataFrame(four["per_class"]).T.rename(index=TITLES)
        macro = [four["macro_precision"], four["macro_recall"], four["macro_f1"]["value"], four["images"]]
        table.loc["Mean of the classes"] = pd.Series(macro, index=["precision", "recall", "f1", "support"])
        names = {"precision": "Precision", "recall": "Recall", "f1": "F1", "support": "Images"}
        elements.share_table(table.rename_axis("Class").rename(columns=names), ("Images",))
        st.caption(
            "Precision: share of the calls of a class that are right. Recall: share of its scans that are found. "
            "F1: their harmonic mean."
        )


def _ranking(rows: pd.DataFrame) -> None:
    left, right = st.columns(2)
    with left:
        elements.chart(charts.roc_curves(rows), "roc")
        st.caption("The closer a curve comes to the top left corner, the better; the dotted diagonal is guessing.")
    with right:
        elements.chart(charts.precision_recall_curves(rows), "precision-recall")
        st.caption("The closer a curve stays to the top right corner, the better; it tells more where a class is rare.")


@st.fragment
def _threshold_picker(rows: pd.DataFrame, threshold: float, origin: str) -> None:
    gate.current()
    st.subheader("Move the threshold")
    # A key for each start value: another model brings its own operating point instead of the last one moved to.
    chosen = choices.slider(
        *("Call it a tumor from this P(tumor) on", 0.0, 1.0, threshold, 0.001),
        format="%.3f",
        key=f"threshold-{threshold}",
    )
    p_tumor, is_tumor = 1 - rows[f"p_{NO_TUMOR}"], rows["label"] != NO_TUMOR
    meanings = {
        "sensitivity": ("Sensitivity", "Share of the tumors that are called"),
        "specificity": ("Specificity", "Share of the tumor-free scans that are not called"),
        "ppv": ("PPV", "Positive predictive value: share of the calls that are tumors"),
        "npv": ("NPV", "Negative predictive value: share of the scans not called that are tumor-free"),
    }
    with st.container(horizontal=True):
        for name, value in rates_at(p_tumor, is_tumor, chosen).items():
            title, meaning = meanings[name]
            st.metric(title, percent(value), help=meaning, border=True, width=charts.CARD_PIXELS)
    elements.chart(charts.operating_curve(p_tumor, is_tumor, chosen), "operating")
    st.caption(
        f"{origin} A lower threshold finds more tumors and raises more false alarms. PPV and NPV hold for this set, "
        f"where {is_tumor.mean():.0%} of the images show a tumor; with another share they differ."
    )


def _origin(tables: BundleTables) -> str:
    """Say where the slider starts, and what that was chosen for."""
    if tables.threshold is None:
        return "The model's card names no operating point, so it starts at 0.5."
    point = tables.card["operating_point"]
    said = f"It starts at the model's operating point, {tables.threshold:.3f}"
    sensitivity, datasets = point.get("chosen_for_sensitivity"), point.get("datasets")
    if not isinstance(sensitivity, (int, float)):
        return f"{said}."
    where = f" of {plain(listed([source(name) for name in datasets]))} each" if datasets else ""
    return f"{said}, chosen to find at least {sensitivity:.0%} of the tumors{where} on validation scans, not on these."


def _confidence(rows: pd.DataFrame, report: dict[str, Any]) -> None:
    answers = pd.DataFrame({"confidence": rows[list(PROBABILITIES)].max(axis=1), "right": right_answers(rows)}).dropna()
    left, right = st.columns(2)
    with left:
        if len(answers):
            table = reliability(answers["confidence"], answers["right"])
            elements.chart(charts.reliability_diagram(table, report["calibration"]["ece"]["value"]), "reliability")
            st.caption(
                "Bars on the dotted line: the model is right as often as it says. Below it: it is too sure of itself."
            )
    with right:
        p_tumor, is_tumor = 1 - rows[f"p_{NO_TUMOR}"], rows["label"] != NO_TUMOR
        error = report["calibration"]["detection_ece"]["value"]
        elements.chart(
            charts.reliability_diagram(reliability(p_tumor, is_tumor), error, of_tumor=True), "reliability-tumor"
        )
        st.caption("The same for tumor or not, whatever the kind: how often there is one where P(tumor) is so high.")


def _breakdown(rows: pd.DataFrame, threshold: float) -> None:
    st.subheader("By dataset and class")
    table = by_dataset_and_class(rows, threshold=threshold).rename(
        columns={
            "images": "Images",
            "groups": "Groups",
            "right": "Right",
            "called_tumor": "Called tumor",
            "p_tumor": "Mean P(tumor)",
        }
    )
    table["dataset"], table["label"] = table["dataset"].map(source), table["label"].map(TITLES)
    elements.share_table(table.set_index(["dataset", "label"]).rename_axis(["Dataset", "Class"]), ("Images", "Groups"))
    st.caption(
        f"Right: the likeliest class is the true one (unknown where the kind is). Called tumor: P(tumor) is "
        f"{threshold:.3f} or more."
    )
