"""How the model answers at hospitals that it has never seen."""

import math

import pandas as pd
import streamlit as st

from braintumor.bundles import Card
from braintumor.bundles.figures import HospitalFigures, SequenceStacks
from braintumor.dashboard import charts
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.model_cards import HELD_OUT, SEQUENCES
from braintumor.reports import figure, interval, listed

_CALLED, _CLEARED = "Tumor-free called a tumor", "Tumors answered with no tumor"


def show_first(card: Card) -> None:
    """Show what is reached at each hospital that was only measured, as cards; nothing where none was."""
    report = card.metrics.hospital_test
    for name, parts in (report.hospitals or {} if report else {}).items():
        _cards(name, parts[""])


def _cards(name: str, found: HospitalFigures) -> None:
    st.header("At a hospital it has never seen", anchor=False)
    st.caption(
        f"Hospital {plain(name)}: {found.images:,} slices of {found.patients} patients, {found.tumors:,} with a tumor. "
        "No choice was made on them. Ranges are 95% intervals, drawn by patient."
    )
    shown = (
        ("ROC AUC", found.roc_auc, False, "Tumor or not, slice by slice; 0.5 is guessing"),
        ("Answered", found.answered, True, "Share of the slices that get an answer; the rest is referred"),
        ("False alarms", found.called_tumor_free, True, "Share of the slices without a tumor that are called a tumor"),
        ("Missed", found.cleared_tumors, True, "Share of the slices with a tumor that are answered with no tumor"),
        ("Refused", found.refused, True, "Share of the slices that are refused as not a brain MRI"),
    )
    with st.container(horizontal=True):
        for label, one, is_share, meaning in shown:
            value, low, high = one.floats
            if math.isfinite(value):
                elements.figure_card(label, figure(value, is_share), interval(low, high, is_share), meaning)


def show(card: Card) -> None:
    """Show each held-out hospital by sequence, height in the head and lesion size, and its whole stacks."""
    shown = False
    for split, said in HELD_OUT.items():
        report = card.metrics.split(split)
        hospitals = report.hospitals or {} if report else {}
        stacks = card.stacks.get(split, {})
        if not hospitals and not stacks:
            continue
        shown = True
        names = [plain(name) for name in dict.fromkeys([*hospitals, *stacks])]
        st.header(f"{'Hospitals' if len(names) > 1 else 'Hospital'} {listed(names)}", divider="gray")
        st.markdown(f"{said}.")
        for name, by_sequence in hospitals.items():
            placed = (report.hospital_parts or {} if report else {}).get(name, {})
            _charts(name, {SEQUENCES.get(key, key): one for key, one in by_sequence.items()}, placed)
        _stacks({name: whole.sequences for name, whole in stacks.items()})
    if not shown:
        st.info("This model was measured at no hospital that was held out; train it with `--test-hospitals`.")


def _charts(name: str, by_sequence: dict[str, HospitalFigures], placed: dict[str, HospitalFigures]) -> None:
    left, right = st.columns(2)
    with left:
        rows = [_row(title, "ROC AUC × 100", one.roc_auc.floats) for title, one in {**by_sequence, **placed}.items()]
        known = pd.DataFrame(rows).dropna(subset="value")
        elements.chart(charts.headline_intervals(known, "ROC AUC", "ROC AUC × 100"), f"hospital-areas-{name}")
    with right:
        rows = [
            _row(title, what, one.floats)
            for title, found in {**by_sequence, **placed}.items()
            for what, one in ((_CALLED, found.called_tumor_free), (_CLEARED, found.cleared_tumors))
        ]
        known = pd.DataFrame(rows).dropna(subset="value")
        elements.chart(charts.headline_intervals(known, "Errors", "Percent of these slices"), f"hospital-errors-{name}")
    st.caption(
        "By sequence, by quarter of the head's height from the neck up, and by the share of the picture that the tumor "
        "covers. A slice counts as tumor-free where neither it nor a neighbor has an outline. The outline is the "
        "abnormality on FLAIR, which T1 before contrast often does not show."
        if placed
        else "By sequence. A slice counts as tumor-free where neither it nor a neighbor has an outline."
    )


def _row(title: str, what: str, floats: tuple[float, float, float]) -> dict[str, object]:
    value, low, high = floats
    return {"figure": title, "split": what, "value": value, "low": low, "high": high, "is_share": True}


def _stacks(hospitals: dict[str, dict[str, SequenceStacks]]) -> None:
    rows = [
        {
            "Hospital": hospital,
            "Sequence": SEQUENCES.get(sequence, sequence),
            "Stacks": kind,
            "How many": answers.stacks,
            "Tumor": answers.tumor,
            "No tumor": answers.no_tumor,
            "Referred": answers.refer,
        }
        for hospital, sequences in hospitals.items()
        for sequence, found in sequences.items()
        for kind, answers in (("with a tumor", found.with_tumor), ("without", found.without))
        if answers.stacks
    ]
    if rows:
        st.subheader("Whole stacks of slices", anchor=False)
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", height="content")
