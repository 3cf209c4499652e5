from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import HISTORY_FILE
from braintumor.networks import build
from braintumor.scans import phantom
from braintumor.training import FitOptions, fit
from braintumor.training.fitting import TrainingError, _Recorder, _restored

SIZE = 48
OPTIONS = FitOptions(epochs=3, batch_size=4, epoch_images=8, patience=10, averaging=0.5)


@pytest.fixture
def part():
    pictures = np.stack([phantom(SIZE, tumor=bool(number % 2), seed=number) for number in range(8)])
    labels = ["notumor" if number % 2 == 0 else "tumor" for number in range(8)]
    return pictures, pd.DataFrame({"label": labels, "picture": [f"p{number}" for number in range(8)]})


def _model():
    keras.utils.set_random_seed(0)
    model = build("squeezenet", size=SIZE)
    # Keras stores no state of the dropout's draws, and runs are compared here.
    model.get_layer("dropout").rate = 0.0
    return model


def test_a_run_leaves_a_history_and_both_states(part, tmp_path):
    best = fit(_model(), part, part, tmp_path, OPTIONS)
    history = pd.read_csv(tmp_path / HISTORY_FILE)
    assert list(history["epoch"]) == [1, 2, 3]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"} <= set(history.columns)
    assert np.isfinite(history.drop(columns="epoch").to_numpy()).all()
    assert best.output_shape == (None, 4)
    assert sorted(path.name.split("-")[0] for path in tmp_path.glob("*.keras")) == ["best", "last"]


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
    np.testing.assert_allclose(history["learning_rate"], expected["learning_rate"], rtol=1e-5)
    for found, wanted in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_a_finished_run_is_not_trained_again(part, tmp_path):
    fit(_model(), part, part, tmp_path, OPTIONS)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    fit(_model(), part, part, tmp_path, OPTIONS)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert list(pd.read_csv(tmp_path / HISTORY_FILE)["epoch"]) == [1, 2, 3]


@pytest.mark.parametrize(("options", "identity"), [(replace(OPTIONS, seed=1), "a"), (OPTIONS, "b")])
def test_a_folder_of_another_run_is_refused(part, tmp_path, options, identity):
    fit(_model(), part, part, tmp_path, replace(OPTIONS, epochs=1), "a")
    with pytest.raises(TrainingError, match="other data or with other options"):
        fit(_model(), part, part, tmp_path, replace(options, epochs=1), identity)


def test_a_resumed_optimizer_still_spares_what_does_not_decay(part, tmp_path):
    def spared(model):
        return [not model.optimizer._use_weight_decay(variable) for variable in model.trainable_variables]

    model = _model()
    fit(model, part, part, tmp_path, replace(OPTIONS, epochs=1))
    resumed = _restored(next(tmp_path.glob("last-*.keras")), replace(OPTIONS, epochs=1))
    assert any(spared(model))
    assert spared(resumed) == spared(model)
    for found, wanted in zip(resumed.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_patience_ends_a_run_that_stops_improving(part, tmp_path, monkeypatch):
    options = replace(OPTIONS, epochs=30, patience=2)
    original = _Recorder._validate
    losses = iter([0.5, 0.6, 0.7, 0.4])
    monkeypatch.setattr(_Recorder, "_validate", lambda self: (next(losses), original(self)[1]))
    fit(_model(), part, part, tmp_path, options)
    assert list(pd.read_csv(tmp_path / HISTORY_FILE)["epoch"]) == [1, 2, 3]
