"""Every network side by side: what each is worth when nothing leaks, what it costs, and how much was leakage."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from braintumor import settings
from braintumor.dashboard import charts, choices, gate
from braintumor.dashboard.comparison_tables import (
    COMMAND,
    FIGURES,
    FOLDER,
    SPLITS,
    Comparison,
    ComparisonError,
    comparison_stamp,
    cut_short,
    interval_table,
    overview,
    paired_intervals,
    read_comparison,
    same_pictures,
)
from braintumor.dashboard.escaping import plain
from braintumor.dashboard.metric_sections import elements
from braintumor.datasets.catalogue import short_name
from braintumor.evaluation import reliability
from braintumor.evaluation.comparison import (
    BR35H_TO_NAVONEEL,
    BR35H_TO_NAVONEEL_LEAK_FREE,
    LEAK_FREE,
    PUBLISHED,
    known_answers,
)
from braintumor.reports import figure, in_words, interval, percent, spread
from braintumor.taxonomy import CLASSES, TITLES

_MOST_CHOSEN = 2


@st.cache_data(max_entries=2, show_spinner="Reading the comparison")
def _comparison(models_dir: Path, stamp: tuple[float, ...]) -> Comparison | None:
    return read_comparison(models_dir)


@st.cache_data(max_entries=4, show_spinner="Computing the figures")
def _same_pictures(models_dir: Path, stamp: tuple[float, ...], clean: str, leaking: str) -> pd.DataFrame:
    found = _comparison(models_dir, stamp)
    return pd.DataFrame() if found is None else same_pictures(found, clean, leaking)


def main() -> None:
    gate.current()
    st.title("Networks")
    models_dir = settings.load().models_dir
    stamp = comparison_stamp(models_dir)
    try:
        comparison = _comparison(models_dir, stamp)
    except ComparisonError as problem:
        st.error(str(problem))
        st.stop()
    if comparison is None:
        st.info(f"No networks have been compared yet; `{COMMAND}` writes the folder `{FOLDER}` among the models.")
        st.stop()
    for problem_text in comparison.problems:
        st.warning(problem_text)
    if comparison.trained:
        _protocol(comparison)
        _side_by_side(comparison)
        _leakage(comparison, _same_pictures(models_dir, stamp, LEAK_FREE, PUBLISHED))
        _tables(comparison)
        _closer(comparison)
    _reported(comparison, _same_pictures(models_dir, stamp, BR35H_TO_NAVONEEL_LEAK_FREE, BR35H_TO_NAVONEEL))
    _not_trained(comparison)
    _downloads(models_dir / FOLDER)


def _protocol(comparison: Comparison) -> None:
    planned = int(comparison.report["protocol"]["folds"])
    st.markdown(
        f"One protocol for every network: the same leak-free folds. {_folds_said(comparison, planned)} No copy of a "
        "test image, nor a slice of its block, is in the training set of its fold. Beside it stands, "
        ":orange-badge[Inflated], what the same network reaches on the split that a dataset was published with, where "
        f"{_leaking(comparison)} a copy in the training set."
    )


def _folds_said(comparison: Comparison, planned: int) -> str:
    counts = {name: len(comparison.folds(name)) for name in comparison.trained}
    most = max(counts.values())
    fewer = [f"{plain(comparison.title(name))}: {count}" for name, count in counts.items() if count < most]
    said = f"**{most} of {planned} folds were run**"
    said += f" (fewer of some: {'; '.join(fewer)})." if fewer else "."
    return said if most == planned else f"{said} Images of the other folds were not tested on."


def _leaking(comparison: Comparison) -> str:
    protocol = comparison.report["protocol"]
    share, dataset = protocol.get("published_test_in_training"), plain(short_name(str(protocol.get("published") or "")))
    if not isinstance(share, (int, float)):
        return "some test images have"
    return f"{percent(share)} of {dataset}'s test images have"


def _side_by_side(comparison: Comparison) -> None:
    st.header("How good is each?", divider="gray")
    figures = list(FIGURES)
    chosen = choices.selectbox("Figure", figures, figures[0], format_func=lambda key: FIGURES[key].title, key="figure")
    about = FIGURES[chosen]
    elements.chart(
        charts.network_intervals(interval_table(comparison, chosen), about.title, about.is_share), "intervals"
    )
    better = "Less is better" if about.less_is_better else "More is better"
    st.caption(
        f"{better}; the best on leak-free folds comes first. Bars: 95% intervals from drawing whole groups of near-"
        "identical images again and again. The dotted line joins what a network reaches without leakage to what it "
        "seems to reach with it. A network with epochs behind its name was stopped early: it shows what so short a "
        "training gives, not what it can reach."
    )
    if chosen in ("sensitivity", "specificity"):
        _threshold(comparison)


def _threshold(comparison: Comparison) -> None:
    found = comparison.report["protocol"].get("sensitivity")
    if isinstance(found, (int, float)):
        st.caption(
            f"Sensitivity and specificity are taken at each network's threshold that finds {percent(found)} of the "
            "tumors of each dataset on validation. The model that the app answers with may ship with another threshold."
        )


def _leakage(comparison: Comparison, same: pd.DataFrame) -> None:
    st.header("How much of it is leakage?", divider="gray")
    if same.empty:
        st.info("No picture was tested both on a leak-free fold and on the published split, so this is not known.")
        return
    st.markdown(
        "The two splits test different images, so part of the gap above is not leakage. Here is the same network on "
        "the same pictures, once trained without copies of them and once on the published training part."
    )
    table = pd.DataFrame(
        {
            "Network": [plain(title) for title in same["title"]],
            "No copy in training": _words(same, "leak_free"),
            "Published split (inflated)": _words(same, "published"),
            "Inflated by": [_points(*row) for row in same[["gap", "gap_low", "gap_high"]].itertuples(index=False)],
            "Images": [f"{count:,}" for count in same["images"]],
        }
    )
    st.table(table.set_index("Network"))
    st.caption(
        f"Accuracy {'over four classes' if comparison.tells_kinds else 'of tumor or not'}; in brackets 95% intervals "
        "over groups, for the gap with both answers of an image drawn together. Training sets differ in size and "
        "sources, too: the published one is of one collection alone. So do some trainings in length: the chart above "
        "names those that were cut short."
    )


def _words(table: pd.DataFrame, key: str) -> list[str]:
    columns = [key, f"{key}_low", f"{key}_high"]
    return [_unbroken(in_words(*row)) for row in table[columns].itertuples(index=False)]


def _points(value: float, low: float, high: float) -> str:
    """Write a difference of shares in percentage points."""
    if not math.isfinite(value):
        return "–"
    said = f"{100 * value:+.1f} points"
    if math.isfinite(low) and math.isfinite(high):
        said += f" ({100 * low:+.1f} to {100 * high:+.1f})"
    return _unbroken(said.replace("-", "−"))


def _unbroken(text: str) -> str:
    """Keep a value and its interval on one line, however narrow the page."""
    return text.replace(" ", "\u00a0")


def _tables(comparison: Comparison) -> None:
    st.header("All figures", divider="gray")
    table = overview(comparison)
    st.markdown("**Leak-free folds**, and the published accuracy (inflated) beside them")
    _figures_table(table)
    _threshold(comparison)
    st.caption(
        "A click on a column sorts by it. To the default: difference of accuracy on the same images, in percentage "
        "points; p is of McNemar's test of their single answers, which takes images for independent, so it is rather "
        "too small."
    )
    st.markdown("**What each costs**")
    _costs_table(table)
    st.caption(
        "Training minutes and images are means of the leak-free folds. Epochs: trained of planned. "
        f"{_latency_said(comparison)} FLOPs are of one image."
    )
    st.download_button(
        "Download this table (CSV)",
        "\ufeff" + table.to_csv(index=False),
        "networks.csv",
        "text/csv",
        key="download-table",
        on_click="ignore",
    )


def _latency_said(comparison: Comparison) -> str:
    measured_on = comparison.report.get("measured_on")
    where = f" on {plain(str(measured_on))}" if measured_on else ""
    return f"Latency{where}, one image at a time."


def _figures_table(table: pd.DataFrame) -> None:
    shown: dict[str, Any] = {}
    config: dict[str, Any] = {"Network": st.column_config.TextColumn(pinned=True)}
    for key, about in FIGURES.items():
        shown[about.title] = (100 if about.is_share else 1) * table[key]
        config[about.title] = st.column_config.NumberColumn(format="%.1f%%" if about.is_share else "%.3f")
        bounds = table[[f"{key}_low", f"{key}_high"]].itertuples(index=False)
        shown[f"{about.title}: 95%"] = [interval(low, high, about.is_share) for low, high in bounds]
        if key == "accuracy":
            shown["Published (inflated)"] = 100 * table["published_accuracy"]
            config["Published (inflated)"] = st.column_config.NumberColumn(format="%.1f%%")
            shown["To the default"] = 100 * table["difference"]
            config["To the default"] = st.column_config.NumberColumn(format="%+.1f")
            bounds = table[["difference_low", "difference_high"]].itertuples(index=False)
            # The default network has none, as it is not measured against itself.
            shown["To the default: 95%"] = [interval(*pair) if math.isfinite(pair[0]) else None for pair in bounds]
            shown["McNemar's p"] = table["p"]
            config["McNemar's p"] = st.column_config.NumberColumn(format="%.3g")
    frame = pd.DataFrame({"Network": table["title"], **shown}).set_index("Network")
    st.dataframe(frame, width="stretch", height="content", column_config=config, placeholder="–")


def _costs_table(table: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "Network": table["title"],
            "Parameters": table["parameters"],
            "GFLOPs": table["flops"] / 1e9,
            "On disk": table["bytes_on_disk"] / 1e6,
            "Latency": table["latency_ms"],
            "Training": table["minutes"],
            "Epochs": table["epochs"],
            "Folds": table["folds"],
            "Training images": table["images"],
            "Initial weights": table["initial_weights"],
            "Trained on": table["device"],
        }
    ).set_index("Network")
    formats = {
        "Parameters": "localized",
        "GFLOPs": "%.2f",
        "On disk": "%.1f MB",
        "Latency": "%.1f ms",
        "Training": "%.1f min",
        "Training images": "%.0f",
    }
    config: dict[str, Any] = {name: st.column_config.NumberColumn(format=text) for name, text in formats.items()}
    config["Network"] = st.column_config.TextColumn(pinned=True)
    st.dataframe(shown, width="stretch", height="content", column_config=config, placeholder="–")


def _closer(comparison: Comparison) -> None:
    st.header("Look closer", divider="gray")
    names = list(comparison.trained)
    first = [comparison.default] if comparison.default in names else names[:1]
    chosen = choices.multiselect(
        "Networks", names, first, format_func=comparison.title, max_selections=_MOST_CHOSEN, key="chosen"
    )
    split = choices.segmented_control(
        "Images", list(SPLITS), LEAK_FREE, required=True, format_func=SPLITS.__getitem__, key="split"
    )
    if split == PUBLISHED:
        st.caption(":orange-badge[Inflated] Everything below is about images of which copies were trained on.")
    shares = st.toggle("Show shares of each true class", key="shares")
    parts = [
        (name, draw)
        for draw in (_confusion(shares), _ranking, _calibration, _classes, _learning("accuracy"), _learning("loss"))
        for name in chosen
        if comparison.networks[name].get(split)
    ]
    if not parts:
        st.info("Choose a network that was run on these images.")
    for start in range(0, len(parts), 2):
        for column, (name, draw) in zip(st.columns(2), parts[start : start + 2], strict=False):
            with column:
                st.markdown(f"**{plain(comparison.title(name))}**, {SPLITS[split].lower()}")
                draw(comparison, name, split)


_Draw = Callable[[Comparison, str, str], None]


def _confusion(shares: bool) -> _Draw:
    def draw(comparison: Comparison, name: str, split: str) -> None:
        counts = comparison.networks[name][split]["confusion"]
        elements.chart(charts.confusion_matrix(counts, shares), f"confusion-{name}")

    return draw


def _ranking(comparison: Comparison, name: str, split: str) -> None:
    rows = comparison.rows(name, split)
    if rows is not None:
        elements.chart(charts.roc_curves(rows), f"roc-{name}")


def _calibration(comparison: Comparison, name: str, split: str) -> None:
    rows = comparison.rows(name, split)
    if rows is None:
        return
    known = known_answers(rows)
    table = reliability(known["confidence"].to_numpy(), known["right"].to_numpy())
    error = spread(comparison.networks[name][split].get("ece") or {})[0]
    elements.chart(charts.reliability_diagram(table, error if math.isfinite(error) else None), f"reliability-{name}")


def _classes(comparison: Comparison, name: str, split: str) -> None:
    found = comparison.networks[name][split]
    rows = {
        TITLES[one]: {
            "Precision": _share(found["classes"][one].get("precision")),
            "Recall": _share(found["classes"][one].get("recall")),
            "F1": _share(found["classes"][one].get("f1")),
            "ROC AUC": _unbroken(figure(spread(found["classes"][one].get("auc") or {})[0], False)),
            "Images": f"{int(found['classes'][one]['images']):,}",
        }
        for one in CLASSES
    }
    st.table(pd.DataFrame(rows).T.rename_axis("Class"))
    st.caption(f"{int(found['images']):,} images in {int(found['groups']):,} groups; in brackets 95% intervals.")


def _share(found: dict[str, float | None] | None) -> str:
    value, low, high = spread(found or {})
    # The value on a line, its interval on the next where the column is narrow.
    return figure(value) + (f" ({_unbroken(interval(low, high))})" if math.isfinite(low) else "")


def _learning(quantity: str) -> _Draw:
    def draw(comparison: Comparison, name: str, split: str) -> None:
        folds = sorted({int(run["fold"]) for run in comparison.runs(name, split)})
        kept = [fold for fold in folds if comparison.history(name, split, fold) is not None]
        if not kept:
            st.caption("It learns in one step or from other networks, so it has no curve of its epochs.")
            return
        fold = kept[0]
        if len(kept) > 1:
            key = f"fold-{quantity}-{name}"
            fold = choices.segmented_control(f"Fold of the {quantity}", kept, fold, required=True, key=key)
        history = comparison.history(name, split, fold)
        assert history is not None
        elements.chart(charts.learning_curves(history, quantity), f"{quantity}-{name}")

    return draw


def _reported(comparison: Comparison, across: pd.DataFrame) -> None:
    said = {name: str(facts["reported"]) for name, facts in comparison.networks.items() if facts.get("reported")}
    if not said and across.empty:
        return
    st.header("What their authors reported", divider="gray")
    for name, text in said.items():
        st.markdown(f"- **{plain(comparison.title(name))}**: {plain(text)} {_measured(comparison, name)}")
    st.caption("Figures of their authors are quoted, on data and splits of their own; they were not measured here.")
    if not across.empty:
        _across(comparison, across)


def _across(comparison: Comparison, across: pd.DataFrame) -> None:
    """Measure again what was published for networks that learn from the one set and are tested on the other."""
    share = comparison.report["protocol"].get(f"{BR35H_TO_NAVONEEL}_test_in_training")
    shared = f"{percent(share)} of the test images" if isinstance(share, (int, float)) else "most test images"
    st.markdown(
        f"**Trained on Br35H, tested on Navoneel's set**, as some publish for tumor or not: {shared} have a copy in "
        "the training set. Beside it the same test, trained without what the two sets share."
    )
    elements.chart(charts.network_intervals(paired_intervals(across), "Accuracy, tumor or not", True), "across")
    splits = {
        BR35H_TO_NAVONEEL: ("published", "As published (inflated)"),
        BR35H_TO_NAVONEEL_LEAK_FREE: ("leak_free", "Leak-free"),
    }
    shown: dict[str, list[str]] = {"Network": [_with_epochs(comparison, name, [*splits]) for name in across["network"]]}
    for split, (key, title) in splits.items():
        figures = [comparison.networks[name][split] for name in across["network"]]
        shown[title] = _words(across, key)
        shown[f"F1, {title[0].lower()}{title[1:]}"] = [_share(one.get("f1_tumor")) for one in figures]
    shown["Inflated by"] = [_points(*row) for row in across[["gap", "gap_low", "gap_high"]].itertuples(index=False)]
    st.table(pd.DataFrame(shown).set_index("Network"))
    st.caption(
        f"Accuracy and F1 of tumor or not at even odds, {int(across['images'].max()):,} images. "
        f"{_learned_from(comparison, str(across['network'].iloc[0]))}"
    )


def _with_epochs(comparison: Comparison, name: str, splits: list[str]) -> str:
    """Give a network's title, and how far its trainings on these splits came where one was cut short."""
    stopped = cut_short([run for split in splits for run in comparison.runs(name, split)])
    return plain(", ".join(filter(None, [comparison.title(name), stopped])))


def _learned_from(comparison: Comparison, name: str) -> str:
    counts = [
        run.get("images")
        for split in (BR35H_TO_NAVONEEL, BR35H_TO_NAVONEEL_LEAK_FREE)
        for run in comparison.runs(name, split)
    ]
    if len(counts) != 2 or not all(isinstance(count, int) for count in counts):
        return ""
    return (
        f"Training images: {counts[0]:,} as published, {counts[1]:,} leak-free, so part of the gap is that less is "
        "learned from."
    )


def _measured(comparison: Comparison, name: str) -> str:
    if name not in comparison.trained:
        return "Here: not trained."
    told = [
        f"{where}: {_both_accuracies(figures)}"
        for split, where in ((LEAK_FREE, "leak-free"), (PUBLISHED, "on the published split (inflated)"))
        if (figures := comparison.networks[name].get(split))
    ]
    return f"Here, {'; '.join(told)}." if told else "Here: on neither split."


def _both_accuracies(figures: dict[str, Any]) -> str:
    known = {
        words: values
        for key, words in (("accuracy", "over four classes"), ("accuracy_tumor", "for tumor or not"))
        if math.isfinite((values := spread(figures.get(key) or {}))[0])
    }
    return " and ".join(f"{in_words(*values)} {words}" for words, values in known.items())


def _not_trained(comparison: Comparison) -> None:
    left = [name for name in comparison.networks if name not in comparison.trained]
    if not left:
        return
    st.header("Not trained", divider="gray")
    for name in left:
        why = comparison.networks[name].get("not_trained") or "It has no figures yet."
        st.markdown(f"- **{plain(comparison.title(name))}**: {plain(str(why))}")


def _downloads(folder: Path) -> None:
    st.header("Take the numbers with you", divider="gray")
    with st.container(horizontal=True):
        for path in sorted(folder.glob("*")):
            if path.suffix in (".json", ".csv"):
                st.download_button(
                    path.name,
                    path.read_bytes(),
                    f"{FOLDER}-{path.name}",
                    "application/json" if path.suffix == ".json" else "text/csv",
                    key=f"download-{path.name}",
                    on_click="ignore",
                )


main()
