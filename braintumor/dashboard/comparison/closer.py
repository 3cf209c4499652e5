"""The section of the page "Networks" that shows one or two networks in detail."""

import math
from collections.abc import Callable

import pandas as pd
import streamlit as st

from braintumor.dashboard import charts, choices
from braintumor.dashboard.comparison.files import Comparison
from braintumor.dashboard.comparison.sections import share, unbroken
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.evaluation import reliability
from braintumor.evaluation.comparison import known_answers
from braintumor.evaluation.comparison_schema import LEAK_FREE
from braintumor.reports import figure, spread
from braintumor.taxonomy import CLASSES, TITLES

_MOST_CHOSEN = 2

_Draw = Callable[[Comparison, str, str], None]


def look_closer(comparison: Comparison) -> None:
    """Let one or two networks be chosen, and draw what each does on a split."""
    st.header("Look closer", divider="gray")
    names, default = [*comparison.trained], comparison.report.default
    first = [default] if default in names else names[:1]
    chosen = choices.multiselect(
        "Networks", names, first, format_func=comparison.title, max_selections=_MOST_CHOSEN, key="chosen"
    )
    split = choices.segmented_control(
        "Images", [*comparison.shown], LEAK_FREE, required=True, format_func=comparison.split_title, key="split"
    )
    if split != LEAK_FREE:
        st.caption(":orange-badge[Inflated] Everything below is about images of which copies were trained on.")
    shares = st.toggle("Show shares of each true class", key="shares")
    drawn = (_confusion(shares), _ranking, _calibration, _classes, _learning("accuracy"), _learning("loss"))
    parts = [(name, draw) for draw in drawn for name in chosen if split in comparison.report.networks[name].figures]
    if not parts:
        st.info("Choose a network that was run on these images.")
    for start in range(0, len(parts), 2):
        for column, (name, draw) in zip(st.columns(2), parts[start : start + 2], strict=False):
            with column:
                st.markdown(f"**{plain(comparison.title(name))}**, {comparison.split_title(split).lower()}")
                draw(comparison, name, split)


def _confusion(shares: bool) -> _Draw:
    def draw(comparison: Comparison, name: str, split: str) -> None:
        counts = comparison.report.networks[name].figures[split].confusion
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
    error = comparison.spread(name, split, "ece")[0]
    elements.chart(charts.reliability_diagram(table, error if math.isfinite(error) else None), f"reliability-{name}")


def _classes(comparison: Comparison, name: str, split: str) -> None:
    found = comparison.report.networks[name].figures[split]
    rows = {
        TITLES[one]: {
            "Precision": share(found.classes[one].precision),
            "Recall": share(found.classes[one].recall),
            "F1": share(found.classes[one].f1),
            "ROC AUC": unbroken(figure(spread(found.classes[one].auc)[0], False)),
            "Images": f"{found.classes[one].images:,}",
        }
        for one in CLASSES
    }
    st.table(pd.DataFrame(rows).T.rename_axis("Class"))
    st.caption(f"{found.images:,} images in {found.groups:,} groups; in brackets 95% intervals.")


def _learning(quantity: str) -> _Draw:
    def draw(comparison: Comparison, name: str, split: str) -> None:
        folds = sorted({run.fold for run in comparison.runs(name, split)})
        kept = {fold: found for fold in folds if (found := comparison.history(name, split, fold)) is not None}
        if not kept:
            st.caption("It learns in one step or from other networks, so it has no curve of its epochs.")
            return
        fold = next(iter(kept))
        if len(kept) > 1:
            key = f"fold-{quantity}-{name}"
            fold = choices.segmented_control(f"Fold of the {quantity}", [*kept], fold, required=True, key=key)
        elements.chart(charts.learning_curves(kept[fold], quantity), f"{quantity}-{name}")

    return draw
