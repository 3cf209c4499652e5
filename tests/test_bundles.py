import json
import shutil

import pandas as pd
import pytest

from braintumor.bundles import BundleError, list_bundles, load_bundle, read_card, sha256_of, write_card
from braintumor.evaluation import figures
from braintumor.taxonomy import CLASSES
from tests.conftest import ROOT, SHIPPED


@pytest.fixture
def copied(tiny_bundle, tmp_path):
    return shutil.copytree(tiny_bundle, tmp_path / "copied")


def _edit_card(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    card.update(changes)
    (folder / "card.json").write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "graph.tflite").unlink(), "graph.tflite .* is missing"),
        (lambda folder: (folder / "graph.tflite").open("ab").write(b"x"), "graph.tflite .* is not the file"),
        (lambda folder: (folder / "model.keras").write_bytes(b""), "model.keras .* is not the file"),
        (lambda folder: (folder / "typicality.npz").write_bytes(b"x"), "typicality.npz .* is not the file"),
        (lambda folder: (folder / "card.json").unlink(), "no model at copied"),
        (lambda folder: (folder / "card.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "card.json").write_text("[]"), "no JSON object"),
        (lambda folder: _edit_card(folder, calibration=None), "lacks 'calibration'"),
        (lambda folder: _edit_card(folder, input=3), "preprocessing None"),
        (lambda folder: _edit_card(folder, operating_point=3), "a value that cannot be used"),
        (lambda folder: _edit_card(folder, heatmap={}), "a value that cannot be used"),
        (lambda folder: _edit_card(folder, calibration={"temperature": "warm"}), "a value that cannot be used"),
        (lambda folder: (folder / "predictions.csv").open("a").write("x"), "predictions.csv .* is not the file"),
        (lambda folder: _edit_card(folder, classes=["tumor", "notumor"]), "other classes"),
        (lambda folder: _edit_card(folder, input={"size": 48, "preprocessing": "old-0"}), "preprocessing 'old-0'"),
    ],
)
def test_a_damaged_bundle_is_refused_with_what_is_wrong(copied, damage, sentence):
    load_bundle(copied)
    damage(copied)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(copied)


def test_a_card_is_written_with_the_hashes_of_the_files_beside_it(copied):
    (copied / "graph.tflite").write_bytes(b"another graph")
    write_card(copied, read_card(copied))
    assert load_bundle(copied).card["sha256"]["graph.tflite"] == sha256_of(copied / "graph.tflite")


def test_bundles_are_found_by_their_cards(copied):
    (copied.parent / "empty").mkdir()
    assert list_bundles(copied.parent) == [copied]


def test_the_shipped_bundle_loads_and_is_small():
    bundle = load_bundle(SHIPPED)
    assert tuple(bundle.card["classes"]) == CLASSES
    assert 0 < bundle.threshold <= 0.5
    files = [path for path in (ROOT / "models").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25_000_000


def _flat(figure, name=""):
    """Numbers of nested figures by their path; undefined ones are -1."""
    if isinstance(figure, dict):
        return {key: number for part in figure for key, number in _flat(figure[part], f"{name}/{part}").items()}
    if isinstance(figure, list):
        return _flat(dict(enumerate(figure)), name)
    return {} if isinstance(figure, str) else {name: -1 if figure is None else figure}


@pytest.mark.parametrize("split", ["validation", "test", "published_test"])
def test_the_shipped_figures_follow_from_the_shipped_predictions(split):
    card = read_card(SHIPPED)
    predictions = pd.read_csv(SHIPPED / "predictions.csv")
    rows = predictions[predictions["split"] == split].reset_index(drop=True)
    again = figures(rows, threshold=card["operating_point"]["threshold"])
    assert _flat(again) == pytest.approx(_flat(card["metrics"][split]), abs=1e-6)


def test_no_test_group_was_trained_on_or_chosen_by():
    predictions = pd.read_csv(SHIPPED / "predictions.csv")
    groups = {split: set(rows["group"]) for split, rows in predictions.groupby("split")}
    assert not groups["test"] & groups["validation"]
    assert not predictions.loc[predictions["split"].isin(["test", "validation"]), "in_training"].any()


def test_the_shipped_model_reaches_the_floors():
    test = read_card(SHIPPED)["metrics"]["test"]
    assert test["four_class"]["accuracy"]["value"] >= 0.88
    assert test["cheng_three_class"]["accuracy"]["value"] >= 0.90
    assert test["web_detection"]["roc_auc"]["value"] >= 0.97
    assert test["calibration"]["ece"]["value"] <= 0.05
