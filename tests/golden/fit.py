"""A small training run, stopped in the middle and gone on with: ``python -m tests.golden.fit`` writes what it gives.

Run it only when a change is meant to alter what training gives.
"""

import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from braintumor.bundles import HISTORY_FILE
from braintumor.training.augmentation import Augmentation
from braintumor.training.counterfactuals import Counterfactuals
from braintumor.training.fit import fit
from braintumor.training.fit_options import FitOptions
from braintumor.training.sampling import Sampling
from tests.training.glass import ROWS, build_glass, glass_data

FILE = Path(__file__).with_name("fit.json")
NETWORKS = ("squeeze_unet", "squeezenet")
OPTIONS = FitOptions(
    epochs=4,
    batch_size=4,
    epoch_images=20,
    patience=10,
    averaging=0.13,
    sampling=Sampling(Augmentation(), Counterfactuals(mirror_half=0.5, patch=0.5, graft=0.5)),
)


class StoppedError(Exception):
    """What stops a run in the middle of an epoch."""


def run(name, stop_at=None):
    """Give history and kept weights of a run; one with ``stop_at`` (epoch, batch) is stopped there and run again."""
    data = glass_data(ROWS)
    train, validation = data.part("train"), data.part("validation")
    with tempfile.TemporaryDirectory() as folder:
        if stop_at is not None:
            _stopped(build_glass(name), train, validation, Path(folder), stop_at)
        model = build_glass(name, seed=0 if stop_at is None else 9)
        best = fit(model, train, validation, Path(folder), OPTIONS, "golden")
        history = pd.read_csv(Path(folder) / HISTORY_FILE).drop(columns="seconds")
        return history, best.get_weights()


def _stopped(model, train, validation, folder, stop_at):
    class Stop(keras.callbacks.Callback):
        epoch = 0

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if (self.epoch, batch) == stop_at:
                raise StoppedError

    original = keras.Model.fit
    keras.Model.fit = lambda self, *given, callbacks, **named: original(
        self, *given, callbacks=[*callbacks, Stop()], **named
    )
    try:
        fit(model, train, validation, folder, OPTIONS, "golden")
    except StoppedError:
        return
    finally:
        keras.Model.fit = original
    raise AssertionError("the run was over before it was stopped")


def summary(history, weights):
    """Give a run's history and, of each of its arrays of weights, mean, spread and first value; ready for JSON."""
    return {
        "history": history.to_dict("list"),
        "weights": [[float(found) for found in (one.mean(), one.std(), np.ravel(one)[0])] for one in weights],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: summary(*run(name)) for name in NETWORKS}) + "\n", encoding="utf-8")
