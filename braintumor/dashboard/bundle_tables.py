"""The tables that a trained bundle keeps on disk, and the figures that pages show from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from braintumor.bundles import (
    CARD_FILE,
    HISTORY_FILE,
    PREDICTIONS_FILE,
    BundleError,
    list_bundles,
    read_card,
)
from braintumor.evaluation import check, figures

HISTORY_COLUMNS: tuple[str, ...] = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")

HEADLINES: tuple[tuple[str, str, str], ...] = (
    ("Accuracy, four classes", "four_class", "accuracy"),
    ("Balanced accuracy, four classes", "four_class", "balanced_accuracy"),
    ("Macro F1, four classes", "four_class", "macro_f1"),
    ("Accuracy, Cheng scans", "cheng_three_class", "accuracy"),
    ("Kind of tumor, Cheng scans", "cheng_three_class", "accuracy_given_tumor"),
    ("Tumor or not: ROC AUC", "detection", "roc_auc"),
    ("Tumor or not: sensitivity", "detection", "sensitivity"),
    ("Tumor or not: specificity", "detection", "specificity"),
    ("Web images: ROC AUC", "web_detection", "roc_auc"),
    ("Web images: sensitivity", "web_detection", "sensitivity"),
    ("Web images: specificity", "web_detection", "specificity"),
    ("Calibration error (ECE), four classes", "calibration", "ece"),
    ("Calibration error (ECE), tumor or not", "calibration", "detection_ece"),
    ("Share answered, not referred", "answered", "share"),
    ("Accuracy of what is answered", "answered", "accuracy"),
)
"""Title, section and key of each headline figure of ``braintumor.evaluation.figures``."""


@dataclass(frozen=True, eq=False)
class BundleTables:
    """What a bundle's folder says about its training and its tests.

    ``history`` has ``HISTORY_COLUMNS`` (one row an epoch), ``predictions`` the columns that
    ``braintumor.evaluation.check`` asks for (one row an image); either is None where ``problems`` says why.
    """

    card: dict[str, Any]
    history: pd.DataFrame | None
    predictions: pd.DataFrame | None
    problems: tuple[str, ...]

    @property
    def threshold(self) -> float | None:
        """Operating point on P(tumor) in [0, 1], or None where the card names none."""
        point = self.card.get("operating_point")
        value = point.get("threshold") if isinstance(point, dict) else None
        usable = isinstance(value, (int, float)) and 0 <= value <= 1
        return float(value) if usable and value is not None else None

    def split(self, name: str) -> pd.DataFrame | None:
        """Rows of one split, or None where there are none."""
        if self.predictions is None:
            return None
        rows = self.predictions[self.predictions["split"] == name]
        return rows.reset_index(drop=True) if len(rows) else None

    def figures(self, name: str) -> dict[str, Any] | None:
        """Figures of one split: from its predictions, else as the card keeps them, else None."""
        rows = self.split(name)
        if rows is not None:
            return figures(rows, threshold=0.5 if self.threshold is None else self.threshold)
        kept = self.card.get("metrics")
        found = kept.get(name) if isinstance(kept, dict) else None
        return found if isinstance(found, dict) else None


def bundle_folders(models_dir: Path) -> dict[Path, str]:
    """Find the bundles in ``models_dir``: folder to name on the card (with the folder where two share a name)."""
    folders = list_bundles(models_dir)
    names = {folder: _card_name(folder) for folder in folders}
    taken = list(names.values())
    return {folder: f"{name} ({folder.name})" if taken.count(name) > 1 else name for folder, name in names.items()}


def bundle_stamp(folder: Path) -> tuple[float, ...]:
    """Times of the last change of the bundle's files, in seconds; 0 for a missing one."""
    paths = [folder / name for name in (CARD_FILE, HISTORY_FILE, PREDICTIONS_FILE)]
    return tuple(path.stat().st_mtime if path.is_file() else 0.0 for path in paths)


def bundle_tables(folder: Path) -> BundleTables:
    """Read a bundle's card, history and predictions.

    Raises ``BundleError`` when the card cannot be read; a missing or broken table is told in ``problems``.
    """
    card = read_card(folder)
    problems: list[str] = []
    history = _table(folder / HISTORY_FILE, problems)
    if history is not None and (missing := [name for name in HISTORY_COLUMNS if name not in history]):
        problems.append(
            f"{HISTORY_FILE} lacks the column {', '.join(missing)}; train the model again to write it anew."
        )
        history = None
    predictions = _table(folder / PREDICTIONS_FILE, problems)
    if predictions is not None:
        try:
            check(predictions)
        except ValueError as problem:
            problems.append(f"{PREDICTIONS_FILE} cannot be used ({problem}); train the model again.")
            predictions = None
    return BundleTables(card, history, predictions, tuple(problems))


def headline_table(by_split: Mapping[str, Mapping[str, Any] | None]) -> pd.DataFrame:
    """Lay the headline figures of several splits under each other.

    ``by_split`` maps a title to what ``figures`` gave (or None). Columns: figure, split, value, low, high (NaN where
    undefined); figures that no split has are left out.
    """
    rows = []
    for title, section, key in HEADLINES:
        found = {name: _interval(report, section, key) for name, report in by_split.items()}
        if any(math.isfinite(values[0]) for values in found.values()):
            rows += [(title, name, *values) for name, values in found.items()]
    return pd.DataFrame(rows, columns=["figure", "split", "value", "low", "high"])


def percent(share: float | None) -> str:
    """Write a share in [0, 1], as ``91.3 %`` without a place to break the line; a dash where undefined."""
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.1f}\u00a0%"


def in_words(value: float, low: float, high: float) -> str:
    """Write a share in [0, 1] with its interval, as ``91.3 % (88.0 to 94.1)``; a dash where undefined."""
    known = math.isfinite(value) and math.isfinite(low) and math.isfinite(high)
    return percent(value) + (f" ({100 * low:.1f} to {100 * high:.1f})" if known else "")


def _interval(report: Mapping[str, Any] | None, section: str, key: str) -> tuple[float, float, float]:
    figure = ((report or {}).get(section) or {}).get(key)
    if not isinstance(figure, Mapping):
        return math.nan, math.nan, math.nan
    value, low, high = (
        math.nan if figure.get(name) is None else float(figure[name]) for name in ("value", "low", "high")
    )
    return value, low, high


def _card_name(folder: Path) -> str:
    try:
        return str(read_card(folder).get("name") or folder.name)
    except BundleError:
        return folder.name


def _table(path: Path, problems: list[str]) -> pd.DataFrame | None:
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
    return table
