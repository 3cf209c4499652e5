"""What happens after each epoch of a run: it is measured, its best states are kept, and it can be resumed."""

import json
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.bundles import HISTORY_FILE
from braintumor.training.averages import settle
from braintumor.training.costs import device, software
from braintumor.training.experiment import ExperimentData
from braintumor.training.files import write_whole
from braintumor.training.fit_options import FitOptions, batches_of
from braintumor.training.losses import MarginalCrossEntropy, OutlineLoss, accuracy_for
from braintumor.training.sampling import allowed_classes, target_maps, taught_labels

SETTLING_BATCHES = 16
"""Batches from which the statistics of averaged weights are estimated after each epoch."""

_STATE_FILE = "state.json"
_AND = " and "
_BEST_KEPT = 3
"""Best states that stay: two for the mean, and one more, should the last one's epoch have to be run again."""


@dataclass
class RunState:
    """What a run is of, on what and with which software it was trained, and whose states' mean it kept once over."""

    identity: str = ""
    device: str = ""
    software: dict[str, str] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> "RunState":
        """Read what a run left in its folder; empty where there was none."""
        path = folder / _STATE_FILE
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else cls()

    def save(self, folder: Path) -> None:
        """Write it; a reader sees the old one or the whole new one."""
        write_whole(folder / _STATE_FILE, json.dumps(asdict(self)))

    def begin(self, identity: str) -> bool:
        """Note on what the epochs to come are trained, beside what trained those before; False for another run."""
        if self.identity not in ("", identity):
            return False
        self.identity = identity
        if not self.kept:
            self.device = _AND.join(dict.fromkeys([*filter(None, self.device.split(_AND)), device()]))
            self.software |= software()
        return True


class Backup(keras.callbacks.BackupAndRestore):
    """Saves weights and optimizer after each epoch, the ones before beside them, and restores them.

    Weights and the number of their epoch lie in two files, and a stop can come between them; so the number is taken
    from the optimizer's steps, which lie beside the weights.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(str(folder), double_checkpoint=True, delete_checkpoint=False)
        self._steps = steps

    @property
    def epoch(self) -> int:
        """Whole epochs that the model was trained for."""
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)) // self._steps

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self.model._initial_epoch = self.epoch


class Judge:
    """Settles a network on pictures of an epoch that is never trained on, and measures it on validation."""

    def __init__(self, train: ExperimentData, validation: ExperimentData, options: FitOptions) -> None:
        self._train = train
        self._validation = validation
        self._options = options

    @cached_property
    def _settling(self) -> list[NDArray[np.float32]]:
        batches = batches_of(self._train, self._options, self._options.epochs, None)
        return [batches[number][0] for number in range(min(SETTLING_BATCHES, len(batches)))]

    def measure(self, model: keras.Model) -> dict[str, float]:
        """Give val_loss and val_accuracy, and val_dice of a network with a map; its statistics are settled by it."""
        settle(model, self._settling)
        pictures = self._validation.pictures[..., np.newaxis].astype(np.float32)
        allowed = allowed_classes(taught_labels(self._validation.index))
        found = model.predict(pictures, batch_size=64, verbose=0)
        loss = float(MarginalCrossEntropy()(allowed, found["logits"]))
        accuracy = float(keras.ops.mean(accuracy_for(model)(allowed, found["logits"])))
        measured = {"val_loss": loss, "val_accuracy": accuracy}
        if "map" in found:
            outlines = [self._validation.outline(row) for row in range(len(pictures))]
            truth = target_maps(outlines, found["map"].shape[1])
            of_map = OutlineLoss()
            measured["val_loss"] += self._options.outline_weight * float(of_map(truth, found["map"]))
            measured["val_dice"] = _mean_dice(truth, found["map"])
        return measured


class Validation(keras.callbacks.Callback):
    """Measures the averaged weights after each epoch, keeps the best ones, and ends the run when it stops improving.

    Keras's own callbacks do parts of this, but ``SwapEMAWeights`` leaves the statistics of batch normalization as the
    raw weights gathered them; ``EarlyStopping`` and ``ModelCheckpoint`` forget the best loss when a run is resumed,
    and ``CSVLogger`` writes an epoch that is run again twice. Here all follows from ``history.csv``.
    """

    def __init__(self, folder: Path, judge: Judge, options: FitOptions, state: RunState, epoch: int) -> None:
        super().__init__()
        self._folder = folder
        self._judge = judge
        self._options = options
        self._state = state
        self._started = 0.0
        path = folder / HISTORY_FILE
        # A line may be left of an epoch after which no state was saved.
        self._history = pd.read_csv(path).head(epoch) if epoch and path.is_file() else pd.DataFrame()

    def finished(self, epoch: int) -> bool:
        """Tell whether a run is over after so many epochs."""
        best = [0, *records(self._history)][-1]
        return epoch >= self._options.epochs or epoch - best >= self._options.patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Not the weights alone: whatever dropout draws in settling would be missing from a resumed run.
        kept = [keras.ops.convert_to_numpy(variable) for variable in self.model.variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        row = self._row(epoch + 1, logs or {}, self._judge.measure(self.model))
        self._history = pd.concat([self._history, pd.DataFrame([row])], ignore_index=True)
        best = records(self._history)
        if best and best[-1] == epoch + 1:
            self.model.save(self._folder / best_file(epoch + 1))
        for variable, value in zip(self.model.variables, kept, strict=True):
            variable.assign(value)
        write_whole(self._folder / HISTORY_FILE, self._history.to_csv(index=False))
        self._state.save(self._folder)
        for path in set(self._folder.glob(best_file("*"))) - {
            self._folder / best_file(one) for one in best[-_BEST_KEPT:]
        }:
            path.unlink()
        self.model.stop_training = self.model.stop_training or self.finished(epoch + 1)

    def _row(self, epoch: int, logs: dict[str, Any], measured: dict[str, float]) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "loss": logs.get("loss"),
            "accuracy": logs.get("logits_accuracy", logs.get("accuracy")),
            **measured,
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": round(time.perf_counter() - self._started, 1),
        }


def records(history: pd.DataFrame) -> list[int]:
    """Give the epochs, from 1, whose validation loss was lower than any before."""
    found: list[int] = []
    lowest = float("inf")
    for epoch, loss in enumerate(history.get("val_loss", []), 1):
        if loss < lowest:
            found.append(epoch)
            lowest = loss
    return found


def best_file(epoch: int | str) -> str:
    """Name the file of the state of an epoch that was the best so far."""
    return f"best-{epoch}.keras"


def _mean_dice(truth: NDArray[np.float32], logits: NDArray[np.float32]) -> float:
    """Mean Dice of the map's cells above even odds, over the pictures with an outlined tumor."""
    drawn = truth.max(axis=(1, 2, 3)) > 0.5
    tumor, found = truth[drawn] > 0.5, logits[drawn] > 0
    overlap = (tumor & found).sum(axis=(1, 2, 3))
    return float(np.mean(2 * overlap / (tumor.sum(axis=(1, 2, 3)) + found.sum(axis=(1, 2, 3)))))
