"""``python -m braintumor train``: from a folder of pictures to a bundle."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import pandas as pd

from braintumor import settings
from braintumor.bundles import CARD_FILE, HISTORY_FILE, Card, read_card, sha256_of
from braintumor.datasets import Hospitals, Roles, at_home
from braintumor.errors import InputError
from braintumor.networks import Network, registered
from braintumor.networks.ensemble import joined
from braintumor.taxonomy import BINARY, FOUR_CLASS
from braintumor.training.costs import NOT_RECORDED, device, software
from braintumor.training.experiment import (
    ExperimentData,
    index_digest,
    labelled_index,
    prepare_pictures,
    split_index,
)
from braintumor.training.fit import fit, kept_epochs, trained_on, trained_with
from braintumor.training.fit_options import FitOptions, patience
from braintumor.training.logistic import fit_logistic
from braintumor.training.losses import chosen_loss
from braintumor.training.options import RunOptions
from braintumor.training.recipes import RECIPES
from braintumor.training.sampling import Sampling
from braintumor.training.stacks import StackSource
from braintumor.training.write_bundle import write_bundle

KERAS_SUFFIX = ".keras"
LOGISTIC = "logistic"
WHOLE_HISTORY_FILE = "whole_history.csv"
"""Epochs of all the trainings that a bundle's network went through, beside those of its last one."""


def weights_identity(options: RunOptions) -> str | None:
    """Give what tells initial weights from all others: the SHA-256 of a file, or "imagenet"."""
    return sha256_of(options.weights) if isinstance(options.weights, Path) else options.weights


def with_defaults(options: RunOptions) -> RunOptions:
    """Fill in what was left to the settings and the network; members of an ensemble each have their own."""
    network = registered(options.network)
    options = replace(options, name=options.name or network.name, models=options.models or settings.load().models_dir)
    if network.members:
        return options
    return replace(
        options,
        epochs=network.epochs if options.epochs is None else options.epochs,
        learning_rate=network.learning_rate if options.learning_rate is None else options.learning_rate,
        recipe=network.recipe if options.recipe is None else options.recipe,
        loss=chosen_loss(options.loss, options.task, network.loss),
    )


def part_options(options: RunOptions) -> list[RunOptions]:
    """Give the options of each network to train, complete and with its size: one, or the members of an ensemble."""
    network = registered(options.network)
    sized = replace(options, size=options.size or network.size)
    return [with_defaults(replace(sized, network=name)) for name in network.members or (network.name,)]


def run(options: RunOptions, listed: pd.DataFrame | None = None) -> Card:
    """Train, or go on with a stopped run, and write the bundle ``models/NAME``; gives its card.

    ``listed`` is what ``labelled_index`` gives of the data, where that is at hand. Raises ``InputError`` for an unknown
    network, a sensitivity out of range, or a bundle's network to start from that was trained on another split,
    ``DatasetError`` for data that cannot be used, and ``TrainingError`` when the name was used for another run.
    """
    if not 0 < options.sensitivity <= 1:
        raise InputError(f"The sensitivity is {options.sensitivity:g}; it must be above 0 and at most 1.")
    options = with_defaults(options)
    size = options.size or registered(options.network).size
    for part in part_options(options):
        # What cannot be drawn or built is refused before the pictures are read.
        _fit_options(part)
        start(part)
    index = split_index(
        labelled_index(options.data, options.modality) if listed is None else listed,
        folds=options.folds,
        fold=options.fold,
        seed=options.seed,
        hospitals=options.hospitals,
        roles=options.roles,
    )
    _refuse_other_split(options.weights, index)
    folder = options.runs / options.name
    data = prepare_pictures(options.data, index, size, options.runs / "pictures")
    data = replace(data, as_published=options.roles.as_published)
    data = data.without_kinds() if options.task == BINARY else data
    # What training starts from may be replaced before it is over.
    initial = weights_identity(options)
    earlier, past = _earlier_training(_bundle_of(options.weights))
    best = train_network(options, data, folder, f"{index_digest(index)} {initial}")
    folders = _folders(options, folder)
    devices = dict.fromkeys(trained_on(where) or device() for where in folders)
    facts = card_facts(
        options,
        index,
        kept=kept_epochs(folder),
        devices=" and ".join(devices),
        versions=versions_of(folders),
        initial=initial,
        earlier=earlier,
    )
    history = join_histories([*past, pd.read_csv(folder / HISTORY_FILE)], folder / WHOLE_HISTORY_FILE)
    assert options.models is not None
    stacks = StackSource(options.data, options.tumor_free)
    return write_bundle(best, data, history, options.models / options.name, facts, options.sensitivity, stacks)


def card_facts(
    options: RunOptions,
    index: pd.DataFrame,
    *,
    kept: Sequence[int],
    devices: str,
    versions: Mapping[str, str],
    initial: str | None,
    earlier: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Tell what a bundle's card says of its training on the split ``index``.

    ``kept`` are the epochs whose states' mean it is, ``devices`` what it ran on, ``versions`` those of its software,
    ``initial`` is what ``weights_identity`` gave before it began, and ``earlier`` tells of a training that it goes on
    from.
    """
    network = registered(options.network)
    return {
        "name": options.name,
        "version": options.version,
        "modality": options.modality,
        "network": network.name,
        "network_source": network.source,
        "initial_weights": options.initial_weights,
        "initial_weights_sha256": initial if isinstance(options.weights, Path) else None,
        "command": options.command,
        "split": split_facts(
            index,
            {"seed": options.seed, "folds": options.folds, "fold": options.fold, **asdict(options.roles)},
            options.hospitals,
            set(index.loc[index["split"] == "train", "hospital"]),
        ),
        "kept_epochs": [earlier.get("epochs", 0) + epoch for epoch in kept],
        "training": _training(options, devices, versions),
        **({"started_from": earlier} if earlier else {}),
        "heatmap": network.heatmap,
        **({"kinds": False} if options.task == BINARY else {}),
    }


def split_facts(
    index: pd.DataFrame, told: Mapping[str, Any], held_out: Hospitals, trained: Collection[str]
) -> dict[str, Any]:
    """Tell how an index was split, for a card: ``told`` has seed, folds and fold, and may have the fields of ``Roles``.

    Which hospitals were ``trained`` on and held out is told where a row names an institution or one is held out.
    """
    home = at_home(index)
    facts = {
        **{key: told[key] for key in ("seed", "folds", "fold")},
        **{field.name: value for field in fields(Roles) if (value := told.get(field.name))},
        "groups": {str(name): int(count) for name, count in index.groupby("split")["group"].nunique().items()},
        "index_sha256": index_digest(index[home]),
    }
    if home.all() and held_out == Hospitals():
        return facts
    institutions = sorted(set(trained) & set(index.loc[~home, "hospital"]))
    hospitals = {"train": institutions, "validation": list(held_out.validation), "test": list(held_out.test)}
    return {**facts, "hospitals": hospitals, "hospitals_sha256": index_digest(index[~home])}


def versions_of(folders: Sequence[Path]) -> dict[str, str]:
    """Give the software that trained the runs in some folders; this process did what left no state."""
    found: dict[str, str] = {}
    for folder in folders:
        versions = trained_with(folder)
        found |= software() if versions is None else versions
    return found


def _training(options: RunOptions, devices: str, versions: Mapping[str, str]) -> dict[str, Any]:
    """Tell on what, with which software and with which options each network of a run was trained."""
    fitted = [part for part in part_options(options) if part.network != LOGISTIC]
    return {
        "device": devices,
        "software": dict(versions),
        "options": {part.network: {**asdict(_fit_options(part)), "unfreeze": part.unfreeze} for part in fitted},
    }


def _recipe(name: str) -> Sampling:
    if name not in RECIPES:
        raise InputError(f"The recipe is {name!r}; it must be one of {', '.join(RECIPES)}.")
    return RECIPES[name]


def start(options: RunOptions) -> keras.Model:
    """Build the network that a run starts from: anew, from ImageNet weights, or from a .keras file of its own kind.

    Raises ``InputError`` for weights, a size or a task that the network cannot have, or layers to unfreeze where it
    keeps none.
    """
    network, weights = registered(options.network), options.weights
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if options.bfloat16 else "float32")
    try:
        if isinstance(weights, Path) and weights.suffix == KERAS_SUFFIX:
            model = _gone_on_with(_built(network, options, None), weights)
        else:
            model = _built(network, options, weights)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{weights} holds no {network.name} that training can start from ({error}).") from error
    finally:
        keras.config.set_dtype_policy("float32")
    if options.unfreeze:
        unfreeze(model)
    return model


def unfreeze(model: keras.Model) -> None:
    """Let all be trained but what the first convolution, and its normalization, kept: edges look alike everywhere.

    Raises ``InputError`` for a network that keeps nothing.
    """
    weighted = [layer for layer in model.layers if layer.weights]
    if all(layer.trainable for layer in weighted):
        raise InputError(f"{model.name} keeps no layers as they came; omit --unfreeze.")
    normed = isinstance(weighted[1], keras.layers.BatchNormalization)
    for layer in weighted[2 if normed else 1 :]:
        layer.trainable = True


def _gone_on_with(model: keras.Model, path: Path) -> keras.Model:
    trained = keras.saving.load_model(path, compile=False)
    model.set_weights(trained.get_weights())
    for layer, source in zip(model.layers, trained.layers, strict=True):
        # What that training kept as it came, this one keeps too.
        layer.trainable = source.trainable
    return model


def _bundle_of(weights: Path | str | None) -> Path | None:
    """Give the folder of the bundle whose network training starts from; None for other weights."""
    if isinstance(weights, Path) and weights.suffix == KERAS_SUFFIX and (weights.parent / CARD_FILE).is_file():
        return weights.parent
    return None


def _refuse_other_split(weights: Path | str | None, index: pd.DataFrame) -> None:
    """Refuse the network of a bundle whose training pictures may be among the pictures to be tested on now."""
    bundle = _bundle_of(weights)
    if bundle is None:
        return
    if read_card(bundle).split.index_sha256 != index_digest(index[at_home(index)]):
        raise InputError(
            f"{bundle.name} was trained on other data or another split, so it may have seen the test pictures; "
            "give the folds, fold and seed of its card, or omit --weights."
        )


def _earlier_training(bundle: Path | None) -> tuple[dict[str, Any], list[pd.DataFrame]]:
    """Tell how the network of a bundle came about, for the card of one trained on from there, and give its history.

    Both are empty without a bundle.
    """
    if bundle is None:
        return {}, []
    card, history = read_card(bundle), pd.read_csv(bundle / HISTORY_FILE)
    before = card.started_from
    first = before or card
    devices = [before.device] if before else []
    devices.append(card.training.device if card.training else NOT_RECORDED)
    facts = {
        "name": card.name,
        "version": card.version,
        "initial_weights": first.initial_weights,
        "initial_weights_sha256": first.initial_weights_sha256,
        "commands": [*(before.commands if before else ()), card.command],
        "device": " and ".join(dict.fromkeys(devices)),
        "epochs": len(history),
    }
    return facts, [history]


def _built(network: Network, options: RunOptions, weights: Path | str | None) -> keras.Model:
    try:
        return network.start(options.size, weights, options.task)
    except InputError:
        raise
    except ValueError as error:
        if weights is not None:
            raise
        size = options.size or network.size
        raise InputError(
            f"{network.name} cannot be built for {size} pixels; choose a larger --size, a multiple of 32."
        ) from error


def train_network(options: RunOptions, data: ExperimentData, folder: Path, identity: str = "") -> keras.Model:
    """Train the network that the options name on the split "train" and give its best state on "validation".

    ``folder`` gets what ``fit`` writes, of an ensemble one folder a member, and ``history.csv``: that of an ensemble
    has its members' epochs one after the other. ``identity`` tells what data the run is of. Raises like ``start`` and
    ``fit``.
    """
    members, folders = part_options(options), _folders(options, folder)
    trained = [_trained(part, data, where, identity) for part, where in zip(members, folders, strict=True)]
    if len(trained) == 1:
        return trained[0]
    join_histories([pd.read_csv(where / HISTORY_FILE) for where in folders], folder / HISTORY_FILE)
    return joined(trained)


def _folders(options: RunOptions, folder: Path) -> list[Path]:
    """Where each network of a run leaves its state; one that leaves none was trained just now."""
    parts = part_options(options)
    return [folder if len(parts) == 1 else folder / part.network for part in parts]


def join_histories(histories: Sequence[pd.DataFrame], path: Path) -> Path:
    """Write the histories of several trainings as one, their epochs counted on."""
    history = pd.concat(histories, ignore_index=True)
    history.assign(epoch=range(1, len(history) + 1)).to_csv(path, index=False)
    return path


def _trained(options: RunOptions, data: ExperimentData, folder: Path, identity: str) -> keras.Model:
    fitting, model = _fit_options(options), start(options)
    train, validation = data.part("train"), data.to_choose_on()
    if options.network == LOGISTIC:
        return fit_logistic(model, data.distinct("train"), validation, folder)
    what = f"{options.network} {options.size} {identity}"
    what += "" if options.task == FOUR_CLASS else f" {options.task}"
    what += " unfrozen" if options.unfreeze else ""
    trained_before = isinstance(options.weights, Path) and options.weights.suffix == KERAS_SUFFIX
    return fit(model, train, validation, folder, fitting, what, keep_start=trained_before)


def _fit_options(options: RunOptions) -> FitOptions:
    assert options.epochs is not None
    assert options.learning_rate is not None
    assert options.recipe is not None
    assert options.loss is not None
    return FitOptions(
        epochs=options.epochs,
        patience=patience(options.epochs),
        seed=options.seed,
        learning_rate=options.learning_rate,
        sampling=_recipe(options.recipe),
        loss=options.loss,
    )
