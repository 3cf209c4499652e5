"""One training run: resumable, with a history line an epoch."""

import json
import time
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.bundles import HISTORY_FILE
from braintumor.errors import InputError
from braintumor.training.averaging import Weights, blend, settle
from braintumor.training.experiment import ExperimentData
from braintumor.training.losses import (
    KINDS_ONLY,
    MARGINAL,
    MarginalCrossEntropy,
    OutlineLoss,
    accuracy_for,
    loss_of,
)
from braintumor.training.profiling import device, software
from braintumor.training.sampling import PictureBatches, Sampling, allowed_classes, target_maps
from braintumor.training.writing import write_whole

SETTLING_BATCHES = 16
"""Batches from which the statistics of averaged weights are estimated after each epoch."""

NOT_RECORDED = "not recorded"
"""Device of a run that does not say on what it was trained."""

_STATE_FILE = "state.json"
_KEPT_FILE = "kept.keras"
_AND = " and "


@dataclass(frozen=True)
class FitOptions:
    """How long and how hard to train.

    ``patience`` is the number of epochs without a better validation loss after which the run ends.
    ``averaging`` is the share of all steps over which the weights' moving average reaches back (Polyak & Juditsky
    1992); that average is kept.
    ``outline_weight`` is that of the map's loss beside the logits', for networks that have a map, and ``rest_weight``
    that of the slice beside its tumor within it, see ``losses.OutlineLoss``. ``loss`` is one of
    ``losses.LOSSES``; ``smoothing`` is for "marginal".
    """

    epochs: int = 40
    batch_size: int = 32
    epoch_images: int = 3200
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    smoothing: float = 0.03
    averaging: float = 0.1
    patience: int = 20
    seed: int = 0
    outline_weight: float = 2.0
    rest_weight: float = 0.0
    sampling: Sampling = field(default_factory=Sampling)
    loss: str = MARGINAL


def patience(epochs: int) -> int:
    """Give the patience of a run of so many epochs: half of them, since a late state can still help the mean kept.

    It is 20 at least.
    """
    return max(FitOptions.patience, epochs // 2)


class TrainingError(InputError):
    """A training run that cannot go on; the message says what to change."""


def fit(
    model: keras.Model,
    train: ExperimentData,
    validation: ExperimentData,
    folder: Path,
    options: FitOptions,
    identity: str = "",
    *,
    keep_start: bool = False,
) -> keras.Model:
    """Train a network with AdamW (Loshchilov & Hutter 2019) on a cosine schedule and give what is best on validation.

    That is the best state, or its mean with the best one before it, the last one, or both: see ``averaging.blend``.
    With ``keep_start`` what it started from can be part of the mean too, so that a network that is trained on loses
    less of what it knew (Wortsman et al., CVPR 2022, arXiv:2109.01903).
    After each epoch ``folder`` holds the state to go on from, the best two so far and ``history.csv``; the same call
    on such a folder goes on after the last whole epoch. ``identity`` tells what the run is of: raises
    ``TrainingError`` when the folder holds the state of another one, and when no epoch had a validation loss.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = _State.load(folder)
    first = model.get_weights() if keep_start else None
    # When to give up is no part of what a run is of.
    identity = f"{identity} {replace(options, patience=FitOptions.patience)}"
    if state.epoch and state.identity != identity:
        raise TrainingError(
            f"{folder} holds a run on other data or with other options; choose another name or delete it."
        )
    state.identity = identity
    judge = _Judge(train, validation, options)
    recorder = _Recorder(folder, state, judge, options)
    # A run that is over needs no more than the state that it kept.
    if not recorder.finished(state.epoch):
        if state.epoch:
            model = _restored(folder / state.last_file, options)
        else:
            _compile(model, options)
        state.add_device(device())
        state.software |= software()
        batches = _batches(train, options, state.epoch, _map_side(model))
        # Shuffled, batches would come in an order that a resumed run does not know.
        model.fit(
            batches,
            initial_epoch=state.epoch,
            epochs=options.epochs,
            callbacks=[recorder],
            shuffle=False,
            verbose=2,
        )
    if state.best_epoch and not state.kept:
        _blend(folder, state, judge, first)
    return _best(folder, state)


def best_so_far(folder: Path, identity: str) -> keras.Model | None:
    """Load the best state of a run that may not be over; None where no epoch of it is whole.

    Raises ``TrainingError`` when the run was not of ``identity``, as ``fit`` was given it, and when no epoch had a
    validation loss.
    """
    state = _State.load(folder)
    if state.epoch and not state.identity.startswith(f"{identity} "):
        raise TrainingError(f"{folder} holds a run on other data; choose another folder or delete it.")
    return _best(folder, state) if state.epoch else None


def trained_on(folder: Path) -> str | None:
    """Name the devices that trained the run in a folder, or ``NOT_RECORDED``; None where no run left its state."""
    state = _State.load(folder)
    return state.device or NOT_RECORDED if state.epoch else None


def trained_with(folder: Path) -> dict[str, str] | None:
    """Give the versions of the software that trained the run in a folder; None where no run left its state.

    They are empty where that state does not say.
    """
    state = _State.load(folder)
    return state.software if state.epoch else None


def kept_epochs(folder: Path) -> list[int]:
    """Give the epochs whose states' mean a finished run kept, 0 for its start; none where no run left its state."""
    return sorted(_State.load(folder).kept)


def _best(folder: Path, state: "_State") -> keras.Model:
    if not state.best_epoch:
        raise TrainingError("The validation loss was never a number; choose a lower --learning-rate.")
    return keras.saving.load_model(folder / (_KEPT_FILE if len(state.kept) > 1 else state.best_file))


def _blend(folder: Path, state: "_State", judge: "_Judge", first: Weights | None) -> None:
    """Write the mean of a finished run's best states, where it is better than the best one alone.

    ``first`` are the weights that it started from, where they may be part of it.
    """
    epochs, models = [state.best_epoch], [keras.saving.load_model(folder / state.best_file)]
    if state.earlier_best_epoch:
        epochs.append(state.earlier_best_epoch)
        models.append(keras.saving.load_model(folder / state.earlier_best_file))
    if state.epoch != state.best_epoch:
        last = keras.saving.load_model(folder / state.last_file)
        last.optimizer.finalize_variable_values(last.trainable_variables)
        epochs.append(state.epoch)
        models.append(last)
    weights = [model.get_weights() for model in models]
    if first is not None:
        epochs.append(0)
        weights.append(first)
    chosen = blend(models[0], weights, lambda model: judge.measure(model)["val_loss"])
    state.kept = [epochs[number] for number in chosen]
    if len(chosen) > 1:
        models[0].save(folder / _KEPT_FILE)
    state.save(folder)


def _restored(path: Path, options: FitOptions) -> keras.Model:
    # A loaded optimizer has forgotten which weights do not decay, so a new one takes over what it knows.
    model = keras.saving.load_model(path)
    kept = model.optimizer
    _compile(model, options)
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(model.optimizer.variables, kept.variables, strict=True):
        variable.assign(value)
    return model


def _compile(model: keras.Model, options: FitOptions) -> None:
    steps = options.epochs * max(1, options.epoch_images // options.batch_size)
    warm_up = max(1, steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        options.learning_rate / 20,
        steps - warm_up,
        alpha=0.01,
        warmup_target=options.learning_rate,
        warmup_steps=warm_up,
    )
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=options.weight_decay,
        global_clipnorm=1.0,
        use_ema=True,
        # A fixed momentum would leave a short run with the average of its first, untrained weights.
        ema_momentum=max(0.0, 1 - 1 / (options.averaging * steps)),
        ema_overwrite_frequency=None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    losses: dict[str, keras.losses.Loss] = {"logits": loss_of(options.loss, options.smoothing)}
    weights = {"logits": 1.0}
    if _map_side(model):
        losses["map"], weights["map"] = OutlineLoss(rest=options.rest_weight), options.outline_weight
    model.compile(optimizer, losses, loss_weights=weights, metrics={"logits": [_named_accuracy(model)]})


def _batches(train: ExperimentData, options: FitOptions, epoch: int, map_side: int | None) -> PictureBatches:
    return PictureBatches(
        train,
        options.sampling,
        batch_size=options.batch_size,
        epoch_images=options.epoch_images,
        seed=options.seed,
        map_side=map_side,
        kinds_only=options.loss in KINDS_ONLY,
        epoch=epoch,
        workers=1,
        max_queue_size=8,
    )


def _named_accuracy(model: keras.Model) -> keras.metrics.Metric:
    return keras.metrics.MeanMetricWrapper(accuracy_for(model), name="accuracy")


def _map_side(model: keras.Model) -> int | None:
    """Side of the network's tumor map in cells; None for a network without one."""
    return int(model.output["map"].shape[1]) if "map" in model.output else None


@dataclass
class _State:
    """What the last whole epoch left behind; written last, so that a stop at any moment leaves a state that fits."""

    epoch: int = 0
    best_loss: float = float("inf")
    best_epoch: int = 0
    earlier_best_epoch: int = 0
    identity: str = ""
    device: str = ""
    software: dict[str, str] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)

    def add_device(self, name: str) -> None:
        """Note on what the epochs to come are trained, beside what trained those before."""
        before = (self.device or NOT_RECORDED).split(_AND) if self.epoch else []
        self.device = _AND.join(dict.fromkeys([*before, name]))

    @property
    def last_file(self) -> str:
        return f"last-{self.epoch}.keras"

    @property
    def best_file(self) -> str:
        return f"best-{self.best_epoch}.keras"

    @property
    def earlier_best_file(self) -> str:
        return f"best-{self.earlier_best_epoch}.keras"

    @classmethod
    def load(cls, folder: Path) -> "_State":
        path = folder / _STATE_FILE
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else cls()

    def save(self, folder: Path) -> None:
        write_whole(folder / _STATE_FILE, json.dumps(asdict(self)))
        for path in (*folder.glob("last-*.keras"), *folder.glob("best-*.keras")):
            if path.name not in (self.last_file, self.best_file, self.earlier_best_file):
                path.unlink()


class _Judge:
    """Settles a network on pictures of an epoch that is never trained on, and measures it on validation."""

    def __init__(self, train: ExperimentData, validation: ExperimentData, options: FitOptions) -> None:
        self._train = train
        self._validation = validation
        self._options = options

    @cached_property
    def _settling(self) -> list[NDArray[np.float32]]:
        batches = _batches(self._train, self._options, self._options.epochs, None)
        return [batches[number][0] for number in range(min(SETTLING_BATCHES, len(batches)))]

    def measure(self, model: keras.Model) -> dict[str, float]:
        settle(model, self._settling)
        pictures = self._validation.pictures[..., np.newaxis].astype(np.float32)
        allowed = allowed_classes(self._validation.index["label"])
        found = model.predict(pictures, batch_size=64, verbose=0)
        loss = float(MarginalCrossEntropy()(allowed, found["logits"]))
        accuracy = float(keras.ops.mean(accuracy_for(model)(allowed, found["logits"])))
        measured = {"val_loss": loss, "val_accuracy": accuracy}
        if "map" in found:
            outlines = [self._validation.outline(row) for row in range(len(pictures))]
            truth = target_maps(outlines, found["map"].shape[1])
            of_map = OutlineLoss(rest=self._options.rest_weight)
            measured["val_loss"] += self._options.outline_weight * float(of_map(truth, found["map"]))
            measured["val_dice"] = _mean_dice(truth, found["map"])
        return measured


class _Recorder(keras.callbacks.Callback):
    """Validates the averaged weights after each epoch, saves both states, and ends the run when it stops improving."""

    def __init__(
        self,
        folder: Path,
        state: _State,
        judge: _Judge,
        options: FitOptions,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._state = state
        self._judge = judge
        self._options = options
        self._started = 0.0

    def finished(self, epoch: int) -> bool:
        return epoch >= self._options.epochs or epoch - self._state.best_epoch >= self._options.patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._state.epoch = epoch + 1
        self.model.save(self._folder / self._state.last_file)
        # Not the weights alone: whatever dropout draws in settling would be missing from a run that is gone on with.
        kept = [keras.ops.convert_to_numpy(variable) for variable in self.model.variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        measured = self._judge.measure(self.model)
        if measured["val_loss"] < self._state.best_loss:
            self._state.earlier_best_epoch = self._state.best_epoch
            self._state.best_loss, self._state.best_epoch = measured["val_loss"], epoch + 1
            self.model.save(self._folder / self._state.best_file)
        for variable, value in zip(self.model.variables, kept, strict=True):
            variable.assign(value)
        self._write(epoch, logs or {}, measured)
        self._state.save(self._folder)
        self.model.stop_training = self.finished(epoch + 1)

    def _write(self, epoch: int, logs: dict[str, Any], measured: dict[str, float]) -> None:
        row = {
            "epoch": epoch + 1,
            "loss": logs.get("loss"),
            "accuracy": logs.get("logits_accuracy", logs.get("accuracy")),
            **measured,
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": round(time.perf_counter() - self._started, 1),
        }
        path = self._folder / HISTORY_FILE
        past = pd.read_csv(path).query("epoch <= @epoch") if path.is_file() and epoch else pd.DataFrame()
        write_whole(path, pd.concat([past, pd.DataFrame([row])], ignore_index=True).to_csv(index=False))


def _mean_dice(truth: NDArray[np.float32], logits: NDArray[np.float32]) -> float:
    """Mean Dice of the map's cells above even odds, over the pictures with an outlined tumor."""
    drawn = truth.max(axis=(1, 2, 3)) > 0.5
    tumor, found = truth[drawn] > 0.5, logits[drawn] > 0
    overlap = (tumor & found).sum(axis=(1, 2, 3))
    return float(np.mean(2 * overlap / (tumor.sum(axis=(1, 2, 3)) + found.sum(axis=(1, 2, 3)))))
