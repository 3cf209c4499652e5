"""``python -m braintumor compare``: many networks on the same folds, and one results file of all that are finished."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import pandas as pd

from braintumor.bundles import GRAPH_FILE, PREDICTIONS_FILE, load_bundle
from braintumor.datasets import at_home
from braintumor.errors import InputError
from braintumor.evaluation.comparison import (
    BR35H_TO_NAVONEEL,
    COMPARISON_FILE,
    HISTORIES_FILE,
    HISTORY_COLUMNS,
    LEAK_FREE,
    PREDICTION_COLUMNS,
    PUBLISHED,
    against_default,
    comparison_figures,
)
from braintumor.networks import NETWORKS, build, registered
from braintumor.networks.heads import check_task
from braintumor.settings import DEFAULT_MODEL
from braintumor.taxonomy import BINARY, FOUR_CLASS
from braintumor.training.deciding import SENSITIVITY
from braintumor.training.experiment import ExperimentData, index_digest, labelled_index, prepare_pictures
from braintumor.training.export import export_graph
from braintumor.training.fitting import NOT_RECORDED
from braintumor.training.losses import MARGINAL
from braintumor.training.measuring import DIGITS
from braintumor.training.profiling import device, latency
from braintumor.training.results import NETWORK_FACTS, SIZE_ON_DISK, Result, finished_results, run_facts
from braintumor.training.run import KERAS_SUFFIX, RunOptions
from braintumor.training.trial import (
    ACROSS,
    PUBLISHED_DATASET,
    SPLITS,
    Trial,
    bundle_trial,
    join_trial,
    split_rows,
    take_bundle,
    train_trial,
)
from braintumor.training.writing import write_whole


@dataclass(frozen=True)
class CompareOptions:
    """What a comparison was asked for; see ``python -m braintumor compare --help``.

    ``networks`` are the ones to train, none to write the results of finished trials anew; ``weights`` are by network.
    What ``out`` holds of trials that ``runs`` does not is kept, unless they are asked for again. ``bundles`` is the
    folder for a bundle of each leak-free trial, None to write none.
    """

    data: Path
    runs: Path
    out: Path
    networks: tuple[str, ...] = ()
    folds: int = 5
    run_folds: tuple[int, ...] = (0,)
    published: bool = False
    br35h_to_navoneel: bool = False
    epochs: int | None = None
    weights: Mapping[str, Path | str] = field(default_factory=dict)
    bfloat16: bool = False
    close: bool = False
    bundle: Path | None = None
    seed: int = 0
    sensitivity: float = SENSITIVITY
    task: str = FOUR_CLASS
    bundles: Path | None = None

    @property
    def command(self) -> str:
        """The call that does this again, without paths of the machine it ran on."""
        given = [f"--networks {' '.join(self.networks)}"] if self.networks else []
        given += [" ".join([f"--folds {self.folds} --run-folds", *map(str, self.run_folds), f"--seed {self.seed}"])]
        given += ["--published"] if self.published else []
        given += ["--br35h-to-navoneel"] if self.br35h_to_navoneel else []
        given += [f"--task {self.task}"] if self.task != FOUR_CLASS else []
        given += [f"--epochs {self.epochs}"] if self.epochs is not None else []
        given += [f"--weights {name}={_name(value)}" for name, value in self.weights.items()]
        given += ["--bfloat16"] if self.bfloat16 else []
        given += ["--close"] if self.close else []
        given += [f"--bundle models/{self.bundle.name}"] if self.bundle else []
        given += ["--write-bundles"] if self.bundles else []
        given += [] if self.sensitivity == SENSITIVITY else [f"--sensitivity {self.sensitivity:g}"]
        return " ".join(["python -m braintumor compare --data DIR", *given])

    def trials(self) -> Iterator[Trial]:
        """Give what was asked for, in the order of the registry, so that an ensemble comes after its members."""
        for name in NETWORKS:
            if name in self.networks:
                yield from (Trial(name, LEAK_FREE, fold) for fold in self.run_folds)
                yield from (Trial(name, split, 0) for split in self.other_splits)

    @property
    def other_splits(self) -> tuple[str, ...]:
        """The splits without folds that were asked for."""
        return (*((PUBLISHED,) if self.published else ()), *(ACROSS if self.br35h_to_navoneel else ()))

    def of(self, trial: Trial) -> RunOptions:
        """Give what the run of a trial is asked for."""
        network = trial.network
        return RunOptions(
            data=self.data,
            network=network,
            weights=self.weights.get(network),
            name=f"{network}-fold{trial.fold}" + ("" if self.task == FOUR_CLASS else f"-{self.task}"),
            version="1.0.0",
            size=None,
            epochs=self.epochs,
            folds=self.folds,
            fold=trial.fold,
            seed=self.seed,
            learning_rate=None,
            recipe=None,
            bfloat16=self.bfloat16,
            runs=self.runs,
            models=self.bundles or self.out,
            sensitivity=self.sensitivity,
            task=self.task,
            # The categorical one, with 3% label smoothing, where the kind is known. Without the tumors of unknown kind
            # a source that has no others would show a network its tumor-free pictures alone.
            loss=MARGINAL if self.task == FOUR_CLASS else BINARY,
        )


def compare(options: CompareOptions) -> tuple[dict[str, Any], dict[str, str]]:
    """Train what is asked for and not in ``options.runs`` yet, and write ``options.out`` from all finished trials.

    What ``options.out`` alone knows of earlier trials is kept unless it is asked for, and then trained anew.
    Gives the report of ``comparison.json`` and, by trial, why one that was asked for is not there; the others go on.
    Where ``options.bundles`` says so, each finished leak-free trial that was asked for is written as a bundle too, but
    for one that a bundle stands for.
    Raises ``InputError`` for options that cannot be, for a bundle that cannot stand for a trial, and where the folder
    of runs holds trials on other data or folds or of another seed, sensitivity or task.
    """
    _check(options)
    bench = _Bench(options)
    finished = bench.finished()
    skipped: dict[str, str] = {}
    for trial in options.trials():
        if bench.stands(trial):
            bench.take_bundle(trial)
            continue
        try:
            if trial not in finished or finished[trial].graph is None:
                bench.train(trial)
            if options.bundles and trial.split == LEAK_FREE:
                bench.write_bundle(trial)
        except InputError as error:
            skipped[str(trial)] = str(error)
    report = write_comparison(options, bench.index, bench.finished(), skipped)
    return report, skipped


def _check(options: CompareOptions) -> None:
    for name in (*options.networks, *options.weights):
        registered(name)
    for weights in options.weights.values():
        _check_weights(weights)
    check_task(options.task)
    if not 0 < options.sensitivity <= 1:
        raise InputError(f"The sensitivity is {options.sensitivity:g}; it must be above 0 and at most 1.")
    wrong = [fold for fold in options.run_folds if not 0 <= fold < options.folds]
    if wrong:
        raise InputError(f"Fold {wrong[0]} is not among {options.folds}; name folds from 0 to {options.folds - 1}.")
    if options.bundle and DEFAULT_MODEL not in options.networks:
        raise InputError(f"A bundle stands for {DEFAULT_MODEL}, which is not among the networks; name it too.")


def _check_weights(weights: Path | str) -> None:
    if isinstance(weights, Path) and weights.suffix == KERAS_SUFFIX:
        raise InputError(
            f"{weights.name} is a trained network, which may have seen the test pictures of a fold; give --weights a "
            "file of ImageNet weights, or imagenet."
        )
    if isinstance(weights, Path) and not weights.is_file():
        raise InputError(f"{weights} is not a file; give --weights a file of ImageNet weights, or imagenet.")


class _Bench:
    """The data of a comparison, with the pictures of one size at a time, and its finished trials."""

    def __init__(self, options: CompareOptions) -> None:
        self._options = options
        self._bundle = load_bundle(options.bundle) if options.bundle else None
        self._pictures: ExperimentData | None = None
        index = labelled_index(options.data)
        # Folds are of the sets that name no institution; hospitals are held out whole.
        self.index = index[at_home(index)].reset_index(drop=True).assign(split="")

    @cached_property
    def _protocol(self) -> dict[str, Any]:
        options = self._options
        asked = {key: getattr(options, key) for key in ("folds", "seed", "sensitivity", "task")}
        return {**asked, "index_sha256": index_digest(self.index)}

    def finished(self) -> dict[Trial, Result]:
        """Read every finished trial; raises ``InputError`` for one that does not agree with what is asked for."""
        return finished_results(self._options.runs, self._options.out, self._protocol)

    def stands(self, trial: Trial) -> bool:
        """Tell whether the bundle given stands for a trial."""
        if self._bundle is None or (trial.network, trial.split) != (DEFAULT_MODEL, LEAK_FREE):
            return False
        split = self._bundle.card.split
        return (split.folds, split.fold) == (self._options.folds, trial.fold)

    def take_bundle(self, trial: Trial) -> None:
        assert self._bundle is not None
        data = self._data(trial, self._bundle.size)
        take_bundle(trial, self._options.runs, self._bundle, data, self._protocol)

    def train(self, trial: Trial) -> None:
        options, network = self._options.of(trial), registered(trial.network)
        data = self._data(trial, network.size)
        # What earlier networks left in memory adds up over a night.
        keras.utils.clear_session()
        if network.members:
            join_trial(trial, options, data, self._protocol)
        else:
            train_trial(trial, options, data, self._protocol, self._options.close)

    def write_bundle(self, trial: Trial) -> None:
        options = self._options.of(trial)
        bundle_trial(trial, options, self._data(trial, registered(trial.network).size))

    def _data(self, trial: Trial, size: int) -> ExperimentData:
        if self._pictures is None or self._pictures.pictures.shape[1] != size:
            self._pictures = prepare_pictures(self._options.data, self.index, size, self._options.runs / "pictures")
        kept = self._pictures
        parts = split_rows(self.index, trial, folds=self._options.folds, seed=self._options.seed)["split"]
        return replace(kept, index=kept.index.assign(split=parts, row=np.arange(len(kept.index))))


def write_comparison(
    options: CompareOptions,
    index: pd.DataFrame,
    finished: Mapping[Trial, Result],
    skipped: Mapping[str, str],
) -> dict[str, Any]:
    """Write the two tables and ``comparison.json`` of all finished trials, and give the last one's object."""
    predictions = _joined([result.predictions for result in finished.values()], PREDICTION_COLUMNS)
    histories = _joined([result.history for result in finished.values()], HISTORY_COLUMNS)
    facts = {trial: result.facts for trial, result in finished.items()}
    measured = with_thresholds(predictions, facts.values())
    folds_run = {
        name: sorted(t.fold for t in finished if (t.network, t.split) == (name, LEAK_FREE)) for name in NETWORKS
    }
    report = {
        "created": datetime.now(UTC).date().isoformat(),
        "command": _command(options, facts),
        "index_sha256": index_digest(index),
        "default": DEFAULT_MODEL,
        "measured_on": device(),
        "protocol": {
            "folds": options.folds,
            "folds_run": {name: folds for name, folds in folds_run.items() if folds},
            "seed": options.seed,
            "sensitivity": options.sensitivity,
            "task": options.task,
            "published": PUBLISHED_DATASET,
            "published_test_in_training": _leaking(index, options, PUBLISHED),
            f"{BR35H_TO_NAVONEEL}_test_in_training": _leaking(index, options, BR35H_TO_NAVONEEL),
        },
        "networks": {
            name: _network(name, finished, measured, [s for t, s in skipped.items() if t.startswith(f"{name} ")])
            for name in NETWORKS
        },
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_whole(options.out / PREDICTIONS_FILE, predictions.to_csv(index=False, float_format=f"%.{DIGITS}f"))
    write_whole(options.out / HISTORIES_FILE, histories.to_csv(index=False, float_format="%.6g"))
    write_whole(options.out / COMPARISON_FILE, json.dumps(report, indent=2) + "\n")
    return report


def _command(options: CompareOptions, finished: Mapping[Trial, Mapping[str, Any]]) -> str:
    """Give the calls, one after the other, that do all finished trials again; one for all that were run alike."""
    of_network: dict[tuple[str, _Asked], list[Trial]] = {}
    for trial, facts in finished.items():
        of_network.setdefault((trial.network, _Asked.of(trial, facts)), []).append(trial)
    # Networks share a call only where it asks for the very trials of each.
    calls: dict[tuple[_Asked, frozenset[tuple[str, int]]], list[Trial]] = {}
    for (_, asked), trials in of_network.items():
        splits = frozenset((trial.split, trial.fold) for trial in trials)
        calls.setdefault((asked, splits), []).extend(trials)
    # An ensemble can only be joined after its members.
    ordered = sorted(((asked, trials) for (asked, _), trials in calls.items()), key=lambda call: call[0].joined)
    commands = [
        replace(
            options,
            networks=tuple(dict.fromkeys(trial.network for trial in trials)),
            run_folds=tuple(sorted({trial.fold for trial in trials if trial.split == LEAK_FREE})),
            published=any(trial.split == PUBLISHED for trial in trials),
            br35h_to_navoneel=any(trial.split in ACROSS for trial in trials),
            epochs=asked.epochs,
            weights={} if asked.joined or asked.bundle else _weights(trials, finished),
            bfloat16=asked.bfloat16,
            close=False,
            bundles=None,
            bundle=Path(asked.bundle) if asked.bundle else None,
        ).command
        for asked, trials in ordered
    ]
    return " && ".join(commands) or options.command


@dataclass(frozen=True)
class _Asked:
    """What trials of one call have in common; what a network or a bundle brings along is left out."""

    joined: bool = False
    bundle: str | None = None
    epochs: int | None = None
    bfloat16: bool = False

    @classmethod
    def of(cls, trial: Trial, facts: Mapping[str, Any]) -> "_Asked":
        network = NETWORKS[trial.network]
        if network.members:
            return cls(joined=True)
        if facts.get("bundle"):
            # Its version stands behind its name.
            return cls(bundle=facts["bundle"].rpartition("-")[0])
        # Trials of earlier versions say no more than how long they were.
        epochs = facts.get("asked_epochs", facts["epochs"] if facts["ended"] == "shortened" else network.epochs)
        return cls(epochs=None if epochs == network.epochs else epochs, bfloat16=bool(facts.get("bfloat16")))


def _weights(trials: list[Trial], finished: Mapping[Trial, Mapping[str, Any]]) -> dict[str, Path | str]:
    found = {trial.network: finished[trial].get("initial_weights") for trial in trials}
    return {network: weights for network, weights in found.items() if weights}


def with_thresholds(predictions: pd.DataFrame, runs: Any) -> pd.DataFrame:
    """Put the operating point of each row's trial beside it; ``runs`` have network, split, fold and threshold."""
    keys = ["network", "split", "fold"]
    thresholds = pd.DataFrame(
        [{key: run[key] for key in (*keys, "threshold")} for run in runs], columns=[*keys, "threshold"]
    )
    return predictions.merge(thresholds, on=keys, how="left", validate="many_to_one")


def _network(name: str, finished: Mapping[Trial, Result], measured: pd.DataFrame, reasons: list[str]) -> dict[str, Any]:
    network = NETWORKS[name]
    about = {"title": network.title, "source": network.source, "reported": network.reported}
    own = [result for trial, result in finished.items() if trial.network == name]
    if not own:
        return {**about, "not_trained": reasons[0] if reasons else _not_trained(name)}
    facts = [result.facts for result in own]
    # A bundle's network may have another size than the same one trained on other splits.
    first = min(own, key=lambda result: (result.facts["split"] != LEAK_FREE, result.graph is None))
    rows = {split: measured[(measured["network"] == name) & (measured["split"] == split)] for split in SPLITS}
    default = measured[(measured["network"] == DEFAULT_MODEL) & (measured["split"] == LEAK_FREE)]
    return {
        **about,
        "not_trained": None,
        **{key: first.facts[key] for key in NETWORK_FACTS},
        **_costs(first),
        "initial_weights": _either(one.get("initial_weights") for one in facts),
        "device": " and ".join(sorted({one.get("device", NOT_RECORDED) for one in facts})),
        "runs": [run_facts(one) for one in facts],
        **{split: comparison_figures(rows[split]) if len(rows[split]) else None for split in SPLITS},
        "against_default": None if name == DEFAULT_MODEL else against_default(rows[LEAK_FREE], default),
    }


def _either(weights: Iterable[str | None]) -> str | None:
    """Name what a network's runs started from; None where all started from none."""
    names = sorted({name or "none" for name in weights})
    return None if names == ["none"] else " or ".join(names)


def _costs(result: Result) -> dict[str, Any]:
    """Measure a network's graph; where that is not at hand, one with other weights tells how long both take."""
    size = result.facts["size"]
    with TemporaryDirectory() as folder:
        graph = result.graph or Path(folder) / GRAPH_FILE
        if result.graph is None:
            export_graph(build(result.facts["network"], size=size, task=result.facts.get("task", FOUR_CLASS)), graph)
        size_on_disk = graph.stat().st_size if result.graph else result.facts[SIZE_ON_DISK]
        return {SIZE_ON_DISK: size_on_disk, "latency_ms": round(latency(graph, size), 3)}


def _not_trained(name: str) -> str:
    members = NETWORKS[name].members
    first = f" {' and '.join(members)} come first." if members else ""
    return (
        "No finished training of it is in this comparison; train it with python -m braintumor compare --data DIR "
        f"--networks {name}.{first}"
    )


def _leaking(index: pd.DataFrame, options: CompareOptions, split: str) -> float | None:
    """Share of the test pictures of a split of which a near-duplicate is in its training part."""
    try:
        parts = split_rows(index, Trial(DEFAULT_MODEL, split, 0), folds=options.folds, seed=options.seed)
    except InputError:
        return None
    test = parts[parts["split"] == "test"]
    return float(test["picture"].isin(parts.loc[parts["split"] == "train", "picture"]).mean())


def _joined(tables: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))


def _name(weights: Path | str) -> str:
    return weights.name if isinstance(weights, Path) else weights
