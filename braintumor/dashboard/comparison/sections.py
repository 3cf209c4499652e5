"""Sections of the page "Networks": what each is worth, how much of that is leakage, and what it costs."""

import math

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from braintumor.dashboard import charts, choices
from braintumor.dashboard.comparison.files import Comparison, cut_short
from braintumor.dashboard.comparison.tables import CLEAN, LEAKING, interval_table, overview, paired_intervals
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.datasets.catalogue import short_name
from braintumor.evaluation.comparison_schema import LEAK_FREE
from braintumor.reports import in_words, interval, listed, percent, spread


def protocol(comparison: Comparison) -> None:
    """Say how networks were compared."""
    published = comparison.report.published
    leaking = "some test images have"
    if published:
        split = comparison.report.splits[published]
        leaking = f"{percent(split.test_in_training)} of {_named(split.train_on)}'s test images have"
    st.markdown(
        f"One protocol for every network: the same leak-free folds. {_folds_said(comparison)} No copy of a test image, "
        "nor a slice of its block, is in the training set of its fold. Beside it stands, :orange-badge[Inflated], what "
        f"the same network reaches on the split that a dataset was published with, where {leaking} a copy in the "
        "training set."
    )


def _named(datasets: tuple[str, ...]) -> str:
    return plain(listed([short_name(name) for name in datasets]))


def _folds_said(comparison: Comparison) -> str:
    planned = comparison.report.protocol.folds
    counts = {name: len(row.folds) for name, row in comparison.trained.items()}
    most = max(counts.values())
    fewer = [f"{plain(comparison.title(name))}: {count}" for name, count in counts.items() if count < most]
    said = f"**{most} of {planned} folds were run**"
    said += f" (fewer of some: {'; '.join(fewer)})." if fewer else "."
    return said if most == planned else f"{said} Images of the other folds were not tested on."


def side_by_side(comparison: Comparison) -> None:
    """Draw one figure of every network, leak-free and as published."""
    st.header("How good is each?", divider="gray")
    figures = comparison.figures
    chosen = choices.selectbox(
        "Figure", [*figures], "accuracy", format_func=lambda key: figures[key].title, key="figure"
    )
    about = figures[chosen]
    table = interval_table(comparison, chosen)
    is_short = table["network"].map(comparison.is_short)
    if not is_short.all():
        elements.chart(charts.network_intervals(table[~is_short], about.title, about.is_share), "intervals")
    better = "Less is better" if about.less_is_better else "More is better"
    st.caption(
        f"{better}; the best on leak-free folds comes first. Bars: 95% intervals from drawing whole groups of near-"
        "identical images again and again. The dotted line joins what a network reaches without leakage to what it "
        "seems to reach with it."
    )
    if chosen in ("sensitivity", "specificity"):
        _threshold(comparison)
    if is_short.any():
        st.subheader("Trained too short to be ranked")
        st.caption(
            "In the order of their names. The epochs behind a name were all that it was trained for, so its figures "
            "show what so short a training gives and not what the network can reach."
        )
        apart = table[is_short].sort_values("title", kind="stable")
        elements.chart(charts.network_intervals(apart, about.title, about.is_share), "intervals_short")


def _threshold(comparison: Comparison) -> None:
    st.caption(
        "Sensitivity and specificity are taken at each network's threshold that finds "
        f"{percent(comparison.report.protocol.sensitivity)} of the tumors of each dataset on validation. The model "
        "that the app answers with may ship with another threshold."
    )


def leakage(comparison: Comparison, same: pd.DataFrame) -> None:
    """Show what networks reach on pictures of both splits; ``same`` is what ``same_pictures`` gives."""
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
            "No copy in training": _words(same, CLEAN),
            "Published split (inflated)": _words(same, LEAKING),
            "Inflated by": _points(same),
            "Images": [f"{count:,}" for count in same["images"]],
        }
    )
    st.table(table.set_index("Network"))
    st.caption(
        f"Accuracy {'over four classes' if comparison.tells_kinds else 'of tumor or not'}; in brackets 95% intervals "
        "over groups, for the gap with both answers of an image drawn together. Training sets differ in size and "
        "sources, too: the published one is of one collection only. So do some trainings in length: the chart above "
        "names those that were cut short."
    )


def _words(table: pd.DataFrame, key: str) -> list[str]:
    return [unbroken(in_words(*bounds)) for bounds in _bounds(table, key)]


def _points(table: pd.DataFrame) -> list[str]:
    """Write the gap between shares in percentage points."""
    said = []
    for value, low, high in _bounds(table, "gap"):
        words = f"{100 * value:+.1f} points"
        if math.isfinite(low) and math.isfinite(high):
            words += f" ({100 * low:+.1f} to {100 * high:+.1f})"
        said.append(unbroken(words.replace("-", "−")))
    return said


def _bounds(table: pd.DataFrame, key: str) -> list[tuple[float, float, float]]:
    rows: list[list[float]] = table[[key, f"{key}_low", f"{key}_high"]].to_numpy(dtype=float).tolist()
    return [(value, low, high) for value, low, high in rows]


def unbroken(text: str) -> str:
    """Keep a value and its interval on one line, however narrow the page."""
    return text.replace(" ", "\u00a0")


def tables(comparison: Comparison) -> None:
    """Show all figures and costs, and offer them as CSV."""
    st.header("All figures", divider="gray")
    table = overview(comparison)
    st.markdown("**Leak-free folds**, and the published accuracy (inflated) beside them")
    _figures_table(comparison, table)
    _threshold(comparison)
    st.caption(
        "A click on a column sorts by it. To the default: difference of accuracy on the same images, in percentage "
        "points; p is of McNemar's test of their single answers, which takes images for independent, so it is rather "
        "too small."
    )
    st.markdown("**What each costs**")
    _costs_table(table)
    measured_on = sorted({row.measured_on for row in comparison.trained.values() if row.measured_on})
    where = f" on {plain(' and '.join(measured_on))}" if measured_on else ""
    st.caption(
        "Training minutes and images are means of the leak-free folds. Epochs: trained of planned. "
        f"Latency{where}, one image at a time. FLOPs are of one image."
    )
    st.download_button(
        "Download this table (CSV)",
        "\ufeff" + table.to_csv(index=False),
        "networks.csv",
        "text/csv",
        key="download-table",
        on_click="ignore",
    )


def _figures_table(comparison: Comparison, table: pd.DataFrame) -> None:
    shown: dict[str, pd.Series[float] | list[str | None]] = {}
    config: dict[str, ColumnConfig] = {"Network": st.column_config.TextColumn(pinned=True)}
    for key, about in comparison.figures.items():
        shown[about.title] = (100 if about.is_share else 1) * table[key]
        config[about.title] = st.column_config.NumberColumn(format="%.1f%%" if about.is_share else "%.3f")
        bounds = _bounds(table, key)
        shown[f"{about.title}: 95%"] = [interval(low, high, about.is_share) for _, low, high in bounds]
        if key == "accuracy":
            shown["Published (inflated)"] = 100 * table["published_accuracy"]
            config["Published (inflated)"] = st.column_config.NumberColumn(format="%.1f%%")
            shown["To the default"] = 100 * table["difference"]
            config["To the default"] = st.column_config.NumberColumn(format="%+.1f")
            # The default network has none, as it is not measured against itself.
            shown["To the default: 95%"] = [
                interval(low, high) if math.isfinite(low) else None for _, low, high in _bounds(table, "difference")
            ]
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
    config = {name: st.column_config.NumberColumn(format=text) for name, text in formats.items()}
    config["Network"] = st.column_config.TextColumn(pinned=True)
    st.dataframe(shown, width="stretch", height="content", column_config=config, placeholder="–")


def reported(comparison: Comparison, across: pd.DataFrame) -> None:
    """Quote what authors reported beside what was measured; ``across`` is of networks trained on another dataset."""
    said = {name: row.reported for name, row in comparison.report.networks.items() if row.reported}
    if not said and across.empty:
        return
    st.header("What their authors reported", divider="gray")
    for name, text in said.items():
        st.markdown(f"- **{plain(comparison.title(name))}**: {plain(text)} {_measured(comparison, name)}")
    st.caption("Figures of their authors are quoted, on data and splits of their own; they were not measured here.")
    if not across.empty:
        _across(comparison, across)


def _across(comparison: Comparison, across: pd.DataFrame) -> None:
    """Measure again what was published for networks that learn from one set and are tested on another."""
    assert comparison.report.across is not None
    leaking, clean = comparison.report.across
    split = comparison.report.splits[leaking]
    st.markdown(
        f"**Trained on {_named(split.train_on)}, tested on {_named(split.test_on)}'s set**, as some publish for tumor "
        f"or not: {percent(split.test_in_training)} of the test images have a copy in the training set. Beside it the "
        "same test, trained without what the two sets share."
    )
    elements.chart(charts.network_intervals(paired_intervals(across), "Accuracy, tumor or not", True), "across")
    names = [str(name) for name in across["network"]]
    shown = {"Network": [_with_epochs(comparison, name, leaking, clean) for name in names]}
    for name, key, title in ((leaking, LEAKING, "As published (inflated)"), (clean, CLEAN, "Leak-free")):
        shown[title] = _words(across, key)
        shown[f"F1, {title[0].lower()}{title[1:]}"] = [
            share(comparison.report.networks[network].figures[name].f1_tumor) for network in names
        ]
    shown["Inflated by"] = _points(across)
    st.table(pd.DataFrame(shown).set_index("Network"))
    (first, *_), (alone, *_) = (comparison.runs(names[0], name) for name in (leaking, clean))
    st.caption(
        f"Accuracy and F1 of tumor or not at even odds, {int(across['images'].max()):,} images. Training images: "
        f"{first.images:,} as published, {alone.images:,} leak-free, so part of the gap is that less is learned from."
    )


def share(found: dict[str, float | None]) -> str:
    """Write a share with its interval, which stands on the next line where the column is narrow."""
    value, low, high = spread(found)
    return percent(value) + (f" ({unbroken(interval(low, high))})" if math.isfinite(low) else "")


def _with_epochs(comparison: Comparison, name: str, *splits: str) -> str:
    """Give a network's title, and how far its trainings on these splits came where one was cut short."""
    stopped = cut_short(comparison.runs(name, *splits))
    return plain(", ".join(filter(None, [comparison.title(name), stopped])))


def _measured(comparison: Comparison, name: str) -> str:
    if name not in comparison.trained:
        return "Here: not trained."
    splits = ((LEAK_FREE, "leak-free"), (comparison.report.published, "on the published split (inflated)"))
    told = [
        f"{where}: {_both_accuracies(comparison, name, split)}"
        for split, where in splits
        if split in comparison.report.networks[name].figures
    ]
    return f"Here, {'; '.join(told)}." if told else "Here: on neither split."


def _both_accuracies(comparison: Comparison, name: str, split: str | None) -> str:
    said = (("accuracy", "over four classes"), ("accuracy_tumor", "for tumor or not"))
    known = [(comparison.spread(name, split, key), words) for key, words in said]
    return " and ".join(f"{in_words(*values)} {words}" for values, words in known if math.isfinite(values[0]))


def not_trained(comparison: Comparison) -> None:
    """Say of each network without figures why it has none."""
    left = [name for name in comparison.report.networks if name not in comparison.trained]
    if not left:
        return
    st.header("Not trained", divider="gray")
    for name in left:
        why = comparison.report.networks[name].not_trained or "It has no figures yet."
        st.markdown(f"- **{plain(comparison.title(name))}**: {plain(why)}")
