"""``python -m braintumor compare``: train networks on the same folds, and put their bundles side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from braintumor.bundles import CARD_FILE, list_bundles, load_bundle, read_card
from braintumor.datasets import Roles, at_home
from braintumor.errors import InputError
from braintumor.evaluation.comparison_schema import LEAK_FREE, Protocol, Report
from braintumor.networks import NETWORKS, registered
from braintumor.networks.heads import check_task
from braintumor.taxonomy import BINARY, FOUR_CLASS
from braintumor.training.comparison import Comparison, Result, result_of
from braintumor.training.decisions import SENSITIVITY
from braintumor.training.experiment import index_digest, labelled_index
from braintumor.training.losses import MARGINAL
from braintumor.training.run import KERAS_SUFFIX, RunOptions, run


@dataclass(frozen=True)
class CompareOptions:
    """What a comparison was asked for; see ``python -m braintumor compare --help``.

    ``networks`` are the ones to train, none to write the table anew; ``weights`` are by network. ``bundles`` count
    beside those that comparisons trained, and stand for their network on their own split.
    """

    data: Path
    runs: Path
    out: Path
    networks: tuple[str, ...] = ()
    folds: int = 5
    run_folds: tuple[int, ...] = (0,)
    roles: Roles = field(default_factory=Roles)
    epochs: int | None = None
    weights: Mapping[str, Path | str] = field(default_factory=dict)
    bfloat16: bool = False
    bundles: tuple[Path, ...] = ()
    seed: int = 0
    sensitivity: float = SENSITIVITY
    task: str = FOUR_CLASS

    @property
    def models(self) -> Path:
        """Folder of the bundles that comparisons trained."""
        return self.runs / "compared"

    def trainings(self) -> Iterator[RunOptions]:
        """Give the training of each network and fold that was asked for, in the order of the registry."""
        folds = self.run_folds if self.roles.by_folds else (0,)
        yield from (self._training(name, fold) for name in NETWORKS if name in self.networks for fold in folds)

    def _training(self, network: str, fold: int) -> RunOptions:
        parts = [network, self.roles.name, f"fold{fold}" if self.roles.by_folds else ""]
        return RunOptions(
            data=self.data,
            network=network,
            weights=self.weights.get(network),
            name="-".join(filter(None, [*parts, "" if self.task == FOUR_CLASS else self.task])),
            version="1.0.0",
            size=None,
            epochs=self.epochs,
            folds=self.folds,
            fold=fold,
            seed=self.seed,
            learning_rate=None,
            recipe=None,
            bfloat16=self.bfloat16,
            runs=self.runs,
            models=self.models,
            sensitivity=self.sensitivity,
            task=self.task,
            # The categorical one, with 3% label smoothing, where the kind is known. Without the tumors of unknown kind
            # a source that has no others would show a network its tumor-free pictures alone.
            loss=MARGINAL if self.task == FOUR_CLASS else BINARY,
            roles=self.roles,
        )


def compare(options: CompareOptions) -> tuple[Report, dict[str, str]]:
    """Train what is asked for and has no bundle yet, and write ``options.out`` from all bundles.

    What ``options.out`` knows of networks on splits and folds that have no bundle is kept. Gives the report of
    ``comparison.json`` and, by the name of a training, why one that was asked for is not there; the others go on.
    Raises ``InputError`` for options that cannot be, and for bundles or results of other data, folds, seed, sensitivity
    or task.
    """
    _check(options)
    listed = labelled_index(options.data)
    listed = listed.assign(row=np.arange(len(listed)))
    protocol = Protocol(**{name: getattr(options, name) for name in Protocol.model_fields})
    table = Comparison.read(options.out, index_digest(listed[at_home(listed)].assign(split="")), protocol)
    given = [result_of(load_bundle(folder), listed, protocol) for folder in options.bundles]
    skipped: dict[str, str] = {}
    for training in options.trainings():
        if any(_stands_for(training, result) for result in given):
            continue
        try:
            _train(training, listed)
        except InputError as error:
            skipped[training.name] = str(error)
    for folder in list_bundles(options.models):
        table.add(result_of(load_bundle(folder), listed, protocol))
    for result in given:
        table.add(result)
    reasons = {training.network: skipped[training.name] for training in options.trainings() if training.name in skipped}
    return table.write(options.out, reasons), skipped


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


def _check_weights(weights: Path | str) -> None:
    if isinstance(weights, Path) and weights.suffix == KERAS_SUFFIX:
        raise InputError(
            f"{weights.name} is a trained network, which may have seen the test pictures of a fold; give --weights a "
            "file of ImageNet weights, or imagenet."
        )
    if isinstance(weights, Path) and not weights.is_file():
        raise InputError(f"{weights} is not a file; give --weights a file of ImageNet weights, or imagenet.")


def _stands_for(training: RunOptions, result: Result) -> bool:
    split = training.roles.name or LEAK_FREE
    return (training.network, split, training.fold) == result.key


def _train(training: RunOptions, listed: pd.DataFrame) -> None:
    """Train a network unless its bundle is there; raises ``InputError`` where that is of another training."""
    folder = training.models / training.name
    if not (folder / CARD_FILE).is_file():
        # What earlier networks left in memory adds up over a night.
        keras.utils.clear_session()
        run(training, listed)
    elif read_card(folder).command != training.settled().command:
        raise InputError(f"{folder} holds another training; rename it or delete it to train it anew.")
