"""What the collections leak, and what that does to the figures of one and the same network."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from braintumor import settings
from braintumor.bundles import BundleError, read_card
from braintumor.dashboard import charts, gate
from braintumor.dashboard.comparison import COMMAND as COMPARE
from braintumor.dashboard.comparison import (
    ComparisonError,
    comparison_stamp,
    paired_intervals,
    read_comparison,
    same_pictures,
)
from braintumor.dashboard.leakage_tables import (
    COMMAND,
    OWN,
    Audit,
    AuditError,
    audit_file,
    conflict_table,
    dataset_table,
    read_audit,
    seen_and_unseen,
    sizes_table,
)
from braintumor.dashboard.metric_sections import elements
from braintumor.dashboard.plain_text import plain
from braintumor.dashboard.tabs import show_tabs
from braintumor.datasets.catalogue import short_name
from braintumor.evaluation.comparison_schema import LEAK_FREE
from braintumor.reports import guarded, percent
from braintumor.taxonomy import TITLES


@st.cache_data(max_entries=2, show_spinner="Computing the figures")
def _same_pictures(folder: Path, stamp: tuple[float, ...]) -> pd.DataFrame:
    found = read_comparison(folder)
    return pd.DataFrame() if found is None else same_pictures(found, LEAK_FREE, found.report.published)


def main() -> None:
    gate.current()
    st.title("Leakage")
    st.markdown(
        "A test image that was copied, turned or mirrored into the training set tests memory, not skill. This is what "
        "the audit of the collections found, and what such copies do to the figures of a network."
    )
    configured = settings.load()
    sections: dict[str, Callable[[], object]] = {}
    try:
        audit = read_audit(audit_file(configured.data_dir))
        _show_summary(audit)
        sections = {
            "Published splits": lambda: _show_splits(audit),
            "Copies": lambda: _show_copies(audit),
        }
    except AuditError as problem:
        st.error(str(problem))
    sections["What it does to a network"] = lambda: _show_effect(configured)
    show_tabs(sections, "leakage_tab")


def _show_effect(configured: settings.Settings) -> None:
    st.header("The same network, with and without leakage", divider="gray")
    _show_model(configured.models_dir / configured.model)
    _show_networks(configured.comparison)


def _show_summary(audit: Audit) -> None:
    report = audit.report
    st.caption(
        f"The audit that `{COMMAND}` wrote of a collection of this server."
        if audit.is_own
        else "The audit of the public collections that the shipped model was made from. Whoever runs this server can "
        f"show that of their own: `{COMMAND}`, with its file put at `{OWN.as_posix()}` in the folder of "
        "`BRAINTUMOR_DATA_DIR`."
    )
    conflicts = conflict_table(audit)
    cards = (
        ("Images", f"{report['images']:,}", "", "Files with a picture"),
        ("Distinct", f"{report['distinct_pictures']:,}", "pictures", "Copies of one picture count once"),
        ("Groups", f"{report['groups']:,}", "kept together", "Copies, and neighboring slices, that no split may part"),
        ("With a copy", percent(report["share_with_near_duplicate"]), "of the images", "Copied, turned or mirrored"),
        ("Conflicts", f"{len(conflicts):,}", "pictures", "Pictures whose copies carry labels that cannot both be true"),
    )
    with st.container(horizontal=True):
        for card in cards:
            elements.figure_card(*card)


def _show_splits(audit: Audit) -> None:
    _show_datasets(audit)
    _show_parts(audit)


def _show_copies(audit: Audit) -> None:
    _show_sizes(audit)
    _show_conflicts(conflict_table(audit))


def _show_datasets(audit: Audit) -> None:
    st.header("Published splits", divider="gray")
    table = dataset_table(audit)
    published = table.dropna(subset="test_in_train")
    for name, share, images in zip(
        published["dataset"], published["test_in_train"], published["test_images"], strict=True
    ):
        st.markdown(
            f"- **{plain(short_name(name))}**: {percent(share)} of the {images:,} "
            "images of the published test have a copy in the published training part."
        )
    shown = pd.DataFrame(
        {
            "Dataset": [guarded(short_name(name)) for name in table["dataset"]],
            "Images": table["images"],
            "Distinct pictures": table["distinct"],
            "With a copy in the set": 100 * table["with_copy"],
            "Published test": table["test_images"].where(table["test_images"] > 0).astype("Int64"),
            "Of it with a copy in training": 100 * table["test_in_train"],
        }
    ).set_index("Dataset")
    shares = ("With a copy in the set", "Of it with a copy in training")
    config = {name: st.column_config.NumberColumn(format="%.1f%%") for name in shares}
    st.dataframe(shown, width="stretch", height="content", column_config=config, placeholder="–")
    st.caption("A dash: the collection is published without a split into training and test.")


def _show_sizes(audit: Audit) -> None:
    st.header("How often is a picture there?", divider="gray")
    left, right = st.columns(2)
    with left:
        table = sizes_table(audit, "copies_of_a_picture")
        elements.chart(charts.size_bars(table, "Copies of a picture", "copies", "pictures"), "copies")
        alone = int(table["number"].iloc[0])
        st.caption(f"{alone:,} of {int(table['number'].sum()):,} pictures are there only once.")
    with right:
        table = sizes_table(audit, "images_of_a_group")
        elements.chart(charts.size_bars(table, "Size of the groups", "images", "groups"), "groups")
        st.caption(
            "A group holds copies, copies of copies, and slices that lie side by side; leak-free splits keep it whole."
        )


def _show_parts(audit: Audit) -> None:
    st.header("Where are the copies?", divider="gray")
    titles = [short_name(title.split(", ")[0]) + "".join(title.partition(", ")[1:]) for title in audit.part_titles]
    elements.chart(charts.copies_matrix(titles, audit.part_shares), "parts")
    st.caption(
        "A row is a published part of a collection: what share of its images has a copy in each other part, and on the "
        "diagonal another one in the same part. Whoever trains on one part and tests on the other tests on so many "
        "images that the network was shown."
    )


def _show_conflicts(conflicts: pd.DataFrame) -> None:
    if conflicts.empty:
        return
    st.header("Labels that contradict each other", divider="gray")
    shown = pd.DataFrame(
        {
            "Picture": conflicts["picture"].map(guarded),
            "Copies": conflicts["copies"],
            "Labels": [
                ", ".join(TITLES.get(label, label) for label in text.split(", ")) for text in conflicts["labels"]
            ],
            "Datasets": [
                guarded(", ".join(short_name(name) for name in text.split(", "))) for text in conflicts["datasets"]
            ],
        }
    )
    st.dataframe(shown, width="stretch", height="content", hide_index=True)
    st.caption("Copies of one picture with labels of which one must be wrong; `audit.json` names the files.")


def _show_model(folder: Path) -> None:
    try:
        table = seen_and_unseen(read_card(folder).metrics)
    except BundleError as problem:
        st.warning(str(problem))
        return
    if table.empty:
        st.info("The model was not measured on a published test, so it cannot be told what leakage does to it.")
        return
    st.subheader("The app's own model", anchor=False)
    elements.chart(charts.network_intervals(table, "Accuracy", True), "seen")
    counts = " · ".join(f"{row.title} {row.images:,}" for row in table.itertuples())
    st.caption(
        "One and the same network. It was trained on leak-free groups, so some images of a published test were among "
        f"those it was shown; the others it was not trained on, though some were in validation. Images: {counts}."
    )


def _show_networks(folder: Path) -> None:
    st.subheader("Each network, trained twice", anchor=False)
    try:
        same = _same_pictures(folder, comparison_stamp(folder))
    except ComparisonError as problem:
        st.error(str(problem))
        return
    if same.empty:
        st.info(f"No network was trained both ways yet; `{COMPARE}` does so.")
        return
    elements.chart(charts.network_intervals(paired_intervals(same), "Accuracy", True), "networks")
    st.caption(
        f"The same {int(same['images'].max()):,} pictures at most, once on a leak-free fold, once after training "
        "on the published training part with the copies that it holds. The training sets differ in size and sources, "
        "too, and some trainings in length: the page “Networks” names those that were cut short."
    )


main()
