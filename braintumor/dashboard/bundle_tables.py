"""The tables that a trained bundle keeps on disk, and the figures that pages show from them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from braintumor.bundles import (
    CARD_FILE,
    FOREIGN_FILE,
    HEATMAP_FIGURES_FILE,
    HISTORY_FILE,
    MAP_BINS_FILE,
    PREDICTIONS_FILE,
    SEGMENTATION_FILE,
    BundleError,
    Card,
    HeatmapFigures,
    Metrics,
    SplitFigures,
    list_bundles,
    read_card,
    read_heatmap_figures,
)
from braintumor.bundles.figures import MaskFigures, Segmentation
from braintumor.evaluation import check, map_calibration, segmentation_figures
from braintumor.model_cards import HEADLINES, SPLITS, TEST, bounds
from braintumor.reports import percent
from braintumor.taxonomy import LABELS

HISTORY_COLUMNS: tuple[str, ...] = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
"""Columns that every history has; that of a network with a map has ``val_dice`` too."""

SCORE_COLUMNS: tuple[str, ...] = (
    *("dice", "iou", "hausdorff95_percent", "lesions", "lesions_found", "lesions_false"),
    *("tumor_share", "found_share"),
)
SEGMENTATION_COLUMNS: tuple[str, ...] = ("split", "dataset", "group", "label", "path", *SCORE_COLUMNS)
FOREIGN_COLUMNS: tuple[str, ...] = ("kind", "distance", "referred")
MAP_BIN_COLUMNS: tuple[str, ...] = ("split", "dataset", "bin", "pixels", "confidence_sum", "tumor_pixels")

WELL, PART, LARGE, BESIDE = "Outlined well", "Only part found", "Outline too large", "Mostly beside it"
ELSEWHERE, MISSED = "Found elsewhere", "Missed entirely"
OUTCOMES: dict[str, str] = {
    WELL: "Dice is 0.7 or more",
    PART: "the outline is smaller than the tumor",
    LARGE: "the outline, with any false region, is larger than the tumor",
    BESIDE: "less than half of the tumor is inside the outline, and less than half of the outline inside the tumor",
    ELSEWHERE: "something is outlined, but less than a tenth of any lesion",
    MISSED: "nothing is outlined",
}
"""What may become of an outlined tumor, from best to worst, and when: the best, else the worst that holds.

Source of the 0.7, called excellent agreement: Zijdenbos et al., IEEE Trans. Med. Imaging 13:716, 1994.
"""

_GOOD_DICE = 0.7
_IF_MEASURED = (FOREIGN_FILE, HEATMAP_FIGURES_FILE)


@dataclass(frozen=True, eq=False)
class BundleTables:
    """What a bundle's folder says about its training and its tests.

    ``history`` has ``HISTORY_COLUMNS`` (one row an epoch), ``predictions`` the columns that
    ``braintumor.evaluation.check`` asks for (one row an image), ``segmentation`` has ``SEGMENTATION_COLUMNS`` (one row
    an outlined image) and ``map_bins`` ``MAP_BIN_COLUMNS``. Each is None where ``problems`` says why, the last two
    also where the network has no map. ``foreign`` has ``FOREIGN_COLUMNS`` (one row a picture that is not brain MRI) and
    ``heatmaps`` what measuring the heatmaps gave; both are None where that was not done.
    """

    card: Card
    history: pd.DataFrame | None
    predictions: pd.DataFrame | None
    segmentation: pd.DataFrame | None
    map_bins: pd.DataFrame | None
    problems: tuple[str, ...]
    foreign: pd.DataFrame | None = None
    heatmaps: HeatmapFigures | None = None

    @property
    def real_distances(self) -> "pd.Series[float] | None":
        """Distances of the scans of the test from the training scans, or None where they were not kept."""
        rows = self.split(TEST)
        return rows["distance"] if rows is not None and "distance" in rows else None

    def split(self, name: str) -> pd.DataFrame | None:
        """Rows of the predictions of one split, or None where there are none."""
        return _rows_of(self.predictions, name)

    def outlined(self, name: str) -> pd.DataFrame | None:
        """Scores of the outlined images of one split, or None where there are none."""
        return _rows_of(self.segmentation, name)

    def cells(self, name: str) -> pd.DataFrame | None:
        """Cells of the maps of one split by their probability, or None where there are none."""
        return _rows_of(self.map_bins, name)


def bundle_folders(models_dir: Path) -> dict[Path, str]:
    """Find the bundles in ``models_dir``: folder to name on the card (with the folder where two share a name)."""
    folders = list_bundles(models_dir)
    names = {folder: _card_name(folder) for folder in folders}
    taken = list(names.values())
    return {folder: f"{name} ({folder.name})" if taken.count(name) > 1 else name for folder, name in names.items()}


def bundle_stamp(folder: Path) -> tuple[float, ...]:
    """Times of the last change of the bundle's files, in seconds; 0 for a missing one."""
    names = (CARD_FILE, HISTORY_FILE, PREDICTIONS_FILE, SEGMENTATION_FILE, MAP_BINS_FILE, *_IF_MEASURED)
    paths = [folder / name for name in names]
    return tuple(path.stat().st_mtime if path.is_file() else 0.0 for path in paths)


def bundle_tables(folder: Path) -> BundleTables:
    """Read a bundle's card and tables.

    Raises ``BundleError`` when the card cannot be read; a missing or broken table is told in ``problems``.
    """
    card = read_card(folder)
    problems: list[str] = []
    history = _table(folder / HISTORY_FILE, problems, _check_history)
    predictions = _table(folder / PREDICTIONS_FILE, problems, check)
    segmentation = map_bins = None
    if card.map is not None:
        segmentation = _table(folder / SEGMENTATION_FILE, problems, _check_segmentation)
        map_bins = _table(folder / MAP_BINS_FILE, problems, _check_map_bins)
    # Few models were tried on these, so that they were not is no problem.
    foreign = _table(folder / FOREIGN_FILE, problems, _check_foreign) if (folder / FOREIGN_FILE).is_file() else None
    heatmaps = read_heatmap_figures(folder)
    return BundleTables(card, history, predictions, segmentation, map_bins, tuple(problems), foreign, heatmaps)


def headline_table(metrics: Metrics, splits: Sequence[str]) -> pd.DataFrame:
    """Lay the headline figures of several splits under each other.

    Columns: figure, split (its title), value, low, high (NaN where undefined), is_share; figures that no split has are
    left out.
    """
    rows = []
    for headline in HEADLINES:
        found = {SPLITS[split]: bounds(metrics, split, headline) for split in splits}
        if any(math.isfinite(values[0]) for values in found.values()):
            rows += [(headline.title, name, *values, headline.is_share) for name, values in found.items()]
    return pd.DataFrame(rows, columns=["figure", "split", "value", "low", "high", "is_share"])


def segmentation_table(report: Segmentation) -> pd.DataFrame:
    """Lay out the figures of masks: a row a dataset, then one for each label where it has several.

    Columns: dataset, label (missing for all of a dataset with several), dice, low, high, first_quartile,
    third_quartile, and the other figures as ``MaskFigures`` names them; NaN where undefined.
    """
    parts: list[tuple[str, str | None, MaskFigures]] = []
    for dataset, found in report.datasets.items():
        parts += [(dataset, None, found)] if len(found.labels) > 1 else []
        parts += [(dataset, label, of_label) for label, of_label in found.labels.items()]
    rows = []
    for dataset, label, figures in parts:
        plain = figures.model_dump(exclude={"dice", "dice_quartiles", "labels"})
        dice = dict(zip(("dice", "low", "high"), figures.dice.floats, strict=True))
        quartiles = dict(zip(("first_quartile", "third_quartile"), figures.dice_quartiles, strict=True))
        rows.append({"dataset": dataset, "label": label, **dice, **quartiles, **plain})
    return pd.DataFrame(rows)


def outcomes(rows: pd.DataFrame) -> "pd.Series[str]":
    """Say what became of each outlined image, one of ``OUTCOMES``; ``rows`` has ``SCORE_COLUMNS``."""
    tumor, found = rows["tumor_share"], rows["found_share"]
    # Dice is what both share over half the sum of both, so it tells how much they share.
    shared = rows["dice"] * (tumor + found) / 2
    conditions = [
        rows["dice"] >= _GOOD_DICE,
        found == 0,
        rows["lesions_found"] == 0,
        (shared < tumor / 2) & (shared < found / 2),
        found < tumor,
    ]
    said = np.select([np.asarray(one) for one in conditions], [WELL, MISSED, ELSEWHERE, BESIDE, PART], LARGE)
    return pd.Series(said, index=rows.index, name="outcome", dtype=object)


def outcome_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Count ``outcomes`` by dataset, in the order of ``OUTCOMES``: a row an outcome, a column a dataset, and share.

    ``share`` is of all rows, from 0 to 1.
    """
    counts = pd.crosstab(outcomes(rows), rows["dataset"]).reindex(list(OUTCOMES), fill_value=0)
    return counts.rename_axis(index="outcome", columns=None).assign(share=counts.sum(axis=1) / len(rows))


def extreme_cases(rows: pd.DataFrame, best: int = 5, worst: int = 10) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the best and the worst outlined images, the most telling first, with ``outcome`` in words.

    Columns as ``rows`` has them, and outcome. Among equals the larger tumor comes first; where there are few images,
    none is in both.
    """
    ordered = rows.assign(outcome=_in_detail(rows)).sort_values(["dice", "tumor_share"], ascending=[True, False])
    lowest = ordered.head(min(worst, max(0, len(rows) - best)))
    rest = ordered.iloc[len(lowest) :].sort_values(["dice", "tumor_share"], ascending=False)
    return rest.head(best), lowest


def _in_detail(rows: pd.DataFrame) -> "pd.Series[str]":
    """Say what became of each image, and how many false regions lie elsewhere."""
    false = rows["lesions_false"].astype(int)
    words = [f", {count} false region{'s' if count > 1 else ''}" if count else "" for count in false]
    said = outcomes(rows)
    # Found elsewhere says it already.
    return said.where(said == ELSEWHERE, said + pd.Series(words, index=rows.index, dtype=object))


def training_overlap(report: SplitFigures) -> str:
    """Say how many images of a split were trained on, and what that does to accuracy over the four classes.

    A group lies in one part as a whole, so an image in training is one that the network itself was shown.
    """
    share = report.in_training_share
    if share is None:
        return "How many of these images were themselves in this model's training set is not known."
    said = f"{share:.0%} of these {report.images:,} images were themselves in this model's training set"
    if report.seen is None or not (report.seen.trained.known and report.seen.others.known):
        return f"{said}."
    trained, others = report.seen.trained, report.seen.others
    return (
        f"{said}. Of those it gets {percent(trained.accuracy.value)} right, "
        f"of the {others.known:,} others {percent(others.accuracy.value)}."
    )


def _card_name(folder: Path) -> str:
    try:
        return read_card(folder).name
    except BundleError:
        return folder.name


def _rows_of(table: pd.DataFrame | None, split: str) -> pd.DataFrame | None:
    if table is None:
        return None
    rows = table[table["split"] == split]
    return rows.reset_index(drop=True) if len(rows) else None


def _table(path: Path, problems: list[str], check_it: Callable[[pd.DataFrame], None]) -> pd.DataFrame | None:
    """Read a table; None, and a problem more, where it is missing or ``check_it`` raises ``ValueError``."""
    if not path.is_file():
        problems.append(f"{path.name} is missing from this model's folder; train the model again to write it.")
        return None
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as problem:
        # pandas raises subclasses of ValueError for empty and malformed files.
        first = str(problem).splitlines()[0]
        problems.append(f"{path.name} cannot be read ({first}); train the model again.")
        return None
    try:
        check_it(table)
    except ValueError as problem:
        problems.append(f"{path.name} cannot be used ({problem}); train the model again.")
        return None
    return table


def _check_columns(table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"it lacks the column {', '.join(missing)}")


def _check_foreign(table: pd.DataFrame) -> None:
    _check_columns(table, FOREIGN_COLUMNS)
    table[["distance", "referred"]].astype(float)


def _check_history(table: pd.DataFrame) -> None:
    _check_columns(table, HISTORY_COLUMNS)


def _check_segmentation(table: pd.DataFrame) -> None:
    _check_columns(table, SEGMENTATION_COLUMNS)
    scores = table[list(SCORE_COLUMNS)].astype(float)
    if scores.drop(columns="hausdorff95_percent").isna().any(axis=None):
        raise ValueError("a score is missing")
    unknown = sorted({str(label) for label in table["label"]} - set(LABELS))
    if unknown:
        raise ValueError(f"label is {unknown[0]!r}; it must be one of {', '.join(LABELS)}")
    for _, rows in table.groupby("split"):
        segmentation_figures(rows, resamples=0)


def _check_map_bins(table: pd.DataFrame) -> None:
    _check_columns(table, MAP_BIN_COLUMNS)
    table[["pixels", "confidence_sum", "tumor_pixels"]].astype(float)
    for _, rows in table.groupby("split"):
        map_calibration(rows)
