"""One network on one split: trained, calibrated, its operating point chosen, and its answers to the test pictures."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.bundles import (
    GRAPH_FILE,
    HISTORY_FILE,
    KERAS_FILE,
    PREDICTIONS_FILE,
    SEGMENTATION_FILE,
    Bundle,
    Card,
    read_card,
)
from braintumor.decision import fit_referral
from braintumor.errors import InputError
from braintumor.evaluation.comparison import (
    BR35H_TO_NAVONEEL,
    BR35H_TO_NAVONEEL_LEAK_FREE,
    LEAK_FREE,
    PUBLISHED,
    ROW_COLUMNS,
)
from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.evaluation.segmentation import dice
from braintumor.inference import Graph, GraphOutput
from braintumor.networks import NETWORKS
from braintumor.networks.ensemble import joined
from braintumor.networks.imagenet import IMAGENET
from braintumor.taxonomy import BINARY, FOUR_CLASS, NO_TUMOR
from braintumor.training.bundling import write_bundle
from braintumor.training.deciding import (
    LEAST_BAND,
    calibrated,
    mask_on_square,
    operating_point,
    probability_table,
)
from braintumor.training.experiment import ExperimentData, index_digest, split_index
from braintumor.training.export import export_graph, without_optimizer
from braintumor.training.fitting import NOT_RECORDED, best_so_far, kept_epochs, patience, trained_on
from braintumor.training.measuring import DIGITS, published_test
from braintumor.training.outputs import run_graph
from braintumor.training.profiling import device, operations
from braintumor.training.run import (
    WHOLE_HISTORY_FILE,
    RunOptions,
    card_facts,
    join_histories,
    train_network,
    versions_of,
)
from braintumor.training.scoring import choose_cells
from braintumor.training.writing import write_whole

ACROSS = (BR35H_TO_NAVONEEL, BR35H_TO_NAVONEEL_LEAK_FREE)
SPLITS = (LEAK_FREE, PUBLISHED, *ACROSS)
PUBLISHED_DATASET = "masoud"
"""Its authors name a training and a test part with all four classes."""

FACTS_FILE = "trial.json"

_VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Trial:
    """A network, a split of ``SPLITS`` and the number of its fold; splits without folds have fold 0 alone."""

    network: str
    split: str
    fold: int

    def __str__(self) -> str:
        return f"{self.network} on {self.split} fold {self.fold}"

    def folder(self, runs: Path) -> Path:
        """Where its states and results lie under the folder of all runs."""
        return runs / "compare" / self.network / f"{self.split}-{self.fold}"

    def facts(self, runs: Path) -> dict[str, Any] | None:
        """What a finished trial says of itself; None of one that is not."""
        path = self.folder(runs) / FACTS_FILE
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def split_rows(index: pd.DataFrame, trial: Trial, *, folds: int, seed: int) -> pd.DataFrame:
    """Add the column ``split`` as the trial has it, "" for a row that has no part in it.

    Leak-free folds keep every group in one part. The published split is that of ``PUBLISHED_DATASET``, copies and all,
    with a random tenth of its training part for validation, as its users have it. So are those of ``ACROSS``, which
    train on all of Br35H or on what is in no group of Navoneel, where groups stay together in validation too. Raises
    ``DatasetError`` when the data cannot be split, and ``InputError`` when it lacks what the split is of.
    """
    if trial.split == LEAK_FREE:
        return split_index(index, folds=folds, fold=trial.fold, seed=seed)
    if trial.split == PUBLISHED:
        own = (index["dataset"] == PUBLISHED_DATASET).to_numpy()
        train, test = own & (index["published_split"] == "train").to_numpy(), own & published_test(index)
        missing = f"The data has no published split of {PUBLISHED_DATASET}; leave --published away."
    else:
        train, test = ((index["dataset"] == name).to_numpy() for name in ("br35h", "navoneel"))
        missing = "The data lacks br35h or navoneel, or has nothing of it apart; leave --br35h-to-navoneel away."
    units = index["path"]
    if trial.split == BR35H_TO_NAVONEEL_LEAK_FREE:
        train, units = train & ~index["group"].isin(index.loc[test, "group"]).to_numpy(), index["group"]
    if not train.any() or not test.any():
        raise InputError(missing)
    splits = np.where(test, "test", np.where(train, "train", "")).astype(object)
    splits[train & units.isin(_tenth(units[train], seed)).to_numpy()] = "validation"
    return index.assign(split=splits)


def _tenth(units: "pd.Series[str]", seed: int) -> NDArray[np.object_]:
    """Draw a tenth of what is trained on together, at least one."""
    names = units.unique()
    return np.random.default_rng(seed).permutation(names)[: max(1, round(_VALIDATION_SHARE * len(names)))]


def measured_part(data: ExperimentData, trial: Trial) -> ExperimentData:
    """Give the pictures that the trial is measured on: distinct ones of a fold, all of what others publish."""
    return data.distinct("test") if trial.split == LEAK_FREE else data.part("test")


def _taught(data: ExperimentData, task: str) -> ExperimentData:
    return data.without_kinds() if task == BINARY else data


def train_trial(trial: Trial, options: RunOptions, data: ExperimentData, facts: Mapping[str, Any], close: bool) -> None:
    """Train the network, or go on where it stopped, and leave its results in ``options.runs``.

    ``data`` is split as ``split_rows`` has it, its index with the column ``row``. ``facts`` go into the file of facts,
    which is written last. With ``close`` a run that was stopped is taken as it is; one that never started is not
    started. Raises ``InputError`` where that leaves nothing, and like ``train_network``.
    """
    (options,) = options.parts()
    data = _taught(data, options.task)
    folder = trial.folder(options.runs)
    identity = f"{trial} {index_digest(data.index)} {options.weights_identity()}"
    if close:
        best = best_so_far(folder, f"{options.network} {options.size} {identity}")
        if best is None:
            raise InputError("No epoch of it is whole, so there is nothing to close; leave --close away.")
    else:
        best = train_network(options, data, folder, identity)
    assert options.epochs is not None
    run = {
        **_of_history(folder / HISTORY_FILE, NETWORKS[trial.network].epochs, patience(options.epochs)),
        "asked_epochs": options.epochs,
        "initial_weights": options.initial_weights,
        "recipe": options.recipe,
        # A run keeps the precision that it began with, whatever the call that ends it asks for.
        "bfloat16": any(layer.compute_dtype == "bfloat16" for layer in best.layers),
        # What leaves no state was trained just now.
        "device": trained_on(folder) or device(),
    }
    _finish(trial, best, data, options, {**run, **facts})


def join_trial(trial: Trial, options: RunOptions, data: ExperimentData, facts: Mapping[str, Any]) -> None:
    """Join the trained members of an ensemble and leave its results; arguments as for ``train_trial``.

    Nothing is trained beyond the members, whose seconds count. Raises ``InputError`` when one is not there yet.
    """
    members = [replace(trial, network=name) for name in NETWORKS[trial.network].members]
    found = [(member, member.facts(options.runs)) for member in members]
    missing = [str(member) for member, of_member in found if of_member is None]
    if missing:
        raise InputError(f"It averages what is not trained yet: {' and '.join(missing)}.")
    models = [keras.saving.load_model(member.folder(options.runs) / KERAS_FILE) for member in members]
    known = [of_member for _, of_member in found if of_member is not None]
    run = {
        **dict.fromkeys(("planned_epochs", "epochs", "best_epoch"), 0),
        "ended": "shortened" if any(one["ended"] == "shortened" for one in known) else "planned",
        "seconds": sum(one["seconds"] for one in known),
        "initial_weights": " and ".join(sorted({one["initial_weights"] for one in known if one["initial_weights"]}))
        or None,
        "device": " and ".join(sorted({one.get("device", NOT_RECORDED) for one in known})),
    }
    _finish(trial, joined(models), _taught(data, options.task), options, {**run, **facts})


def bundle_trial(trial: Trial, options: RunOptions, data: ExperimentData) -> Card:
    """Write the network of a finished trial as the bundle ``options.models / options.name`` and give its card.

    ``data`` is split as for ``train_trial``. A bundle of the same training is left as it is. Raises ``InputError``
    where another one has the name, where a bundle stood for the trial, and where no one call would train it again.
    """
    folder, target = trial.folder(options.runs), options.models / options.name
    trained = [replace(trial, network=name) for name in NETWORKS[trial.network].members] or [trial]
    asked = _asked_again(trial, options, [one.facts(options.runs) or {} for one in trained])
    histories = [pd.read_csv(one.folder(options.runs) / HISTORY_FILE) for one in trained]
    history = join_histories(histories, folder / WHOLE_HISTORY_FILE)
    if target.exists():
        card, same = read_card(target), (target / HISTORY_FILE).read_bytes() == history.read_bytes()
        if not same or card.command != asked.command:
            raise InputError(f"{target} holds another training; rename it or delete it, and ask for bundles again.")
        return card
    facts = card_facts(
        asked,
        data.index,
        kept=kept_epochs(folder),
        devices=(trial.facts(options.runs) or {}).get("device", NOT_RECORDED),
        versions=versions_of([one.folder(options.runs) for one in trained]),
        initial=asked.weights_identity(),
    )
    model = keras.saving.load_model(folder / KERAS_FILE, compile=False)
    return write_bundle(model, _taught(data, options.task), history, target, facts, options.sensitivity)


def _asked_again(trial: Trial, options: RunOptions, known: Sequence[Mapping[str, Any]]) -> RunOptions:
    """Give the options that train a trial again, from what its networks' own facts say."""
    if any(facts.get("bundle") for facts in known):
        raise InputError(f"A bundle stands for {trial}, so there is no other to write of it.")
    keys = {"initial_weights": options.initial_weights, "asked_epochs": options.epochs, "bfloat16": options.bfloat16}
    weights, epochs, bfloat16 = ({facts.get(key, given) for facts in known} for key, given in keys.items())
    if len(weights) > 1 or len(epochs) > 1 or len(bfloat16) > 1:
        raise InputError(f"{trial} joins networks that were trained in different ways, so no one call does it again.")
    (told,) = weights
    if told == IMAGENET and len(known) > 1:
        options = replace(options, weights=told)
    if told != options.initial_weights:
        raise InputError(
            f"{trial} was trained from {told or 'no weights'}; say so with --weights, or delete "
            f"{trial.folder(options.runs)} to train it anew."
        )
    return replace(options, epochs=epochs.pop(), bfloat16=bfloat16.pop()).settled()


def take_bundle(trial: Trial, runs: Path, bundle: Bundle, data: ExperimentData, facts: Mapping[str, Any]) -> None:
    """Let a bundle that was trained on this very split stand for the trial, with its predictions and history.

    Its threshold is chosen anew, for the sensitivity that all are compared at. Raises ``InputError`` when its network,
    task, split or test rows are others.
    """
    network = bundle.card.network
    if network != trial.network:
        raise InputError(
            f"The bundle {bundle.folder.name} is of {network}, not of {trial.network}; leave --bundle away."
        )
    if bundle.kinds != (facts["task"] == FOUR_CLASS):
        raise InputError(f"The bundle {bundle.folder.name} was trained for another task; leave --bundle away.")
    if bundle.card.split.index_sha256 != index_digest(data.index):
        raise InputError(
            f"The bundle {bundle.folder.name} was trained on other data or another split than {trial}; "
            "leave --bundle away."
        )
    test = measured_part(_taught(data, facts["task"]), trial).index
    predictions = pd.read_csv(bundle.folder / PREDICTIONS_FILE)
    threshold, _ = operating_point(predictions[predictions["split"] == "validation"], facts["sensitivity"])
    rows = predictions[predictions["split"] == "test"].reset_index(drop=True)
    same = ["dataset", "group", "label"]
    if not test[same].astype(str).equals(rows[same].astype(str)):
        raise InputError(f"The test rows of the bundle {bundle.folder.name} are not those of {trial}; train it again.")
    folder = trial.folder(runs)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (GRAPH_FILE, KERAS_FILE, HISTORY_FILE):
        shutil.copyfile(bundle.folder / name, folder / name)
    model = keras.saving.load_model(folder / KERAS_FILE, compile=False)
    words = bundle.card.command.split()
    planned = int(words[words.index("--epochs") + 1]) if "--epochs" in words else NETWORKS[trial.network].epochs
    earlier, training = bundle.card.started_from, bundle.card.training
    devices = [one.device for one in (earlier, training) if one is not None] or [NOT_RECORDED]
    options = {} if training is None else training.options.get(network, {})
    told = options.get("patience")
    longest = told if isinstance(told, int) else patience(planned)
    run = {
        **_of_history(folder / HISTORY_FILE, (earlier.epochs if earlier else 0) + planned, longest),
        "initial_weights": (earlier or bundle.card).initial_weights,
        "device": " and ".join(dict.fromkeys(devices)),
        "bundle": bundle.name,
    }
    table = pd.concat([test, rows[list(PROBABILITIES)]], axis=1).assign(dice=np.nan)
    if (bundle.folder / SEGMENTATION_FILE).is_file():
        masks = pd.read_csv(bundle.folder / SEGMENTATION_FILE)
        table.loc[test["outline"] >= 0, "dice"] = masks.loc[masks["split"] == "test", "dice"].to_numpy()
    decided = {"threshold": threshold, "doubt_from": min(bundle.doubt_from, threshold)}
    _write(trial, folder, model, data, table, {**run, **facts, **decided})


def _of_history(path: Path, planned: int, longest: int) -> dict[str, Any]:
    """Say how long a run was, and why it was over: "ended" is "planned", "patience" or, when stopped, "shortened".

    ``longest`` is the patience that the run had.
    """
    history = pd.read_csv(path)
    epochs, best = len(history), int(history.loc[history["val_loss"].idxmin(), "epoch"])
    in_vain = epochs - best >= longest
    return {
        "planned_epochs": planned,
        "epochs": epochs,
        "best_epoch": best,
        "ended": "planned" if epochs >= planned else "patience" if in_vain else "shortened",
        "seconds": float(history["seconds"].sum()),
    }


def _finish(
    trial: Trial, best: keras.Model, data: ExperimentData, options: RunOptions, facts: Mapping[str, Any]
) -> None:
    """Export, calibrate and choose the operating point on validation, and predict the test pictures.

    Where no tumor is to be outlined is fitted as ``decide`` does, but for the pictures that a bundle refers as atypical
    first: that would take the features of all training pictures.
    """
    folder = trial.folder(options.runs)
    folder.mkdir(parents=True, exist_ok=True)
    validation, test = data.distinct("validation"), measured_part(data, trial)
    plain = without_optimizer(best)
    choose_cells(plain, validation)
    plain.save(folder / KERAS_FILE)
    export_graph(plain, folder / GRAPH_FILE)
    output = run_graph(Graph(folder / GRAPH_FILE), validation)
    calibration = calibrated(output, validation)
    chances = probability_table(validation.index, output.logits, calibration)
    threshold, _ = operating_point(chances, options.sensitivity)
    doubt_from = fit_referral(chances, threshold=threshold, least_band=LEAST_BAND).tumor_low
    output = run_graph(Graph(folder / GRAPH_FILE, map_temperature=calibration.map_temperature), test)
    table = probability_table(test.index, output.logits, calibration)
    table["dice"] = _dice(output, test, table, doubt_from)
    _write(trial, folder, plain, data, table, {**facts, "threshold": threshold, "doubt_from": doubt_from})


def _dice(output: GraphOutput, test: ExperimentData, table: pd.DataFrame, doubt_from: float) -> NDArray[np.float64]:
    """Score each outlined picture's mask as the app would draw it, (n,); NaN without a map or an outline."""
    scores = np.full(len(table), np.nan)
    if output.tumor_map is None:
        return scores
    size, drawn = test.pictures.shape[1], (1 - table[f"p_{NO_TUMOR}"] >= doubt_from).to_numpy()
    for row in np.flatnonzero(test.index["outline"] >= 0):
        outline = test.outline(int(row))
        assert outline is not None
        scores[row] = dice(mask_on_square(output.tumor_map[row], size) & drawn[row], outline > 127)
    return scores


def _write(
    trial: Trial, folder: Path, model: keras.Model, data: ExperimentData, table: pd.DataFrame, facts: Mapping[str, Any]
) -> None:
    table[list(ROW_COLUMNS)].to_csv(folder / PREDICTIONS_FILE, index=False, float_format=f"%.{DIGITS}f")
    whole = {
        "network": trial.network,
        "split": trial.split,
        "fold": trial.fold,
        "size": int(model.input.shape[1]),
        "images": int((data.index["split"] == "train").sum()),
        "parameters": int(model.count_params()),
        "flops": operations(model),
        **facts,
    }
    write_whole(folder / FACTS_FILE, json.dumps(whole, indent=2) + "\n")
