import json
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

from braintumor.networks import build
from braintumor.scans import phantom
from braintumor.training import FitOptions, fit
from braintumor.training.fitting import BEST_FILE, HISTORY_FILE, LAST_FILE

SIZE = 48
OPTIONS = FitOptions(epochs=3, batch_size=4, epoch_images=8, patience=10, averaging=0.5)


@pytest.fixture
def part():
    pictures = np.stack([phantom(SIZE, tumor=bool(number % 2), seed=number) for number in range(8)])
    labels = ["notumor" if number % 2 == 0 else "tumor" for number in range(8)]
    return pictures, pd.DataFrame({"label": labels, "picture": [f"p{number}" for number in range(8)]})


def _model():
    keras.utils.set_random_seed(0)
    return build("squeezenet", size=SIZE)


def test_a_run_leaves_a_history_and_both_states(part, tmp_path):
    best = fit(_model(), part, part, tmp_path, OPTIONS)
    history = pd.read_csv(tmp_path / HISTORY_FILE)
    assert list(history["epoch"]) == [1, 2, 3]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"} <= set(history.columns)
    assert np.isfinite(history.drop(columns="epoch").to_numpy()).all()
    assert best.output_shape == (None, 4)
    assert (tmp_path / LAST_FILE).is_file()


class KilledError(Exception):
    pass


def test_a_stopped_run_ends_where_an_unbroken_one_does(part, tmp_path, monkeypatch):
    whole = fit(_model(), part, part, tmp_path / "whole", OPTIONS)

    class StopAfterOne(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KilledError

    original = keras.Model.fit
    with monkeypatch.context() as patch:
        patch.setattr(
            keras.Model,
            "fit",
            lambda self, *args, callbacks, **kwargs: original(
                self, *args, callbacks=[*callbacks, StopAfterOne()], **kwargs
            ),
        )
        with pytest.raises(KilledError):
            fit(_model(), part, part, tmp_path / "broken", OPTIONS)
    assert list(pd.read_csv(tmp_path / "broken" / HISTORY_FILE)["epoch"]) == [1]

    resumed = fit(_model(), part, part, tmp_path / "broken", OPTIONS)
    history = pd.read_csv(tmp_path / "broken" / HISTORY_FILE)
    assert list(history["epoch"]) == [1, 2, 3]
    expected = pd.read_csv(tmp_path / "whole" / HISTORY_FILE)
    # Dropout draws anew after a stop, so the two runs agree in course and not to the digit.
    np.testing.assert_allclose(history["learning_rate"], expected["learning_rate"], rtol=1e-5)
    assert resumed.count_params() == whole.count_params()


def test_a_finished_run_is_not_trained_again(part, tmp_path):
    fit(_model(), part, part, tmp_path, OPTIONS)
    before = (tmp_path / BEST_FILE).stat().st_mtime_ns
    fit(_model(), part, part, tmp_path, OPTIONS)
    assert (tmp_path / BEST_FILE).stat().st_mtime_ns == before
    assert list(pd.read_csv(tmp_path / HISTORY_FILE)["epoch"]) == [1, 2, 3]


def test_patience_ends_a_run_that_stops_improving(part, tmp_path):
    fit(_model(), part, part, tmp_path, replace(OPTIONS, epochs=1))
    state = tmp_path / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "best_loss": 0.0}))
    fit(_model(), part, part, tmp_path, replace(OPTIONS, epochs=30, patience=2))
    assert list(pd.read_csv(tmp_path / HISTORY_FILE)["epoch"]) == [1, 2, 3]
