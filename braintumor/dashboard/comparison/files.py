"""The files in which ``python -m braintumor compare`` keeps what every network reached."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pydantic import ValidationError

from braintumor.bundles import PREDICTIONS_FILE
from braintumor.datasets.catalogue import short_name
from braintumor.errors import InputError
from braintumor.evaluation import check
from braintumor.evaluation.comparison import (
    COMPARISON_FILE,
    HISTORIES_FILE,
    HISTORY_COLUMNS,
    PREDICTION_COLUMNS,
    known_answers,
)
from braintumor.evaluation.comparison_schema import LEAK_FREE, NetworkRow, Report, Run, Split
from braintumor.reports import listed, spread
from braintumor.taxonomy import BINARY

COMMAND = "python -m braintumor compare --data DIR"

_TOLERANCE = 0.002
"""How far an accuracy may be from that of the rounded predictions; a tie between two classes can fall either way."""


class ComparisonError(InputError):
    """The comparison of networks cannot be read; the message says which command writes it."""


class Figure(NamedTuple):
    """Title of a figure that networks are compared by; ``is_share`` tells one best read in percent."""

    title: str
    is_share: bool
    less_is_better: bool = False


_FIGURES: Mapping[str, Figure] = {
    "accuracy": Figure("Accuracy", True),
    "balanced_accuracy": Figure("Balanced accuracy", True),
    "precision_macro": Figure("Precision, mean of the classes", True),
    "f1_macro": Figure("F1, mean of the classes", True),
    "auc_macro": Figure("ROC AUC, mean of the classes", False),
    "accuracy_tumor": Figure("Accuracy, tumor or not", True),
    "f1_tumor": Figure("F1, tumor or not", True),
    "auc_tumor": Figure("ROC AUC, tumor or not", False),
    "sensitivity": Figure("Sensitivity", True),
    "specificity": Figure("Specificity", True),
}
_ERRORS: Mapping[str, Figure] = {
    "ece": Figure("Calibration error (ECE)", False, True),
    "brier": Figure("Brier score", False, True),
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison's folder says.

    ``report`` is ``comparison.json``; ``predictions`` has ``PREDICTION_COLUMNS`` (a row an image, network and split),
    ``histories`` ``HISTORY_COLUMNS`` (a row an epoch of a run). Either is None, or doubtful, where ``problems`` says
    why.
    """

    report: Report
    predictions: pd.DataFrame | None = None
    histories: pd.DataFrame | None = None
    problems: tuple[str, ...] = ()

    @property
    def trained(self) -> dict[str, NetworkRow]:
        """The networks with figures of one split at least, in the order of the file."""
        return {name: row for name, row in self.report.networks.items() if row.figures}

    @property
    def tells_kinds(self) -> bool:
        """Whether networks were taught the kinds of tumor, and not only tumor or not."""
        return self.report.protocol.task != BINARY

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """Figures by which networks are compared, by their keys for ``spread``; page and document show all.

        They are of four classes except sensitivity, specificity and those of tumor or not.
        """
        own = {}
        for name in self.report.clinical:
            own[f"{name}_accuracy"] = Figure(f"Accuracy, {short_name(name)} scans", True)
            own[f"{name}_dice"] = Figure(f"Dice, {short_name(name)} scans", False)
        return {**_FIGURES, **own, **_ERRORS}

    def spread(self, name: str, split: str | None, key: str) -> tuple[float, float, float]:
        """Give one of ``figures`` of a network on a split, with its interval; NaN where there is none."""
        found = self.report.networks[name].figures.get(split or "")
        if found is None:
            return math.nan, math.nan, math.nan
        if key in _FIGURES or key in _ERRORS:
            return spread(getattr(found, key))
        dataset, _, of = key.rpartition("_")
        return spread(getattr(found.datasets[dataset], of)) if dataset in found.datasets else spread({})

    @property
    def shown(self) -> dict[str, str]:
        """Splits that stand side by side, with their titles: the leak-free folds, and what was published."""
        published = self.report.published
        return {LEAK_FREE: "Leak-free folds"} | ({published: "Published split (inflated)"} if published else {})

    def split_title(self, name: str) -> str:
        """Give the title of a split."""
        return self.shown.get(name) or _split_title(self.report.splits[name])

    def is_short(self, name: str) -> bool:
        """Tell whether the leak-free training of a network was cut short, so that it cannot be ranked."""
        return bool(cut_short(self.runs(name, LEAK_FREE)))

    def title(self, name: str) -> str:
        """Give a network's title, with a word for the default one."""
        title = self.report.networks[name].title or name
        return f"{title} (default)" if name == self.report.default else title

    def label(self, name: str) -> str:
        """Give a network's title, and where a training was cut short, how far it came."""
        stopped, inflated = (cut_short(self.runs(name, split)) for split in (LEAK_FREE, self.report.published))
        said = [stopped, f"{inflated} on the published split" if inflated not in ("", stopped) else ""]
        return ", ".join([self.title(name), *filter(None, said)])

    def runs(self, name: str, *splits: str | None) -> list[Run]:
        """What is told of each run of a network on some splits."""
        return self.report.networks[name].on(*filter(None, splits))

    def rows(self, name: str, split: str) -> pd.DataFrame | None:
        """Predictions of one network on one split, or None where there are none."""
        return _of(self.predictions, name, split)

    def history(self, name: str, split: str, fold: int) -> pd.DataFrame | None:
        """Epochs of one run in order, or None where it kept none."""
        found = _of(self.histories, name, split)
        found = None if found is None else found[found["fold"] == fold]
        return None if found is None or found.empty else found.sort_values("epoch").reset_index(drop=True)


def comparison_stamp(folder: Path) -> tuple[float, ...]:
    """Times of the last change of a comparison's files, in seconds; 0 for a missing one."""
    paths = [folder / name for name in (COMPARISON_FILE, PREDICTIONS_FILE, HISTORIES_FILE)]
    return tuple(path.stat().st_mtime if path.is_file() else 0.0 for path in paths)


def read_comparison(folder: Path) -> Comparison | None:
    """Read the comparison in a folder; None where there is none.

    Raises ``ComparisonError`` when ``comparison.json`` cannot be used; a missing or broken table, and figures that its
    predictions do not bear out, are told in ``problems``.
    """
    if not (folder / COMPARISON_FILE).is_file():
        return None
    report = _report(folder / COMPARISON_FILE)
    problems: list[str] = []
    predictions = _table(folder / PREDICTIONS_FILE, PREDICTION_COLUMNS, problems)
    histories = _table(folder / HISTORIES_FILE, HISTORY_COLUMNS, problems)
    if predictions is not None:
        try:
            # No row is asked here whether it was trained on: the split says so.
            check(predictions.assign(in_training=False))
        except ValueError as problem:
            problems.append(f"{PREDICTIONS_FILE} cannot be used ({problem}); compare the networks again.")
            predictions = None
    wrong = _contradictions(Comparison(report, predictions))
    return Comparison(report, predictions, histories, (*problems, *wrong))


def cut_short(runs: Sequence[Run]) -> str:
    """Say how far runs came of which one was cut short, as ``12 of 40 epochs``; nothing of others."""
    if all(run.ended != "shortened" for run in runs):
        return ""
    done = epochs_said(runs).partition(",")[0]
    return f"{done} epochs" if done else "cut short"


def epochs_said(runs: Sequence[Run]) -> str:
    """Say how many of the planned epochs the runs trained, as ``30 of 30`` or ``8 to 12 of 40, cut short``."""
    done, planned = sorted({run.epochs for run in runs}), max((run.planned_epochs for run in runs), default=0)
    if not planned:
        return ""
    said = str(done[0]) if len(done) == 1 else f"{done[0]} to {done[-1]}"
    ends = {run.ended for run in runs}
    why = ", cut short" if "shortened" in ends else ", no more gain" if "patience" in ends else ""
    return f"{said} of {planned}{why}"


def _split_title(split: Split) -> str:
    train_on, test_on = (listed([short_name(name) for name in names]) for names in (split.train_on, split.test_on))
    title = f"{train_on} to {test_on}" if split.test_on else f"Folds of {train_on}"
    return f"{title} (inflated)" if split.as_published else f"{title}, leak-free"


def _of(table: pd.DataFrame | None, name: str, split: str) -> pd.DataFrame | None:
    if table is None:
        return None
    found = table[(table["network"] == name) & (table["split"] == split)]
    return found.reset_index(drop=True) if len(found) else None


def _report(path: Path) -> Report:
    try:
        return Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as problem:
        first = problem.errors()[0] if isinstance(problem, ValidationError) else {"loc": (), "msg": str(problem)}
        where = ".".join(map(str, first["loc"])) or path.name
        raise ComparisonError(
            f"{path.name} cannot be used ({where}: {first['msg']}); write it again with `{COMMAND}`."
        ) from None


def _table(path: Path, columns: tuple[str, ...], problems: list[str]) -> pd.DataFrame | None:
    again = f"write it again with `{COMMAND}`."
    if not path.is_file():
        problems.append(f"{path.name} is missing from the folder of the comparison; {again}")
        return None
    try:
        table = pd.read_csv(path, dtype={"network": str, "split": str, "group": str, "label": str, "dataset": str})
    except (OSError, ValueError) as problem:
        problems.append(f"{path.name} cannot be read ({str(problem).splitlines()[0]}); {again}")
        return None
    missing = [name for name in columns if name not in table]
    if missing:
        problems.append(f"{path.name} lacks the column {', '.join(missing)}; {again}")
        return None
    return table


def _contradictions(comparison: Comparison) -> list[str]:
    """Tell where the predictions do not bear out the figures."""
    if comparison.predictions is None:
        return []
    wrong = [
        f"{comparison.title(name)} ({comparison.split_title(split).lower()})"
        for name, row in comparison.trained.items()
        for split in row.figures
        if not _borne_out(comparison, name, split)
    ]
    if not wrong:
        return []
    return [
        f"The figures of {', '.join(wrong)} are not those of {PREDICTIONS_FILE}; do not trust them, and write both "
        f"again with `{COMMAND}`."
    ]


def _borne_out(comparison: Comparison, name: str, split: str) -> bool:
    rows, images = comparison.rows(name, split), comparison.report.networks[name].figures[split].images
    if rows is None:
        return not images
    known = known_answers(rows)
    if known.empty:
        return not images
    # Of four classes, or of tumor or not where no kind is known.
    stated = [comparison.spread(name, split, key)[0] for key in ("accuracy", "accuracy_tumor")]
    accuracy = stated[0] if math.isfinite(stated[0]) else stated[1]
    return len(rows) == images and abs(known["right"].mean() - accuracy) <= _TOLERANCE
