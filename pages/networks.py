"""Every network side by side: what each is worth when nothing leaks, what it costs, and how much was leakage."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from braintumor import settings
from braintumor.dashboard import gate
from braintumor.dashboard.comparison import (
    COMMAND,
    Comparison,
    ComparisonError,
    comparison_stamp,
    read_comparison,
    same_pictures,
    sections,
)
from braintumor.dashboard.comparison.closer import look_closer
from braintumor.dashboard.tabs import show_tabs
from braintumor.evaluation.comparison_schema import LEAK_FREE


@st.cache_data(max_entries=2, show_spinner="Reading the comparison")
def _comparison(folder: Path, stamp: tuple[float, ...]) -> Comparison | None:
    return read_comparison(folder)


@st.cache_data(max_entries=4, show_spinner="Computing the figures")
def _same_pictures(folder: Path, stamp: tuple[float, ...], clean: str | None, leaking: str | None) -> pd.DataFrame:
    found = _comparison(folder, stamp)
    return pd.DataFrame() if found is None else same_pictures(found, clean, leaking)


def main() -> None:
    gate.current()
    st.title("Networks")
    folder = settings.load().comparison
    stamp = comparison_stamp(folder)
    try:
        comparison = _comparison(folder, stamp)
    except ComparisonError as problem:
        st.error(str(problem))
        st.stop()
    if comparison is None:
        st.info(f"No networks have been compared yet; `{COMMAND}` writes the folder `{folder.name}` among the results.")
        st.stop()
    for problem_text in comparison.problems:
        st.warning(problem_text)
    measured: dict[str, Callable[[], object]] = {
        "Summary": lambda: _summary(comparison),
        "Leakage": lambda: _leakage(comparison, folder, stamp),
        "All figures": lambda: sections.tables(comparison),
        "Look closer": lambda: look_closer(comparison),
    }
    beside: dict[str, Callable[[], object]] = {
        "Reported elsewhere": lambda: _beside(comparison, folder, stamp),
        "Files": lambda: _downloads(folder),
    }
    show_tabs({**(measured if comparison.trained else {}), **beside}, "networks_tab")


def _summary(comparison: Comparison) -> None:
    sections.protocol(comparison)
    sections.side_by_side(comparison)


def _leakage(comparison: Comparison, folder: Path, stamp: tuple[float, ...]) -> None:
    sections.leakage(comparison, _same_pictures(folder, stamp, LEAK_FREE, comparison.report.published))


def _beside(comparison: Comparison, folder: Path, stamp: tuple[float, ...]) -> None:
    leaking, clean = comparison.report.across or (None, None)
    sections.reported(comparison, _same_pictures(folder, stamp, clean, leaking))
    sections.not_trained(comparison)


def _downloads(folder: Path) -> None:
    st.header("Take the numbers with you", divider="gray")
    kinds = {".json": "application/json", ".csv": "text/csv"}
    with st.container(horizontal=True):
        for path in sorted(path for path in folder.glob("*") if path.suffix in kinds):
            st.download_button(
                path.name,
                path.read_bytes(),
                f"{folder.name}-{path.name}",
                kinds[path.suffix],
                key=f"download-{path.name}",
                on_click="ignore",
            )


main()
