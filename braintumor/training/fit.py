"""One training run: resumable, with a history line an epoch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from braintumor.bundles import HISTORY_FILE
from braintumor.errors import InputError
from braintumor.training.averages import Weights, blend
from braintumor.training.callbacks import Backup, Judge, RunState, Validation, best_file, records
from braintumor.training.experiment import ExperimentData
from braintumor.training.fit_options import FitOptions, batches_of, map_side
from braintumor.training.losses import OutlineLoss, accuracy_for, loss_of

_BACKUP = "backup"
_KEPT_FILE = "kept.keras"


class TrainingError(InputError):
    """A training run that cannot be resumed; the message says what to change."""


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

    That is the best state, or its mean with the best one before it, the last one, or both: see ``averages.blend``.
    With ``keep_start`` what it started from can be part of the mean too, so that a network that is trained on loses
    less of what it knew (Wortsman et al., CVPR 2022, arXiv:2109.01903).
    After each epoch ``folder`` holds the state to resume from, the best ones so far and ``history.csv``; the same call
    on such a folder resumes after the last whole epoch. ``identity`` tells what the run is of: raises
    ``TrainingError`` when the folder holds the state of another one, and when no epoch had a validation loss.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A run with another patience is still the same run.
    state = RunState.load(folder)
    if not state.begin(f"{identity} {replace(options, patience=FitOptions.patience)}"):
        raise TrainingError(
            f"{folder} holds a run on other data or with other options; choose another name or delete it."
        )
    # A run that is over needs no more than the state that it kept.
    if not state.kept:
        judge = Judge(train, validation, options)
        first = model.get_weights() if keep_start else None
        _train(model, train, judge, folder, options, state)
        _blend(model, folder, judge, first, state)
    return keras.saving.load_model(folder / (_KEPT_FILE if len(state.kept) > 1 else best_file(state.kept[0])))


def trained_on(folder: Path) -> str | None:
    """Name the devices that trained the run in a folder; None where no run left its state."""
    return RunState.load(folder).device or None


def trained_with(folder: Path) -> dict[str, str] | None:
    """Give the versions of the software that trained the run in a folder; None where no run left its state."""
    return RunState.load(folder).software or None


def kept_epochs(folder: Path) -> list[int]:
    """Give the epochs whose states' mean a finished run kept, 0 for its start; none where no run left its state."""
    return sorted(RunState.load(folder).kept)


def _train(
    model: keras.Model, train: ExperimentData, judge: Judge, folder: Path, options: FitOptions, state: RunState
) -> None:
    """Run the epochs that are left, and leave the average of the last one's weights in ``model``."""
    compile_for(model, options)
    backup = Backup(folder / _BACKUP, options.steps)
    # Before the batches are made, which depend on the epoch.
    backup.set_model(model)
    backup.on_train_begin()
    epoch = backup.epoch
    validation = Validation(folder, judge, options, state, epoch)
    if not validation.finished(epoch):
        model.fit(
            batches_of(train, options, epoch, map_side(model)),
            initial_epoch=epoch,
            epochs=options.epochs,
            callbacks=[keras.callbacks.TerminateOnNaN(), validation, backup],
            # Shuffled, batches would come in an order that a resumed run does not know.
            shuffle=False,
            verbose=2,
        )
    model.optimizer.finalize_variable_values(model.trainable_variables)


def _blend(model: keras.Model, folder: Path, judge: Judge, first: Weights | None, state: RunState) -> None:
    """Write the mean of a run's best states, where it is better than the best one, and say what was kept.

    ``model`` is the last state, ``first`` are the weights that it started from, where they may be part of the mean.
    Raises ``TrainingError`` where no state had a validation loss.
    """
    history = pd.read_csv(folder / HISTORY_FILE)
    *earlier, best = records(history) or [0]
    if not best:
        raise TrainingError("The validation loss was never a number; choose a lower --learning-rate.")
    epochs = [best, *earlier[-1:]]
    models = [keras.saving.load_model(folder / best_file(epoch)) for epoch in epochs]
    if len(history) != best:
        epochs.append(len(history))
        models.append(model)
    weights = [one.get_weights() for one in models]
    if first is not None:
        epochs.append(0)
        weights.append(first)
    chosen = [0] if len(weights) == 1 else blend(models[0], weights, lambda mean: judge.measure(mean)["val_loss"])
    if len(chosen) > 1:
        models[0].save(folder / _KEPT_FILE)
    state.kept = [epochs[number] for number in chosen]
    state.save(folder)


def fit_epoch(
    model: keras.Model, train: ExperimentData, options: FitOptions, epoch: int, first_step: keras.Variable
) -> dict[str, float]:
    """Train a network for one epoch of a run, counted from 0, with an optimizer that knows nothing of those before.

    Batches and learning rate are those of that epoch. ``first_step`` is what ``compile_apart`` gave; ``options`` have
    no ``averaging``, so that the weights left are those of the last step. Gives the epoch's loss and accuracy.
    """
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    first_step.assign(epoch * options.steps)
    batches = batches_of(train, options, epoch, map_side(model))
    logs = model.fit(batches, epochs=1, shuffle=False, verbose=0).history
    return {"loss": float(logs["loss"][0]), "accuracy": float(logs.get("logits_accuracy", logs.get("accuracy"))[0])}


def compile_apart(model: keras.Model, options: FitOptions) -> keras.Variable:
    """Make a network ready for ``fit_epoch``, and give the variable by which that places its epoch on the schedule."""
    compile_for(model, options)
    later = _Later(schedule(options))
    model.optimizer.learning_rate = later
    model.optimizer.build(model.trainable_variables)
    return later.first_step


class _Later(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that begins at a step of its own; the optimizer's count also corrects the bias of its moments."""

    def __init__(self, inner: keras.optimizers.schedules.LearningRateSchedule) -> None:
        super().__init__()
        self._inner = inner
        self.first_step = keras.Variable(0, dtype="int32", trainable=False)

    def __call__(self, step: Any) -> Any:
        return self._inner(keras.ops.cast(step, "int32") + self.first_step)


def schedule(options: FitOptions) -> keras.optimizers.schedules.CosineDecay:
    """Give the learning rate by step: a short rise, and a half cosine down to a hundredth over all epochs."""
    steps = options.epochs * options.steps
    warm_up = max(1, steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        options.learning_rate / 20,
        max(1, steps - warm_up),
        alpha=0.01,
        warmup_target=options.learning_rate,
        warmup_steps=warm_up,
    )


def compile_for(model: keras.Model, options: FitOptions) -> None:
    """Give a network the optimizer, the schedule over all epochs, and the losses that the options ask for."""
    steps = options.epochs * options.steps
    optimizer = keras.optimizers.AdamW(
        schedule(options),
        weight_decay=options.weight_decay,
        global_clipnorm=1.0,
        use_ema=options.averaging > 0,
        # A fixed momentum would leave a short run with the average of its first, untrained weights.
        ema_momentum=max(0.0, 1 - 1 / (options.averaging * steps)) if options.averaging else 0.0,
        ema_overwrite_frequency=None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    losses: dict[str, keras.losses.Loss] = {"logits": loss_of(options.loss, options.smoothing)}
    weights = {"logits": 1.0}
    if map_side(model):
        losses["map"], weights["map"] = OutlineLoss(), options.outline_weight
    accuracy = keras.metrics.MeanMetricWrapper(accuracy_for(model), name="accuracy")
    model.compile(optimizer, losses, loss_weights=weights, metrics={"logits": [accuracy]})
