"""``python -m braintumor compare``: train networks on the same folds, and put their bundles side by side."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from braintumor.bundles import CARD_FILE, list_bundles, load_bundle, read_card
from braintumor.datasets import at_home
from braintumor.errors import InputError
from braintumor.evaluation.comparison_schema import LEAK_FREE, Protocol, Report
from braintumor.networks import NETWORKS, registered
from braintumor.networks.heads import check_task
from braintumor.taxonomy import FOUR_CLASS
from braintumor.training.comparison import Comparison, Result, result_of
from braintumor.training.experiment import index_digest, labelled_index
from braintumor.training.losses import MARGINAL
from braintumor.training.options import CompareOptions, RunOptions, TrainingOptions
from braintumor.training.run import KERAS_SUFFIX, run, with_defaults


def trainings(options: CompareOptions) -> Iterator[RunOptions]:
    """Give the training of each network and fold that was asked for, in the order of the registry."""
    folds = options.run_folds if options.roles.by_folds else (0,)
    yield from (_training(options, name, fold) for name in NETWORKS if name in options.networks for fold in folds)


def _training(options: CompareOptions, network: str, fold: int) -> RunOptions:
    shared = {field.name: getattr(options, field.name) for field in fields(TrainingOptions)}
    name = [network, options.roles.name, f"fold{fold}" if options.roles.by_folds else ""]
    return RunOptions(
        **shared,
        network=network,
        weights=options.initial_weights.get(network),
        name="-".join(filter(None, [*name, "" if options.task == FOUR_CLASS else options.task])),
        fold=fold,
        # The categorical one, with 3% label smoothing, where the kind is known. Without the tumors of unknown kind
        # a source that has no others would show a network only its tumor-free pictures.
        loss=MARGINAL if options.task == FOUR_CLASS else "binary",
        models=options.models,
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
    for training in trainings(options):
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
    reasons = {training.network: skipped[training.name] for training in trainings(options) if training.name in skipped}
    return table.write(options.out, reasons), skipped


def _check(options: CompareOptions) -> None:
    for name in (*options.networks, *options.initial_weights):
        registered(name)
    for weights in options.initial_weights.values():
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
    assert training.models is not None
    folder = training.models / training.name
    if not (folder / CARD_FILE).is_file():
        # What earlier networks left in memory adds up over a night.
        keras.utils.clear_session()
        run(training, listed)
    elif read_card(folder).command != with_defaults(training).command:
        raise InputError(f"{folder} holds another training; rename it or delete it to train it anew.")
