"""What finished trials left: in the folder of runs, or kept in the results file of an earlier comparison."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from braintumor.bundles import GRAPH_FILE, HISTORY_FILE, PREDICTIONS_FILE
from braintumor.errors import InputError
from braintumor.evaluation.comparison import (
    COMPARISON_FILE,
    HISTORIES_FILE,
    HISTORY_COLUMNS,
    LEAK_FREE,
    PREDICTION_COLUMNS,
)
from braintumor.networks import NETWORKS
from braintumor.taxonomy import FOUR_CLASS
from braintumor.training.deciding import SENSITIVITY
from braintumor.training.trial import SPLITS, Trial

NETWORK_FACTS = ("size", "parameters", "flops")
"""Facts that all trials of a network share; a results file says them once."""

SIZE_ON_DISK = "bytes_on_disk"
"""Measured of a network's graph, and kept where that is not at hand."""

RUN_FACTS = (
    *("split", "fold", "epochs", "planned_epochs", "best_epoch", "ended", "seconds", "images", "threshold"),
    *("asked_epochs", "bfloat16", "initial_weights", "device", "bundle"),
)
"""Facts of one trial in a results file; those of the second row are missing where nobody noted them."""

_WHERE_MISSING = {"sensitivity": SENSITIVITY, "task": FOUR_CLASS}
"""What trials of earlier versions were asked for without saying so."""


@dataclass(frozen=True)
class Result:
    """One finished trial.

    ``facts`` are those of its file, ``predictions`` and ``history`` tables with ``PREDICTION_COLUMNS`` and
    ``HISTORY_COLUMNS``; ``graph`` is the exported network, None where only an earlier results file knows of the trial.
    """

    facts: dict[str, Any]
    predictions: pd.DataFrame
    history: pd.DataFrame
    graph: Path | None


def finished_results(runs: Path, out: Path, protocol: Mapping[str, Any]) -> dict[Trial, Result]:
    """Read every finished trial, by network: from ``runs``, and where that has none from the results in ``out``.

    ``protocol`` has what all trials of a comparison share: folds, seed, sensitivity, task, index_sha256. Kept results
    of a network that has changed since, as its number of parameters tells, are left out. Raises ``InputError`` where
    either folder holds trials of another protocol.
    """
    kept = _kept(out, protocol)
    found: dict[Trial, Result] = {}
    for name in NETWORKS:
        own = {
            trial: result for trial in _trials(name, protocol["folds"]) if (result := _of_run(runs, trial, protocol))
        }
        parameters = {result.facts["parameters"] for result in own.values()}
        for trial in _trials(name, protocol["folds"]):
            earlier = kept.get(trial)
            if trial in own:
                found[trial] = own[trial]
            elif earlier and (not parameters or earlier.facts["parameters"] in parameters):
                found[trial] = earlier
    return found


def run_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Choose what a results file says of one trial."""
    return {key: facts[key] for key in RUN_FACTS if key in facts}


def _trials(network: str, folds: int) -> Iterator[Trial]:
    yield from (Trial(network, LEAK_FREE, fold) for fold in range(folds))
    yield from (Trial(network, split, 0) for split in SPLITS if split != LEAK_FREE)


def _of_run(runs: Path, trial: Trial, protocol: Mapping[str, Any]) -> Result | None:
    facts, folder = trial.facts(runs), trial.folder(runs)
    if facts is None:
        return None
    if any(facts.get(key, _WHERE_MISSING.get(key)) != value for key, value in protocol.items()):
        raise InputError(
            f"{folder} holds a trial on other data or folds or of another seed, sensitivity or task; name another "
            "folder for --runs or delete it."
        )
    history = folder / HISTORY_FILE
    return Result(
        facts,
        _table(pd.read_csv(folder / PREDICTIONS_FILE), trial, PREDICTION_COLUMNS),
        _table(pd.read_csv(history) if history.is_file() else pd.DataFrame(), trial, HISTORY_COLUMNS),
        folder / GRAPH_FILE,
    )


def _table(rows: pd.DataFrame, trial: Trial, columns: tuple[str, ...]) -> pd.DataFrame:
    named = rows.assign(network=trial.network, split=trial.split, fold=trial.fold)
    return named.reindex(columns=list(columns))


def _kept(out: Path, protocol: Mapping[str, Any]) -> dict[Trial, Result]:
    path = out / COMPARISON_FILE
    if not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        said = {**report["protocol"], "index_sha256": report["index_sha256"]}
        kept = _of_report(report, out, protocol)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{out} holds a comparison that cannot be read ({type(error).__name__}: {error}); restore its files, or "
            "name another folder for --out."
        ) from error
    if any(said.get(key, _WHERE_MISSING.get(key)) != value for key, value in protocol.items()):
        raise InputError(
            f"{path} holds a comparison on other data or folds or of another seed, sensitivity or task; name another "
            "folder for --out or delete it."
        )
    return kept


def _of_report(report: Mapping[str, Any], out: Path, protocol: Mapping[str, Any]) -> dict[Trial, Result]:
    predictions, histories = (dict(_by_trial(out / file)) for file in (PREDICTIONS_FILE, HISTORIES_FILE))
    kept = {}
    for name, row in report["networks"].items():
        shared = {key: row[key] for key in (*NETWORK_FACTS, SIZE_ON_DISK, "device", "initial_weights") if key in row}
        for run in row.get("runs", []):
            trial = Trial(name, run["split"], run["fold"])
            facts = {"network": name, **shared, **run, **protocol}
            history = histories.get(trial, pd.DataFrame(columns=list(HISTORY_COLUMNS)))
            kept[trial] = Result(facts, predictions[trial], history, None)
    return kept


def _by_trial(path: Path) -> Iterator[tuple[Trial, pd.DataFrame]]:
    for (network, split, fold), rows in pd.read_csv(path, dtype={"group": str}).groupby(["network", "split", "fold"]):
        yield Trial(str(network), str(split), int(fold)), rows.reset_index(drop=True)
