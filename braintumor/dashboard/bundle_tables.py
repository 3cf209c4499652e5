"""The tables that a trained bundle keeps on disk, and the figures that pages show from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.reports import percent
from braintumor.taxonomy import CLASSES

HISTORY_COLUMNS: tuple[str, ...] = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")


class Headline(NamedTuple):
    """Title of a figure, and its section and key in what ``braintumor.evaluation.figures`` gives.

    ``is_share`` tells a share, best read in percent, from an area or an error without a unit.
    """

    title: str
    section: str
    key: str
    is_share: bool = True


HEADLINES: tuple[Headline, ...] = (
    Headline("Accuracy, four classes", "four_class", "accuracy"),
    Headline("Balanced accuracy, four classes", "four_class", "balanced_accuracy"),
    Headline("Macro F1, four classes", "four_class", "macro_f1"),
    Headline("Accuracy, Cheng scans", "cheng_three_class", "accuracy"),
    Headline("Kind of tumor, Cheng scans", "cheng_three_class", "accuracy_given_tumor"),
    Headline("Tumor or not: ROC AUC", "detection", "roc_auc", False),
    Headline("Tumor or not: sensitivity", "detection", "sensitivity"),
    Headline("Tumor or not: specificity", "detection", "specificity"),
    Headline("Web images: ROC AUC", "web_detection", "roc_auc", False),
    Headline("Web images: sensitivity", "web_detection", "sensitivity"),
    Headline("Web images: specificity", "web_detection", "specificity"),
    Headline("Calibration error (ECE), four classes", "calibration", "ece", False),
    Headline("Calibration error (ECE), tumor or not", "calibration", "detection_ece", False),
    Headline("Share answered, not referred", "answered", "share"),
    Headline("Accuracy of what is answered", "answered", "accuracy"),
)
"""Every figure worth a line; pages and documents pick from these by title."""

FIRST: Mapping[str, str] = {
    "Accuracy, four classes": "Accuracy",
    "Tumor or not: ROC AUC": "ROC AUC",
    "Tumor or not: sensitivity": "Sensitivity",
    "Tumor or not: specificity": "Specificity",
    "Web images: sensitivity": "Sensitivity, web",
    "Accuracy of what is answered": "Right if answered",
}
"""The figures to see first, by title, with the short one they carry on a card."""


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
    undefined), is_share; figures that no split has are left out.
    """
    rows = []
    for headline in HEADLINES:
        found = {name: bounds(report, headline) for name, report in by_split.items()}
        if any(math.isfinite(values[0]) for values in found.values()):
            rows += [(headline.title, name, *values, headline.is_share) for name, values in found.items()]
    return pd.DataFrame(rows, columns=["figure", "split", "value", "low", "high", "is_share"])


def bounds(report: Mapping[str, Any] | None, headline: Headline) -> tuple[float, float, float]:
    """Give a headline figure's value, low and high from what ``figures`` gave; NaN for what is not there."""
    figure = ((report or {}).get(headline.section) or {}).get(headline.key)
    if not isinstance(figure, Mapping):
        return math.nan, math.nan, math.nan
    value, low, high = (
        math.nan if figure.get(name) is None else float(figure[name]) for name in ("value", "low", "high")
    )
    return value, low, high


def training_overlap(rows: pd.DataFrame | None, report: Mapping[str, Any]) -> str:
    """Say how many images of a split were trained on, and what that does to accuracy over the four classes.

    ``rows`` are the split's predictions (None: the accuracy of the two parts stays unsaid), ``report`` its figures. A
    group lies in one part as a whole, so a row ``in_training`` is an image that the network itself was shown.
    """
    share = report.get("in_training_share")
    if share is None:
        return "How many of these images were themselves in this model's training set is not known."
    said = f"{share:.0%} of these {report['images']:,} images were themselves in this model's training set"
    if rows is None or not 0 < share < 1:
        return f"{said}."
    known = rows[rows["label"].isin(CLASSES)]
    right = pd.Series(CLASSES)[known[list(PROBABILITIES)].to_numpy().argmax(axis=1)].to_numpy() == known["label"]
    trained = known["in_training"].astype(bool)
    return (
        f"{said}. Of those it gets {percent(right[trained].mean())} right, "
        f"of the {int((~trained).sum()):,} others {percent(right[~trained].mean())}."
    )


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
