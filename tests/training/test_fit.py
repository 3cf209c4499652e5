import json
import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import HISTORY_FILE
from braintumor.scans import phantom
from braintumor.training import callbacks
from braintumor.training.augmentation import Augmentation
from braintumor.training.callbacks import Judge, RunState, records
from braintumor.training.costs import device, software
from braintumor.training.counterfactuals import Counterfactuals
from braintumor.training.experiment import ExperimentData
from braintumor.training.fit import TrainingError, fit, kept_epochs, trained_on, trained_with
from braintumor.training.fit_options import FitOptions
from braintumor.training.losses import MarginalCrossEntropy, OutlineLoss
from braintumor.training.sampling import Sampling, allowed_classes, target_maps
from tests.conftest import phantom_outline, trace_nothing
from tests.training.glass import build_glass, first_statistics

SIZE = 48
OPTIONS = FitOptions(
    epochs=3,
    batch_size=4,
    epoch_images=20,
    patience=10,
    averaging=0.13,
    outline_weight=0.7,
    sampling=Sampling(Augmentation(), Counterfactuals(mirror_half=0.5, patch=0.5, graft=0.5)),
)
MEASURED = {
    "squeezenet": {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"},
    "squeeze_unet": {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "val_dice", "learning_rate", "seconds"},
}


@pytest.fixture(scope="module")
def part():
    """Eight heads, four with a tumor, three of these outlined."""
    pictures = np.stack([phantom(SIZE, tumor=bool(number % 2), seed=number) for number in range(8)])
    outlines = np.stack([phantom_outline(SIZE, seed) for seed in (1, 3, 5)]).astype(np.uint8) * 255
    index = pd.DataFrame(
        {
            "dataset": "a",
            "label": ["notumor", "tumor", "notumor", "glioma"] * 2,
            "picture": [f"p{number}" for number in range(8)],
            "outline": [-1, 0, -1, 1, -1, 2, -1, -1],
        }
    )
    return ExperimentData(pictures, outlines, index)


@dataclass
class Run:
    trained: keras.Model
    best: keras.Model
    folder: Path

    @property
    def history(self):
        return pd.read_csv(self.folder / HISTORY_FILE)


def _run(model, part, folder, options=OPTIONS, identity="a"):
    return Run(model, fit(model, part, part, folder, options, identity), folder)


@pytest.fixture(scope="module", params=["squeeze_unet", "squeezenet"])
def whole(request, part, tmp_path_factory):
    """A run that nothing stopped, of a network with a map and of one without."""
    return _run(build_glass(request.param), part, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def untraced(monkeypatch):
    """Runs of a few batches without a graph; those of ``whole`` have one."""
    trace_nothing(monkeypatch)


def test_a_run_leaves_a_history_and_both_states(whole):
    assert list(whole.history["epoch"]) == [1, 2, 3]
    assert set(whole.history.columns) == MEASURED[whole.trained.name]
    assert np.isfinite(whole.history.to_numpy()).all()
    assert set(whole.best.output) == set(whole.trained.output)
    assert whole.best.output["logits"].shape == (None, 4)
    names = {path.stem.split("-")[0] for path in whole.folder.glob("*.keras")}
    assert {"best"} <= names <= {"best", "kept"}
    assert (whole.folder / "backup" / "latest.weights.h5").is_file()


def test_the_history_tells_how_the_best_epoch_does_on_validation(whole, part):
    row = whole.history.loc[whole.history["val_loss"].idxmin()]
    best = keras.saving.load_model(whole.folder / f"best-{row['epoch']:.0f}.keras")
    found = best.predict(part.pictures[..., None].astype(np.float32), verbose=0)
    allowed = allowed_classes(part.index["label"])
    loss = float(MarginalCrossEntropy()(allowed, found["logits"]))
    if "map" in found:
        truth = target_maps([part.outline(row) for row in range(8)], SIZE // 2)
        loss += 0.7 * float(OutlineLoss()(truth, found["map"]))
        drawn, called = truth[[1, 3, 5]] > 0.5, found["map"][[1, 3, 5]] > 0
        dice = [2 * (one & other).sum() / (one.sum() + other.sum()) for one, other in zip(drawn, called, strict=True)]
        assert row["val_dice"] == pytest.approx(np.mean(dice), abs=1e-6)
        assert whole.history["val_dice"].max() > 0
    assert row["val_loss"] == pytest.approx(loss, rel=1e-4)
    assert row["val_accuracy"] == pytest.approx(allowed[np.arange(8), found["logits"].argmax(axis=1)].mean())


def test_what_is_kept_is_at_least_as_good_as_the_best_epoch(whole, part):
    kept, lowest = kept_epochs(whole.folder), whole.history["val_loss"].min()
    assert set(kept) <= {1, 2, 3}
    assert whole.history["val_loss"].idxmin() + 1 in kept
    found = Judge(part, part, OPTIONS).measure(whole.best)["val_loss"]
    assert found == pytest.approx(lowest, rel=1e-4) if len(kept) == 1 else found < lowest


def test_a_run_that_was_never_begun_kept_nothing(tmp_path):
    assert kept_epochs(tmp_path) == []


@pytest.mark.usefixtures("untraced")
def test_the_best_two_states_and_the_last_are_blended(part, tmp_path, monkeypatch):
    """Of five epochs the second and fourth were the best so far; their mean is better, with the last it is worse."""
    losses = iter([0.9, 0.5, 0.6, 0.4, 0.7, *(0.4, 0.3, 0.35), 0.3])
    original = Judge.measure
    monkeypatch.setattr(Judge, "measure", lambda self, model: {**original(self, model), "val_loss": next(losses)})
    run = _run(build_glass("squeezenet"), part, tmp_path, replace(OPTIONS, epochs=5))
    assert kept_epochs(tmp_path) == [2, 4]
    states = [keras.saving.load_model(tmp_path / f"best-{epoch}.keras") for epoch in (2, 4)]
    for kept, *parts in zip(run.best.trainable_weights, *(one.trainable_weights for one in states), strict=True):
        np.testing.assert_allclose(kept, np.mean([np.asarray(one) for one in parts], axis=0), rtol=1e-6, atol=1e-8)
    assert not list(losses), "measured once an epoch, and once a state that may join"


@pytest.mark.usefixtures("untraced")
def test_the_kept_weights_have_statistics_of_their_own(part, tmp_path):
    """Three steps of 1% would leave the statistics near the zeros and ones that they start from."""
    plain = Sampling(Augmentation(*[0] * len(fields(Augmentation))))
    model, pictures = build_glass(), part.pictures[..., None].astype(np.float32)
    run = _run(model, part, tmp_path, replace(OPTIONS, epochs=1, epoch_images=12, sampling=plain))
    model.load_weights(tmp_path / "backup" / "latest.weights.h5")
    (mean, variance), kept = first_statistics(run.best, [pictures]), run.best.get_layer("fire3_norm").get_weights()
    assert np.abs(kept[2] - mean).max() < 0.3 * np.abs(mean).max()
    assert np.abs(model.get_layer("fire3_norm").get_weights()[2] - mean).max() > 0.9 * np.abs(mean).max()
    assert np.abs(kept[3] - variance).max() < 0.5 * variance.max()


@pytest.mark.usefixtures("untraced")
def test_a_network_learns_what_it_is_shown_and_its_average_is_kept(part, tmp_path):
    model, pictures = build_glass(), part.pictures[..., None].astype(np.float32)
    targets = {
        "logits": (allowed_classes(part.index["label"]), MarginalCrossEntropy()),
        "map": (target_maps([part.outline(row) for row in range(8)], SIZE // 2), OutlineLoss()),
    }

    def losses(model):
        found = model.predict(pictures, verbose=0)
        return {name: float(loss(truth, found[name])) for name, (truth, loss) in targets.items()}

    before = losses(model)
    still = Sampling(Augmentation(*[0] * len(fields(Augmentation))))
    run = _run(model, part, tmp_path, replace(OPTIONS, epochs=1, epoch_images=80, learning_rate=1e-2, sampling=still))
    after = losses(run.best)
    assert after["logits"] < 0.7 * before["logits"]
    assert after["map"] < 0.9 * before["map"]
    # After the run the model holds the average; the backup holds the weights themselves.
    averages = [np.asarray(average) for average in model.optimizer._model_variables_moving_average]
    model.load_weights(tmp_path / "backup" / "latest.weights.h5")
    for kept, average, weight in zip(run.best.trainable_weights, averages, model.trainable_weights, strict=True):
        np.testing.assert_allclose(kept, average, rtol=1e-6)
        assert (np.asarray(kept) != np.asarray(weight)).any()


@pytest.mark.usefixtures("untraced")
def test_the_map_counts_as_much_as_asked_for(part, tmp_path):
    once = replace(OPTIONS, epochs=1, epoch_images=8)
    light, heavy = (
        _run(build_glass(), part, tmp_path / str(value), replace(once, outline_weight=value)).history
        for value in (0.0, 5.0)
    )
    for measured in ("loss", "val_loss"):
        assert heavy[measured][0] > light[measured][0] + 0.5


@pytest.mark.usefixtures("untraced")
def test_a_run_in_bfloat16_keeps_its_weights_in_float32(part, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_glass()
    finally:
        keras.config.set_dtype_policy("float32")
    run = _run(model, part, tmp_path, replace(OPTIONS, epochs=1))
    assert run.best.get_layer("features").compute_dtype == "bfloat16"
    assert {weight.dtype for weight in run.best.trainable_weights} == {"float32"}
    assert np.isfinite(run.history.to_numpy()).all()


def test_a_finished_run_is_not_trained_again(whole, part):
    before = {path: path.stat().st_mtime_ns for path in whole.folder.iterdir()}
    again = _run(build_glass(whole.trained.name, seed=9), part, whole.folder)
    assert {path: path.stat().st_mtime_ns for path in whole.folder.iterdir()} == before
    for found, wanted in zip(again.best.get_weights(), whole.best.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_finished_run_needs_the_state_that_it_kept_alone(whole, part, tmp_path):
    for path in whole.folder.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    # A run with another patience is still the same run.
    again = _run(build_glass(whole.trained.name, seed=9), part, tmp_path, replace(OPTIONS, patience=7))
    for found, wanted in zip(again.best.get_weights(), whole.best.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("options", "identity"),
    [
        (replace(OPTIONS, seed=1), "a"),
        (replace(OPTIONS, epochs=4), "a"),
        (replace(OPTIONS, sampling=Sampling()), "a"),
        (OPTIONS, "b"),
    ],
)
def test_a_folder_of_another_run_is_refused(whole, part, options, identity):
    with pytest.raises(TrainingError, match="other data or with other options"):
        _run(build_glass(), part, whole.folder, options, identity)


@pytest.mark.parametrize("lost", ["metadata", "weights"])
def test_a_stop_while_the_state_is_saved_leaves_one_that_can_be_resumed(lost, whole, part, tmp_path):
    """The run is over, but its last state was written in part: the number of its epoch is missing, or its weights."""
    shutil.copytree(whole.folder, tmp_path / "run")
    backup = tmp_path / "run" / "backup"
    (tmp_path / "run" / "state.json").write_text(
        json.dumps({"identity": RunState.load(whole.folder).identity}), encoding="utf-8"
    )
    if lost == "metadata":
        shutil.copy(backup / "training_metadata.json.bkp", backup / "training_metadata.json")
    else:
        content = (backup / "latest.weights.h5").read_bytes()
        (backup / "latest.weights.h5").write_bytes(content[: len(content) // 2])
    resumed = _run(build_glass(whole.trained.name, seed=9), part, tmp_path / "run")
    assert list(resumed.history["epoch"]) == [1, 2, 3]
    for found, wanted in zip(resumed.best.get_weights(), whole.best.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [([], []), ([0.5, 0.6, 0.4, 0.4], [1, 3]), ([float("nan"), 0.5], [2]), ([float("nan")], [])],
)
def test_records_are_lower_than_any_before(losses, epochs):
    assert records(pd.DataFrame({"val_loss": losses})) == epochs


@pytest.mark.usefixtures("untraced")
def test_patience_ends_a_run_that_stops_improving(part, tmp_path, monkeypatch):
    losses = iter([0.5, 0.6, 0.7, *[0.5] * 3])
    original = Judge.measure
    monkeypatch.setattr(Judge, "measure", lambda self, model: {**original(self, model), "val_loss": next(losses)})
    run = _run(build_glass("squeezenet"), part, tmp_path, replace(OPTIONS, epochs=30, patience=2))
    assert list(run.history["epoch"]) == [1, 2, 3]


@pytest.mark.usefixtures("untraced")
def test_a_run_that_never_had_a_validation_loss_says_what_to_change(part, tmp_path, monkeypatch):
    original = Judge.measure
    monkeypatch.setattr(Judge, "measure", lambda self, model: {**original(self, model), "val_loss": float("nan")})
    with pytest.raises(TrainingError, match="never a number; choose a lower --learning-rate"):
        _run(build_glass("squeezenet"), part, tmp_path, replace(OPTIONS, epochs=1))
    assert kept_epochs(tmp_path) == []


def test_a_run_says_what_it_was_trained_on(whole, tmp_path):
    assert trained_on(whole.folder) == device()
    assert trained_with(whole.folder) == software()
    assert trained_on(tmp_path) is None
    assert trained_with(tmp_path) is None


@pytest.mark.parametrize(
    ("before", "said"),
    [({}, "B"), ({"device": "A"}, "A and B"), ({"device": "A and B"}, "A and B"), ({"device": "A", "kept": [1]}, "A")],
)
def test_a_run_on_several_machines_names_each_once(before, said, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "device", lambda: "B")
    state = RunState(**before)
    assert state.begin("a")
    state.save(tmp_path)
    assert trained_on(tmp_path) == said
    assert not RunState.load(tmp_path).begin("b")
