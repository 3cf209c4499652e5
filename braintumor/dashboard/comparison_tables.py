"""The files in which ``python -m braintumor compare`` keeps what every network reached, and the tables pages draw."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from braintumor.bundles import PREDICTIONS_FILE
from braintumor.errors import InputError
from braintumor.evaluation import GroupBootstrap, check, exact_at_ends, mean_by_groups
from braintumor.evaluation.comparison import (
    BR35H_TO_NAVONEEL,
    BR35H_TO_NAVONEEL_LEAK_FREE,
    COMPARISON_FILE,
    HISTORIES_FILE,
    HISTORY_COLUMNS,
    LEAK_FREE,
    PREDICTION_COLUMNS,
    PUBLISHED,
    known_answers,
)
from braintumor.evaluation.paired import accuracy_difference
from braintumor.reports import guarded, spread
from braintumor.taxonomy import BINARY, CLASSES

FOLDER = "comparison"
"""Folder of the comparison, among the models."""

COMMAND = "python -m braintumor compare --data DIR"
SPLITS: Mapping[str, str] = {LEAK_FREE: "Leak-free folds", PUBLISHED: "Published split (inflated)"}
_ALL_SPLITS: Mapping[str, str] = {
    **SPLITS,
    BR35H_TO_NAVONEEL: "Br35H to Navoneel (inflated)",
    BR35H_TO_NAVONEEL_LEAK_FREE: "Br35H to Navoneel, leak-free",
}

_COPIES: Mapping[str, str] = {LEAK_FREE: "No copy in training", PUBLISHED: "Copies in training (inflated)"}

_ENDS: Mapping[str, str] = {"shortened": ", cut short", "patience": ", no more gain"}
"""What is said of a training that ended before its planned epochs, the worse first."""

_TOLERANCE = 0.002
"""How far an accuracy may be from that of the rounded predictions; a tie between two classes can fall either way."""


class ComparisonError(InputError):
    """The comparison of networks cannot be read; the message says which command writes it."""


class Figure(NamedTuple):
    """Title of a figure that networks are compared by; ``is_share`` tells one best read in percent."""

    title: str
    is_share: bool
    less_is_better: bool = False


FIGURES: Mapping[str, Figure] = {
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
    "cheng_accuracy": Figure("Accuracy, Cheng scans", True),
    "cheng_dice": Figure("Dice, Cheng scans", False),
    "ece": Figure("Calibration error (ECE)", False, True),
    "brier": Figure("Brier score", False, True),
}
"""Figures of four classes but for sensitivity, specificity and those of tumor or not; page and document show all."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison's folder says.

    ``report`` is ``comparison.json``; ``predictions`` has ``PREDICTION_COLUMNS`` (a row an image, network and split),
    ``histories`` ``HISTORY_COLUMNS`` (a row an epoch of a run). Either is None, or doubtful, where ``problems`` says
    why.
    """

    report: dict[str, Any]
    predictions: pd.DataFrame | None
    histories: pd.DataFrame | None
    problems: tuple[str, ...]

    @property
    def networks(self) -> dict[str, dict[str, Any]]:
        """Every network by its name, in the order of the file."""
        found: dict[str, dict[str, Any]] = self.report["networks"]
        return found

    @property
    def trained(self) -> dict[str, dict[str, Any]]:
        """The networks with figures of one split at least."""
        return {name: facts for name, facts in self.networks.items() if any(facts.get(split) for split in _ALL_SPLITS)}

    @property
    def default(self) -> str:
        """Name of the network that ships, which the others are measured against."""
        return str(self.report.get("default", ""))

    @property
    def tells_kinds(self) -> bool:
        """Whether networks were taught the kinds of tumor, and not tumor or not alone."""
        return bool(self.report["protocol"].get("task") != BINARY)

    def title(self, name: str) -> str:
        """Give a network's title, with a word for the default one."""
        title = str(self.networks[name].get("title") or name)
        return f"{title} (default)" if name == self.default else title

    def label(self, name: str) -> str:
        """Give a network's title, and where a training was cut short, how far it came."""
        stopped, inflated = (cut_short(self.runs(name, split)) for split in SPLITS)
        said = [stopped, f"{inflated} on the published split" if inflated not in ("", stopped) else ""]
        return ", ".join([self.title(name), *filter(None, said)])

    def rows(self, name: str, split: str) -> pd.DataFrame | None:
        """Predictions of one network on one split, or None where there are none."""
        return _of(self.predictions, name, split)

    def history(self, name: str, split: str, fold: int) -> pd.DataFrame | None:
        """Epochs of one run in order, or None where it kept none."""
        found = _of(self.histories, name, split)
        found = None if found is None else found[found["fold"] == fold]
        return None if found is None or found.empty else found.sort_values("epoch").reset_index(drop=True)

    def runs(self, name: str, split: str) -> list[dict[str, Any]]:
        """What is told of each run of a network on one split."""
        return [run for run in self.networks[name].get("runs") or [] if run.get("split") == split]

    def folds(self, name: str) -> list[int]:
        """Numbers of the leak-free folds that a network was run on, from 0."""
        told = (self.report["protocol"].get("folds_run") or {}).get(name)
        return sorted({int(run["fold"]) for run in self.runs(name, LEAK_FREE)} if told is None else map(int, told))


def comparison_stamp(models_dir: Path) -> tuple[float, ...]:
    """Times of the last change of the comparison's files, in seconds; 0 for a missing one."""
    paths = [models_dir / FOLDER / name for name in (COMPARISON_FILE, PREDICTIONS_FILE, HISTORIES_FILE)]
    return tuple(path.stat().st_mtime if path.is_file() else 0.0 for path in paths)


def read_comparison(models_dir: Path) -> Comparison | None:
    """Read the comparison among the models; None where there is none.

    Raises ``ComparisonError`` when ``comparison.json`` cannot be used; a missing or broken table, and figures that its
    predictions do not bear out, are told in ``problems``.
    """
    folder = models_dir / FOLDER
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
    found = Comparison(report, predictions, histories, ())
    return Comparison(report, predictions, histories, (*problems, *_contradictions(found)))


def interval_table(comparison: Comparison, figure: str) -> pd.DataFrame:
    """Lay one of ``FIGURES`` of every trained network and split under each other, the best leak-free network first.

    Columns: network, title (see ``Comparison.label``), split (a title of ``SPLITS``), value, low, high; NaN where
    undefined.
    """
    sign = 1 if FIGURES[figure].less_is_better else -1
    spreads = {
        name: {split: _spread(facts, split, figure) for split in SPLITS} for name, facts in comparison.trained.items()
    }
    # What has no leak-free figure comes last.
    order = sorted(spreads, key=lambda name: sign * spreads[name][LEAK_FREE][0] if _known(spreads[name]) else math.inf)
    rows = [
        (name, comparison.label(name), title, *spreads[name][split])
        for name in order
        for split, title in SPLITS.items()
    ]
    return pd.DataFrame(rows, columns=["network", "title", "split", "value", "low", "high"])


def overview(comparison: Comparison) -> pd.DataFrame:
    """Put all that is known of each trained network in one row, for a table that sorts and for CSV.

    Columns: network, title; each of ``FIGURES`` leak-free with its _low and _high; published_accuracy (inflated);
    difference (of accuracy to the default) with _low and _high, p (McNemar); parameters, flops, bytes_on_disk,
    latency_ms, minutes (mean of the leak-free folds), images (training pictures, mean of them), epochs, folds,
    initial_weights, device, reported, source. Texts are ``guarded``.
    """
    return pd.DataFrame([_overview_row(comparison, name) for name in comparison.trained])


def same_pictures(comparison: Comparison, clean: str = LEAK_FREE, leaking: str = PUBLISHED) -> pd.DataFrame:
    """Give the accuracy of each network on pictures that two splits test, without and with copies in training.

    Columns: network, title, images, groups, and for leak_free, published and gap (published - leak-free): value, _low
    and _high, with 95 % intervals over groups, both answers of a picture drawn together. Networks without such
    pictures are left out. Only ``known_answers`` count.
    """
    rows = []
    for name, facts in comparison.trained.items():
        alone, copied = comparison.rows(name, clean), comparison.rows(name, leaking)
        if alone is None or copied is None or not (facts.get(clean) and facts.get(leaking)):
            continue
        seen = known_answers(copied)[["row", "right"]]
        both = known_answers(alone).merge(seen, on="row", suffixes=("", "_published"))
        if len(both):
            rows.append({"network": name, "title": comparison.title(name), **_paired(both)})
    return pd.DataFrame(rows)


def paired_intervals(same: pd.DataFrame) -> pd.DataFrame:
    """Lay both accuracies of ``same_pictures`` under each other: title, split (in words), value, low and high."""
    parts = [
        same[["title", key, f"{key}_low", f"{key}_high"]]
        .set_axis(["title", "value", "low", "high"], axis=1)
        .assign(split=split)
        for key, split in _COPIES.items()
    ]
    return pd.concat(parts).sort_index(kind="stable")


def _paired(both: pd.DataFrame) -> dict[str, float | int]:
    groups = both["group"].astype(str).to_list()
    bootstrap = GroupBootstrap(groups)
    right = {LEAK_FREE: both["right"].to_numpy(dtype=bool), PUBLISHED: both["right_published"].to_numpy(dtype=bool)}
    found: dict[str, float | int] = {"images": len(both), "groups": bootstrap.count}
    for split, values in right.items():
        share = exact_at_ends(mean_by_groups(values.astype(np.float64), bootstrap), bootstrap.count)
        found |= _columns(split, spread(share))
    return found | _columns("gap", spread(accuracy_difference(right[PUBLISHED], right[LEAK_FREE], groups)))


def _columns(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _overview_row(comparison: Comparison, name: str) -> dict[str, Any]:
    facts = comparison.networks[name]
    runs = comparison.runs(name, LEAK_FREE)
    against = facts.get("against_default") or {}
    row: dict[str, Any] = {"network": guarded(name), "title": guarded(comparison.title(name))}
    for key in FIGURES:
        row |= _columns(key, _spread(facts, LEAK_FREE, key))
    row["published_accuracy"] = _spread(facts, PUBLISHED, "accuracy")[0]
    row |= _columns("difference", spread(against.get("accuracy_difference") or {}))
    row["p"] = _number((against.get("mcnemar") or {}).get("p"))
    row |= {key: _number(facts.get(key)) for key in ("parameters", "flops", "bytes_on_disk", "latency_ms")}
    row["minutes"] = _mean([_number(run.get("seconds")) / 60 for run in runs])
    row["images"] = _mean([_number(run.get("images")) for run in runs])
    row["epochs"] = _epochs(runs)
    row["folds"] = len(comparison.folds(name))
    texts = ("initial_weights", "device", "reported", "source")
    return row | {key: guarded(str(facts.get(key) or "")) for key in texts}


def cut_short(runs: list[dict[str, Any]]) -> str:
    """Say how far runs came of which one was cut short, as ``12 of 40 epochs``; nothing of others."""
    if all(run.get("ended") != "shortened" for run in runs):
        return ""
    done = _epochs(runs).partition(",")[0]
    return f"{done} epochs" if done else "cut short"


def _epochs(runs: list[dict[str, Any]]) -> str:
    """Say how many of the planned epochs the runs trained, as ``30 of 30`` or ``8 to 12 of 40, cut short``."""
    done = sorted({int(run["epochs"]) for run in runs if run.get("epochs") is not None})
    planned = sorted({int(run["planned_epochs"]) for run in runs if run.get("planned_epochs") is not None})
    if not done or not planned or planned == [0]:
        return ""
    said = str(done[0]) if len(done) == 1 else f"{done[0]} to {done[-1]}"
    ends = {run.get("ended") for run in runs}
    why = next((words for end, words in _ENDS.items() if end in ends), "")
    return f"{said} of {planned[-1]}{why}"


def _spread(facts: Mapping[str, Any], split: str, figure: str) -> tuple[float, float, float]:
    return spread((facts.get(split) or {}).get(figure) or {})


def _accuracy(facts: Mapping[str, Any], split: str) -> float:
    """Give the accuracy of ``known_answers``: of four classes, or of tumor or not where no kind is known."""
    found = _spread(facts, split, "accuracy")[0]
    return found if math.isfinite(found) else _spread(facts, split, "accuracy_tumor")[0]


def _known(spreads: Mapping[str, tuple[float, float, float]]) -> bool:
    return math.isfinite(spreads[LEAK_FREE][0])


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _of(table: pd.DataFrame | None, name: str, split: str) -> pd.DataFrame | None:
    if table is None:
        return None
    found = table[(table["network"] == name) & (table["split"] == split)]
    return found.reset_index(drop=True) if len(found) else None


def _report(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        # Walks through all that is read later, so that a page never meets another shape.
        found = Comparison(report, None, None, ())
        for name, facts in found.networks.items():
            _walk(found, name, facts)
        int(report["protocol"]["folds"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ComparisonError(
            f"{FOLDER}/{path.name} cannot be used ({type(problem).__name__}: {problem}); write it again with "
            f"`{COMMAND}`."
        ) from None
    return report


def _walk(comparison: Comparison, name: str, facts: Mapping[str, Any]) -> None:
    _overview_row(comparison, name)
    for run in facts.get("runs") or []:
        int(run["fold"])
    for split in _ALL_SPLITS:
        figures = facts.get(split)
        if not figures:
            continue
        for key in FIGURES:
            _spread(facts, split, key)
        int(figures["images"]), int(figures["groups"])
        if np.asarray(figures["confusion"], dtype=np.float64).shape != (len(CLASSES), len(CLASSES)):
            raise ValueError(f"the confusion matrix of {name} is not {len(CLASSES)} × {len(CLASSES)}")
        for one in CLASSES:
            of_class = figures["classes"][one]
            int(of_class["images"])
            for key in ("precision", "recall", "f1", "auc"):
                spread(of_class.get(key) or {})


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
    wrong = []
    for name, facts in comparison.trained.items():
        for split in (split for split in _ALL_SPLITS if facts.get(split)):
            rows = comparison.rows(name, split)
            known = None if rows is None else known_answers(rows)
            accuracy = _accuracy(facts, split)
            images = facts[split]["images"]
            if rows is None or known is None or known.empty:
                agree = not images
            else:
                agree = len(rows) == images and abs(known["right"].mean() - accuracy) <= _TOLERANCE
            if not agree:
                wrong.append(f"{comparison.title(name)} ({_ALL_SPLITS[split].lower()})")
    if not wrong:
        return []
    return [
        f"The figures of {', '.join(wrong)} are not those of {PREDICTIONS_FILE}; do not trust them, and write both "
        f"again with `{COMMAND}`."
    ]
