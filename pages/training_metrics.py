"""How the model was trained and how good it is on scans it has never seen."""

from collections.abc import Callable
from pathlib import Path

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
from braintumor.dashboard import choices, gate
from braintumor.dashboard.bundle_tables import BundleTables, bundle_folders, bundle_stamp, bundle_tables
from braintumor.dashboard.metric_sections import (
    closer,
    foreign,
    headlines,
    heatmaps,
    hospitals,
    mirrored,
    outlines,
    referral,
    training_curves,
)
from braintumor.dashboard.tabs import show_tabs


@st.cache_data(max_entries=8, show_spinner="Reading the model's files")
def _tables(folder: Path, stamp: tuple[float, ...]) -> BundleTables:
    return bundle_tables(folder)


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
    headlines.show_card(tables.card)
    for problem_text in tables.problems:
        st.warning(problem_text)
    sections: dict[str, Callable[[], object]] = {
        "Summary": lambda: _summary(tables),
        "Other hospitals": lambda: hospitals.show(tables.card),
        "Referral": lambda: _referral(tables),
        "Outlines": lambda: _outlines(tables),
        "Training": lambda: _training(tables),
        "Look closer": lambda: closer.show(tables),
        "Files": lambda: _downloads(folder),
    }
    if tables.history is None:
        del sections["Training"]
    show_tabs(sections, "metrics_tab")


def _summary(tables: BundleTables) -> None:
    hospitals.show_first(tables.card)
    headlines.show(tables.card)


def _referral(tables: BundleTables) -> None:
    referral.show(tables)
    foreign.show(tables)


def _outlines(tables: BundleTables) -> None:
    outlines.show(tables)
    mirrored.show(tables.card.metrics.mirrored_test)
    heatmaps.show(tables)


def _training(tables: BundleTables) -> None:
    if tables.history is not None:
        training_curves.show(tables.history)


def _choose_bundle() -> Path:
    known = bundle_folders(settings.load().models_dir)
    if not known:
        st.info(
            "There is no trained model yet; train one with `python -m braintumor train`, or set "
            "`BRAINTUMOR_MODELS_DIR` to the folder that holds your models."
        )
        st.stop()
    folders = list(known)
    default = next((folder for folder in folders if folder.name == settings.load().model), folders[0])
    return choices.selectbox("Model", folders, default, format_func=lambda folder: known[folder])


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
