"""How the model was trained and how good it is on scans it has never seen."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from braintumor import settings
from braintumor.bundles import (
    CARD_FILE,
    HISTORY_FILE,
    MAP_BINS_FILE,
    PREDICTIONS_FILE,
    SEGMENTATION_FILE,
    BundleError,
)
from braintumor.dashboard import charts, gate
from braintumor.dashboard.bundle_tables import (
    FIRST,
    OUTCOMES,
    TEST,
    BundleTables,
    bundle_folders,
    bundle_stamp,
    bundle_tables,
    extreme_cases,
    headline_table,
    outcome_counts,
    segmentation_table,
    spread,
    training_overlap,
)
from braintumor.dashboard.escaping import plain
from braintumor.evaluation import by_dataset_and_class, map_calibration, rates_at, reliability, risk_coverage
from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.reports import figure, in_words, interval, percent
from braintumor.taxonomy import CLASSES, NO_TUMOR, TITLES

SPLITS = {TEST: "Leak-free test", "published_test": "Published test (inflated)"}


@st.cache_data(max_entries=8, show_spinner="Reading the model's files")
def _tables(folder: Path, stamp: tuple[float, ...]) -> BundleTables:
    return bundle_tables(folder)


@st.cache_data(max_entries=32, show_spinner="Computing the figures")
def _figures(folder: Path, stamp: tuple[float, ...], split: str) -> dict[str, Any] | None:
    return _tables(folder, stamp).figures(split)


def _show(chart: go.Figure, key: str) -> None:
    st.plotly_chart(
        chart,
        width="stretch",
        theme="streamlit",
        key=key,
        alt=charts.alt_text(chart),
        config={"displayModeBar": False},
    )


def main() -> None:
    gate.current()
    st.title("Training metrics")
    folder = _choose_bundle()
    stamp = bundle_stamp(folder)
    try:
        tables = _tables(folder, stamp)
    except BundleError as problem:
        st.error(str(problem))
        st.stop()
    _card(tables.card)
    for problem_text in tables.problems:
        st.warning(problem_text)
    reports = {split: _figures(folder, stamp, split) for split in SPLITS}
    _headlines(reports, tables)
    _outlines(tables, reports[TEST] or {})
    _mirrored((reports[TEST] or {}).get("mirrored") or {})
    if tables.history is not None:
        _learning(tables.history)
    _one_split(tables, reports)
    _downloads(folder)


def _choose_bundle() -> Path:
    known = bundle_folders(settings.load().models_dir)
    if not known:
        st.info(
            "There is no trained model yet; train one with `python -m braintumor train`, or set "
            "`BRAINTUMOR_MODELS_DIR` to the folder that holds your models."
        )
        st.stop()
    folders = list(known)
    default = next((n for n, folder in enumerate(folders) if folder.name == settings.load().model), 0)
    return st.selectbox("Model", folders, index=default, format_func=lambda folder: known[folder])


def _metric(label: str, value: str, below: str, meaning: str) -> None:
    """Show a card with a figure, and below it in small what it may be between."""
    st.metric(
        label,
        value,
        delta=below,
        delta_color="off",
        delta_arrow="off",
        border=True,
        width=charts.CARD_PIXELS,
        help=meaning,
    )


def _card(card: dict[str, Any]) -> None:
    facts = {
        "network": card.get("network"),
        "version": card.get("version"),
        "trained": card.get("created"),
        "tumor score": _score_words(card.get("calibration")),
        "temperature of the kinds": _number(card.get("calibration"), "temperature"),
        "outline from P(tumor)": _number(card.get("map"), "threshold"),
    }
    st.caption(" · ".join(f"{name} {value}" for name, value in facts.items() if value is not None))


def _score_words(calibration: object) -> str | None:
    slope, shift = _number(calibration, "slope"), _number(calibration, "shift")
    if slope is None or shift is None:
        return None
    return f"calibrated × {slope} {'−' if shift.startswith('-') else '+'} {shift.removeprefix('-')}"


def _number(section: object, name: str) -> str | None:
    value = section.get(name) if isinstance(section, dict) else None
    return f"{value:.3f}" if isinstance(value, (int, float)) and math.isfinite(value) else None


def _headlines(reports: dict[str, dict[str, Any] | None], tables: BundleTables) -> None:
    st.header("How good is it?", divider="gray")
    clean, leaky = reports["test"], reports["published_test"]
    if clean is None and leaky is None:
        st.info(f"This model has no test figures; evaluate it to write {PREDICTIONS_FILE}.")
        return
    table = headline_table({SPLITS[split]: report for split, report in reports.items() if report is not None})
    if clean is not None:
        _leak_free(clean, table[table["split"] == SPLITS["test"]])
    if leaky is not None:
        overlap = training_overlap(tables.split("published_test"), leaky)
        st.warning(
            f"**The figures of the published test are inflated.** {overlap} They are shown only to compare with "
            "publications."
        )
    columns = ["value", "low", "high", "is_share"]
    texts = [in_words(*row) for row in table[columns].itertuples(index=False)]
    # A value and its interval stay on one line, however narrow the page.
    words = table.assign(text=[text.replace(" ", "\u00a0") for text in texts])
    left, right = st.columns([3, 2])
    with left:
        wide = words.pivot(index="figure", columns="split", values="text").rename_axis("Figure")
        st.table(wide.loc[table["figure"].unique()])
    with right:
        # Of a calibration error less is better, so it would read wrongly beside the others.
        shares = table[~table["figure"].str.startswith("Calibration")]
        shares = shares[shares.groupby("figure")["low"].transform("count") > 0]
        _show(charts.headline_intervals(shares), "headlines")
    st.caption(
        "In brackets and as bars: the 95% interval, found by drawing whole groups of near-"
        "identical images again and again. Only for calibration error is lower better."
    )


def _leak_free(report: dict[str, Any], table: pd.DataFrame) -> None:
    st.markdown(
        f"**{SPLITS['test']}**: {report.get('images', 0):,} images in {report.get('groups', 0):,} groups; no group has "
        "an image in the training set. These are the figures to trust."
        if not report.get("in_training_share")
        else f":red-badge[Leak] {percent(report['in_training_share'])} of the images of the test that should be "
        "leak-free were themselves in the training set; do not trust these figures."
    )
    with st.container(horizontal=True):
        for row in table[table["figure"].isin(list(FIRST))].itertuples():
            _metric(
                FIRST[row.figure],
                figure(row.value, row.is_share),
                interval(row.low, row.high, row.is_share),
                row.figure,
            )


def _outlines(tables: BundleTables, report: Mapping[str, Any]) -> None:
    if not tables.has_map:
        st.caption("This model gives no map of where a tumor is, so it has no outlines to measure.")
        return
    figures, rows, cells = report.get("segmentation"), tables.outlined(TEST), tables.cells(TEST)
    if figures is None and tables.segmentation is None:
        # The table is missing or broken, as a warning above says.
        return
    st.header("Where is the tumor?", divider="gray")
    if figures is None:
        st.info(f"No picture of the {SPLITS[TEST].lower()} has an outline drawn by hand to measure against.")
        return
    st.markdown(
        f"Outlines as the app draws them against those drawn by hand, on {figures['images']:,} pictures of the "
        f"{SPLITS[TEST].lower()} in {figures['groups']:,} groups. Where the answer is “no tumor” the outline "
        "is empty, and the Dice of a tumor so missed is 0."
    )
    _outline_cards(figures["datasets"])
    _outline_table(segmentation_table(figures))
    if rows is not None:
        _outline_charts(rows, cells)
        _cases(rows)


def _outline_cards(datasets: Mapping[str, Any]) -> None:
    for dataset, found in datasets.items():
        st.markdown(f"**{plain(_source(dataset))}**: {found['images']:,} pictures in {found['groups']:,} groups")
        value, low, high = spread(found["dice"])
        first, third = found["dice_quartiles"]
        with st.container(horizontal=True):
            _metric(
                "Mean Dice",
                figure(value, False),
                interval(low, high, False),
                "Overlap of both outlines, from 0 to 1 (the same); below, the 95% interval",
            )
            _metric(
                "Median Dice",
                figure(found["dice_median"], False),
                f"IQR: {interval(first, third, False)}",
                "Half of the pictures reach it; below, the interquartile range, where the middle half lies",
            )
            _metric(
                "Lesions found",
                percent(found["lesion_sensitivity"]),
                f"{found['lesions_found']:,} of {found['lesions']:,}",
                "Lesion sensitivity: a lesion is found where a tenth of it or more is inside the outline",
            )
            _metric(
                "False regions",
                f"{found['false_lesions_per_image']:.2f}",
                "per picture",
                "Outlined regions that touch no lesion, for each picture with a tumor",
            )


def _outline_table(table: pd.DataFrame) -> None:
    labels = table["label"].map(TITLES).fillna("All")
    shown = pd.DataFrame(
        {
            "Pictures": labels + ", " + table["dataset"].map(_source),
            "Mean Dice": [in_words(row.dice, row.low, row.high, False) for row in table.itertuples()],
            "Median": table["dice_median"],
            "Quartiles": [interval(row.first_quartile, row.third_quartile, False) for row in table.itertuples()],
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
        _show(charts.overlap_boxes(rows, quantity), "overlap")
        st.caption(
            "Each dot is a picture; the box holds the middle half, its line is the median. Dots at 0 are misses."
        )
    with right:
        # As high as the toggle, so that both charts start on one line.
        st.space(32)
        _show(charts.overlap_by_size(rows), "overlap-by-size")
        st.caption(
            "Small tumors are harder to match: a border off by one pixel costs them a larger share of their area."
        )
    left, right = st.columns(2)
    with left:
        _show(charts.distance_curves(rows), "distance")
        st.caption(
            "The sooner a line rises, the closer the outlines. Pictures without an outline never count as within, so "
            "a line that ends below 100% tells how many were missed."
        )
    with right:
        if cells is not None:
            table, error = map_calibration(cells)
            _show(charts.map_reliability_diagram(table, error), "map-reliability")
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
    st.table(counts.rename(columns=_source).assign(Share=share, When=OUTCOMES).rename_axis("Outline"))
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


def _source(dataset: str) -> str:
    return charts.SOURCES.get(dataset, dataset)


def _mirrored(report: Mapping[str, Any]) -> None:
    detection = report.get("detection")
    if not detection:
        return
    st.header("The same slices without their tumor", divider="gray")
    st.markdown(
        "In public sets nearly every contrast-enhanced slice shows a tumor, so a network could tell tumors by the kind "
        f"of picture; here picture and label no longer go together. {detection['tumors']:,} test slices with a tumor "
        "in one half stand beside themselves with that half replaced by the mirrored other one."
    )
    with st.container(horizontal=True):
        for title, key, is_share, meaning in (
            ("ROC AUC", "roc_auc", False, "Chance that a slice scores higher than a tumor-free one; 0.5 is guessing"),
            ("Sensitivity", "sensitivity", True, "Share of the slices with their tumor that are called"),
            ("Specificity", "specificity", True, "Share of the slices without it that are not called"),
        ):
            value, low, high = spread(detection[key])
            _metric(title, figure(value, is_share), interval(low, high, is_share), meaning)
    st.caption(
        f"{report['images']:,} pictures in {report['groups']:,} groups, at the model's operating point; below the "
        "figures their 95% intervals. A head that is its own mirror image is a hint, too, so on real tumor-free slices "
        "of these scanners it may be worse."
    )


def _learning(history: pd.DataFrame) -> None:
    st.header("How did it learn?", divider="gray")
    for column, quantity in zip(st.columns(2), ("accuracy", "loss"), strict=True):
        with column:
            _show(charts.learning_curves(history, quantity), f"history-{quantity}")
    st.caption(
        "Both lines should settle. A training line that keeps improving while the validation line does not means that "
        "the model learns its scans by heart."
    )
    if "val_dice" in history and history["val_dice"].notna().any():
        _show(charts.learning_curves(history, "dice"), "history-dice")
        st.caption(
            "How well the map, cut at a probability of one half, agrees with the outlines of validation pictures."
        )


def _one_split(tables: BundleTables, reports: dict[str, dict[str, Any] | None]) -> None:
    rows = {split: found for split in SPLITS if (found := tables.split(split)) is not None}
    if not rows:
        return
    st.header("Look closer", divider="gray")
    split = st.segmented_control(
        "Images", list(rows), default=next(iter(rows)), required=True, format_func=SPLITS.__getitem__, key="split"
    )
    chosen, report = rows[split], reports[split]
    if report is None:
        return
    if split == "published_test":
        st.caption(":orange-badge[Inflated] Everything below is about images of which many were trained on.")
    threshold = 0.5 if tables.threshold is None else tables.threshold
    _errors(report)
    _ranking(chosen)
    _threshold_picker(chosen, threshold, tables.threshold is None)
    _confidence(chosen, report)
    _breakdown(chosen, threshold)


def _errors(report: dict[str, Any]) -> None:
    left, right = st.columns(2)
    four = report["four_class"]
    with left:
        shares = st.toggle("Show shares of each true class", key="shares")
        _show(charts.confusion_matrix(four["confusion_matrix"]["counts"], shares), "confusion")
        st.caption("Right answers are on the diagonal; a dark cell off it is a kind of mistake the model often makes.")
    with right:
        st.subheader("Classification report")
        table = pd.DataFrame(four["per_class"]).T.rename(index=TITLES)
        macro = [four["macro_precision"], four["macro_recall"], four["macro_f1"]["value"], four["images"]]
        table.loc["Mean of the classes"] = pd.Series(macro, index=["precision", "recall", "f1", "support"])
        names = {"precision": "Precision", "recall": "Recall", "f1": "F1", "support": "Images"}
        _numbers(table.rename_axis("Class").rename(columns=names), ("Images",))
        st.caption(
            "Precision: share of the calls of a class that are right. Recall: share of its scans that are found. "
            "F1: their harmonic mean."
        )


def _numbers(table: pd.DataFrame, whole: tuple[str, ...]) -> None:
    """Show a table of shares as percentages, and of the columns in ``whole`` as they are."""
    shown = table.astype(float)
    shares = [name for name in shown.columns if name not in whole]
    shown[shares] *= 100
    formats = dict.fromkeys(shares, "%.1f%%") | dict.fromkeys(whole, "%d")
    config = {name: st.column_config.NumberColumn(name, format=text) for name, text in formats.items()}
    st.dataframe(shown, width="stretch", height="content", column_config=config, placeholder="–")


def _ranking(rows: pd.DataFrame) -> None:
    left, right = st.columns(2)
    with left:
        _show(charts.roc_curves(rows), "roc")
        st.caption("The closer a curve comes to the top left corner, the better; the dotted diagonal is guessing.")
    with right:
        _show(charts.precision_recall_curves(rows), "precision-recall")
        st.caption("The closer a curve stays to the top right corner, the better; it tells more where a class is rare.")


@st.fragment
def _threshold_picker(rows: pd.DataFrame, threshold: float, unnamed: bool) -> None:
    gate.current()
    st.subheader("Move the threshold")
    # A key for each start value: another model brings its own operating point instead of the last one moved to.
    chosen = st.slider(
        "Call it a tumor from this P(tumor) on", 0.0, 1.0, threshold, 0.001, "%.3f", key=f"threshold-{threshold}"
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
    _show(charts.operating_curve(p_tumor, is_tumor, chosen), "operating")
    start = "The model's card names no operating point, so it starts at 0.5. " if unnamed else ""
    st.caption(
        f"{start}A lower threshold finds more tumors and raises more false alarms. PPV and NPV hold for this set, "
        f"where {is_tumor.mean():.0%} of the images show a tumor; with another share they differ."
    )


def _confidence(rows: pd.DataFrame, report: dict[str, Any]) -> None:
    known = rows[rows["label"].isin(CLASSES)]
    chances = known[list(PROBABILITIES)].to_numpy()
    right_answer = pd.Series(CLASSES)[chances.argmax(axis=1)].to_numpy() == known["label"].to_numpy()
    left, right = st.columns(2)
    with left:
        table = reliability(chances.max(axis=1), right_answer)
        _show(charts.reliability_diagram(table, report["calibration"]["ece"]["value"]), "reliability")
        st.caption(
            "Bars on the dotted line: the model is right as often as it says. Below it: it is too sure of itself."
        )
    with right:
        _show(charts.risk_coverage_curve(risk_coverage(chances.max(axis=1), right_answer)), "risk-coverage")
        st.caption(
            "Moving left, fewer and surer answers are given; the line should fall to show that doubt is well placed."
        )


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
    table["dataset"], table["label"] = table["dataset"].map(_source), table["label"].map(TITLES)
    _numbers(table.set_index(["dataset", "label"]).rename_axis(["Dataset", "Class"]), ("Images", "Groups"))
    st.caption(
        f"Right: the likeliest class is the true one (unknown where the kind is). Called tumor: P(tumor) is "
        f"{threshold:.3f} or more."
    )


def _downloads(folder: Path) -> None:
    st.header("Take the numbers with you", divider="gray")
    files = {
        CARD_FILE: ("Model card (JSON)", "application/json"),
        HISTORY_FILE: ("Training history (CSV)", "text/csv"),
        PREDICTIONS_FILE: ("Predictions (CSV)", "text/csv"),
        SEGMENTATION_FILE: ("Outline scores (CSV)", "text/csv"),
        MAP_BINS_FILE: ("Map cells (CSV)", "text/csv"),
    }
    with st.container(horizontal=True):
        for name, (label, kind) in files.items():
            path = folder / name
            if path.is_file():
                st.download_button(
                    label,
                    path.read_bytes(),
                    f"{folder.name}-{name}",
                    kind,
                    key=f"download-{name}",
                    on_click="ignore",
                )


main()
