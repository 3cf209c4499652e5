import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import COPIES_FILE, load_bundle, read_card, write_card
from braintumor.bundles.schema import FittedOn
from braintumor.errors import InputError
from braintumor.inference import Predictor
from braintumor.scans import Scan
from braintumor.training.evaluate import evaluate_bundle
from braintumor.training.options import RefitOptions
from braintumor.training.refit import refit
from tests.bundles.made_card import changed, with_card
from tests.conftest import SHIPPED
from tests.training.hospital import put_hospital, write_list

PATIENTS = {"X": "abcd", "Y": "ef", "Z": "g"}


@pytest.fixture(scope="module")
def data(picture_folder, tmp_path_factory):
    """What the tiny bundle was trained on, and beside it three hospitals that it never saw."""
    root = shutil.copytree(picture_folder, tmp_path_factory.mktemp("data") / picture_folder.name)
    lines = []
    for hospital, patients in PATIENTS.items():
        lines += put_hospital(root, hospital, dict.fromkeys(patients, (12, ("post",))))
    write_list(root, lines)
    return root


@pytest.fixture(scope="module")
def options(data, tmp_path_factory):
    return RefitOptions(
        data=data,
        version="0.2.0",
        validation_hospitals=("X",),
        test_hospitals=("Y",),
        runs=tmp_path_factory.mktemp("runs"),
    )


@pytest.fixture(scope="module")
def refitted(tiny_bundle, options, tmp_path_factory):
    folder = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("models") / "tiny")
    # What was taught to a bundle after its training.
    shutil.copyfile(SHIPPED / COPIES_FILE, folder / COPIES_FILE)
    write_card(folder, changed(read_card(folder), {"copies": read_card(SHIPPED).copies}))
    refit(load_bundle(folder), options)
    return load_bundle(folder)


def test_the_network_and_its_training_stay(refitted, tiny_bundle):
    before, after = read_card(tiny_bundle), refitted.card
    assert refitted.copies is not None
    for key in ("name", "command", "training", "kept_epochs", "input", "map", "parameters", "heatmap"):
        assert getattr(after, key) == getattr(before, key)
    for name in ("model.keras", "graph.tflite", "history.csv"):
        assert after.sha256[name] == before.sha256[name]
    assert after.version == "0.2.0"
    assert after.split.index_sha256 == before.split.index_sha256
    assert after.refitted_by == (
        "python -m braintumor refit --bundle BUNDLE --data DIR --version 0.2.0 "
        "--validation-hospitals X --test-hospitals Y"
    )


def test_hospitals_are_chosen_on_or_measured_and_others_left_out(refitted):
    assert refitted.card.split.hospitals.model_dump() == {"train": (), "validation": ("X",), "test": ("Y",)}
    rows = pd.read_csv(refitted.folder / "predictions.csv", keep_default_na=False)
    hospitals = rows.groupby("split")["hospital"].unique().str.join(" ").to_dict()
    assert hospitals["hospital_test"] == "Y"
    # Single slices of the hospitals that choices were made on are not measured.
    assert set(rows["hospital"]) == {"clinic", "Y"}
    assert list(refitted.card.metrics.hospital_test.hospitals) == ["Y"]
    counts = refitted.card.data["lgg"].images["glioma"]
    assert counts == {"train": 0, "validation": 0, "test": 0, "hospital_test": 8, "hospital_validation": 16}


def test_the_rule_for_volumes_is_fitted_on_the_one_and_measured_on_the_other(refitted):
    stacks = pd.read_csv(refitted.folder / "stacks.csv", keep_default_na=False)
    assert refitted.card.volume_rule.fitted_on == {"X": FittedOn(patients=4, with_tumor=4, without=4)}
    assert stacks.groupby(["split", "hospital"]).size().to_dict() == {
        ("hospital_test", "Y"): 4,
        ("hospital_validation", "X"): 8,
    }
    measured = stacks[stacks["split"] == "hospital_test"]
    figures = measured[list(refitted.volume_rule.names)].to_numpy(float)
    np.testing.assert_allclose(refitted.volume_rule.p_tumor(figures), measured["p_tumor"], atol=1e-5)
    told = refitted.card.stacks["hospital_test"]["Y"]
    assert told.with_tumor.stacks == told.without.stacks == 2


def test_a_volume_is_answered_by_the_rule(refitted):
    affine = tuple(tuple(float(value) for value in row) for row in np.eye(4))
    pixels = np.random.default_rng(0).normal(100, 20, (6, 48, 48)).astype(np.float32)
    (found,) = Predictor(refitted).predict([Scan(pixels, "a", "0" * 64, affine=affine)])
    assert found.threshold == refitted.volume_rule.tumor_high


def test_evaluating_gives_the_figures_of_the_card(refitted, data):
    report, _ = evaluate_bundle(refitted, data)
    assert report["agrees_with_card"]
    assert report["data"] == "the training run's own data and split"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation_hospitals": ("W",), "test_hospitals": ()}, "no hospital 'W'"),
        ({"test_hospitals": ("clinic",)}, "is not the data"),
    ],
)
def test_what_does_not_fit_the_bundle_is_refused(tiny_bundle, options, changes, message):
    with pytest.raises(InputError, match=message):
        refit(load_bundle(tiny_bundle), replace(options, **changes))


def test_a_hospital_that_was_trained_on_cannot_be_held_out(tiny_bundle, options):
    bundle = load_bundle(tiny_bundle)
    trained = {"split.hospitals": {"train": ["X"], "validation": [], "test": []}}
    with pytest.raises(InputError, match="was trained on X"):
        refit(with_card(bundle, trained), options)
