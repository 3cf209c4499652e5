"""Every chart of one split: errors, ranking, threshold, calibration, and figures by source."""

import pandas as pd
import streamlit as st

from braintumor.bundles import SplitFigures
from braintumor.bundles.schema import OperatingPoint
from braintumor.dashboard import charts, choices, gate
from braintumor.dashboard.bundle_tables import BundleTables
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.datasets.catalogue import short_name
from braintumor.evaluation import rates_at, reliability
from braintumor.evaluation.samples import right_answers
from braintumor.model_cards import PUBLISHED, SPLITS
from braintumor.reports import listed, percent
from braintumor.taxonomy import NO_TUMOR, PROBABILITIES, TITLES


def show(tables: BundleTables) -> None:
    """Let one of ``SPLITS`` be chosen and show all that is drawn of it."""
    rows = {split: found for split in SPLITS if (found := tables.split(split)) is not None}
    if not rows:
        return
    st.header("Look closer", divider="gray")
    splits = list(rows)
    split = choices.segmented_control(
        "Images", splits, splits[0], required=True, format_func=SPLITS.__getitem__, key="split"
    )
    chosen, report = rows[split], tables.card.metrics.split(split)
    if report is None:
        return
    if split == PUBLISHED:
        st.caption(":orange-badge[Inflated] Everything below is about images of which many were trained on.")
    if tables.card.kinds:
        _errors(report)
    else:
        st.caption("This model tells only tumor or not, so there are no classes that it could mix up.")
    _ranking(chosen)
    point = tables.card.operating_point
    _threshold_picker(chosen, point.threshold, _origin(point))
    _confidence(chosen, report)
    _breakdown(report)


def _errors(report: SplitFigures) -> None:
    left, right = st.columns(2)
    four = report.four_class
    with left:
        shares = st.toggle("Show shares of each true class", key="shares")
        elements.chart(charts.confusion_matrix(four.confusion_matrix.counts, shares), "confusion")
        st.caption("Right answers are on the diagonal; a dark cell off it is a kind of mistake the model often makes.")
    with right:
        st.subheader("Classification report")
        rows = {
            TITLES[name]: (found.precision.value, found.recall.value, found.f1.value, found.support)
            for name, found in four.per_class.items()
        }
        rows["Mean of the classes"] = (four.macro_precision, four.macro_recall, four.macro_f1.value, four.images)
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["Precision", "Recall", "F1", "Images"])
        elements.share_table(table.rename_axis("Class"), ("Images",))
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


def _origin(point: OperatingPoint) -> str:
    """Say where the slider starts, and what that was chosen for."""
    names = listed([short_name(name) for name in point.datasets])
    where = f" of {plain(names)} each" if names else ""
    return (
        f"It starts at the model's operating point, {point.threshold:.3f}, chosen to find at least "
        f"{point.chosen_for_sensitivity:.0%} of the tumors{where} on validation scans, not on these."
    )


def _confidence(rows: pd.DataFrame, report: SplitFigures) -> None:
    answers = pd.DataFrame({"confidence": rows[list(PROBABILITIES)].max(axis=1), "right": right_answers(rows)}).dropna()
    left, right = st.columns(2)
    with left:
        if len(answers):
            table = reliability(answers["confidence"], answers["right"])
            elements.chart(charts.reliability_diagram(table, report.calibration.ece.value), "reliability")
            st.caption(
                "Bars on the dotted line: the model is right as often as it says. Below it: it is too sure of itself."
            )
    with right:
        p_tumor, is_tumor = 1 - rows[f"p_{NO_TUMOR}"], rows["label"] != NO_TUMOR
        error = report.calibration.detection_ece.value
        elements.chart(
            charts.reliability_diagram(reliability(p_tumor, is_tumor), error, of_tumor=True), "reliability-tumor"
        )
        st.caption("The same for tumor or not, whatever the kind: how often there is one where P(tumor) is so high.")


def _breakdown(report: SplitFigures) -> None:
    st.subheader("By dataset and class")
    rows = {
        (short_name(dataset), TITLES[label]): (
            one.images,
            one.groups,
            one.right.value,
            one.detected.value,
            one.answered.value,
            one.p_tumor,
        )
        for dataset, found in report.datasets.items()
        for label, one in found.labels.items()
    }
    columns = ["Images", "Groups", "Right", "Tumor or not right", "Answered", "Mean P(tumor)"]
    table = pd.DataFrame(
        list(rows.values()), pd.MultiIndex.from_tuples(list(rows), names=["Dataset", "Class"]), columns
    )
    elements.share_table(table, ("Images", "Groups"))
    st.caption(
        "Right: the likeliest class is the true one (unknown where the kind is). Tumor or not right: P(tumor) is on "
        f"the right side of {report.threshold:.3f}. Answered: not referred."
    )
