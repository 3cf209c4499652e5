import json
import shutil
from dataclasses import asdict

import pandas as pd
import pytest
from scipy.stats import binomtest

from braintumor.bundles import (
    BundleError,
    list_bundles,
    load_bundle,
    read_card,
    read_heatmap_figures,
    sha256_of,
    write_card,
)
from braintumor.decision import Calibration, fit_referral
from braintumor.evaluation import faithfulness_figures, figures, foreign_figures, map_calibration, segmentation_figures
from braintumor.evaluation.faithfulness import MEASURES
from braintumor.taxonomy import CLASSES
from braintumor.training.decisions import operating_point
from tests.conftest import SHIPPED, flat


@pytest.fixture
def copied(tiny_bundle, tmp_path):
    return shutil.copytree(tiny_bundle, tmp_path / "copied")


def _edit_card(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    card.update(changes)
    (folder / "card.json").write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


WARM = {"slope": 1.0, "shift": 0.0, "temperature": "warm"}


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
        (lambda folder: _edit_card(folder, calibration={"temperature": 1.2}), "a value that cannot be used"),
        (lambda folder: _edit_card(folder, calibration=WARM), "a value that cannot be used"),
        (lambda folder: _edit_card(folder, calibration={**WARM, "temperature": 0}), "must be finite"),
        (lambda folder: (folder / "predictions.csv").open("a").write("x"), "predictions.csv .* is not the file"),
        (lambda folder: (folder / "segmentation.csv").open("a").write("x"), "segmentation.csv .* is not the file"),
        (lambda folder: (folder / "segmentation.csv").unlink(), "segmentation.csv .* is missing"),
        (lambda folder: (folder / "map_bins.csv").open("a").write("x"), "map_bins.csv .* is not the file"),
        (lambda folder: (folder / "map_bins.csv").unlink(), "map_bins.csv .* is missing"),
        (lambda folder: _edit_card(folder, classes=["tumor", "notumor"]), "other classes"),
        (lambda folder: _edit_card(folder, input={"size": 48, "preprocessing": "old-0"}), "preprocessing 'old-0'"),
    ],
)
def test_a_damaged_bundle_is_refused_with_what_is_wrong(copied, damage, sentence):
    load_bundle(copied)
    damage(copied)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(copied)


def test_a_bundle_reads_its_calibration_from_the_card(copied):
    _edit_card(copied, calibration={"slope": 0.5, "shift": -1, "temperature": 2})
    bundle = load_bundle(copied)
    assert bundle.calibration == Calibration(0.5, -1.0, 2.0)


def test_a_bundle_without_a_map_needs_no_tables_of_masks(copied):
    for name in ("segmentation.csv", "map_bins.csv"):
        (copied / name).unlink()
    card = {key: value for key, value in read_card(copied).items() if key != "map"}
    write_card(copied, card)
    bundle = load_bundle(copied)
    assert not {"segmentation.csv", "map_bins.csv"} & set(bundle.card["sha256"])


def test_a_card_is_written_with_the_hashes_of_the_files_beside_it(copied):
    (copied / "graph.tflite").write_bytes(b"another graph")
    write_card(copied, read_card(copied))
    assert load_bundle(copied).card["sha256"]["graph.tflite"] == sha256_of(copied / "graph.tflite")


HALF = {"value": 0.5, "low": None, "high": None}
MEASURED = dict.fromkeys(MEASURES, HALF)


@pytest.mark.parametrize(
    ("changes", "is_read"),
    [
        ({}, True),
        ({"methods": {"gradcam": MEASURED | {"seconds": None}}, "chance": {"inside": None}}, True),
        ({"model_sha256": "0" * 64}, False),
        ({"images": None}, False),
        ({"groups": "4"}, False),
        ({"methods": None}, False),
        ({"methods": [MEASURED]}, False),
        ({"methods": {"gradcam": {"inside": HALF}}}, False),
        ({"methods": {"gradcam": MEASURED | {"pointing": 0.5}}}, False),
        ({"methods": {"gradcam": MEASURED | {"inside": {"value": "half"}}}}, False),
        ({"methods": {"gradcam": MEASURED | {"seconds": "long"}}}, False),
        ({"curves": {"gradcam": [1, 0]}}, False),
        ({"curves": {"gradcam": {"deletion": [None, 0]}}}, False),
        ({"share": 3}, False),
        ({"chance": [0.03]}, False),
    ],
)
def test_measured_heatmaps_are_read_whole_or_not_at_all(tmp_path, changes, is_read):
    (tmp_path / "model.keras").write_bytes(b"weights")
    report = {"model_sha256": sha256_of(tmp_path / "model.keras"), "images": 12, "groups": 4}
    report |= {"methods": {"gradcam": MEASURED}, "curves": {"gradcam": {"deletion": [1, 0]}}, "share": [0, 1]}
    (tmp_path / "heatmaps.json").write_text(json.dumps(report | changes))
    assert read_heatmap_figures(tmp_path) == (report | changes if is_read else None)


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", "\0"])
def test_a_broken_file_of_measured_heatmaps_is_none(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(b"weights")
    (tmp_path / "heatmaps.json").write_text(content)
    assert read_heatmap_figures(tmp_path) is None


def test_bundles_are_found_by_their_cards(copied):
    (copied.parent / "empty").mkdir()
    assert list_bundles(copied.parent) == [copied]


def test_the_shipped_bundle_loads_and_is_small():
    bundle = load_bundle(SHIPPED)
    assert tuple(bundle.card["classes"]) == CLASSES
    assert 0 < bundle.doubt_from <= 0.5
    assert bundle.doubt_from <= bundle.threshold < 1
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 12_000_000


@pytest.mark.parametrize("split", ["validation", "test", "mirrored_validation", "mirrored_test", "published_test"])
def test_the_shipped_figures_follow_from_the_shipped_tables(split):
    card = read_card(SHIPPED)
    tables = [pd.read_csv(SHIPPED / f"{name}.csv") for name in ("predictions", "segmentation", "map_bins")]
    predictions, masks, bins = (table[table["split"] == split].reset_index(drop=True) for table in tables)
    again = figures(predictions, threshold=card["operating_point"]["threshold"])
    if len(masks):
        again["segmentation"] = segmentation_figures(masks) | {"map_ece": map_calibration(bins)[1]}
    assert flat(again) == pytest.approx(flat(card["metrics"][split]), abs=1e-6)
    assert len(masks) or split not in ("validation", "test")


def test_the_shipped_operating_point_and_referral_follow_from_validation():
    point = read_card(SHIPPED)["operating_point"]
    rows = pd.read_csv(SHIPPED / "predictions.csv").query("split == 'validation'").reset_index(drop=True)
    threshold, datasets = operating_point(rows, point["chosen_for_sensitivity"])
    assert (threshold, datasets) == (pytest.approx(point["threshold"], abs=2e-6), point["datasets"])
    referral = fit_referral(
        rows,
        threshold=point["threshold"],
        max_share=point["most_referred_besides"],
        least_band=tuple(point["least_band"]),
        distance=rows["distance"],
        distance_limit=point["referral"]["distance_limit"],
    )
    assert asdict(referral) == pytest.approx(point["referral"], abs=1e-6)


@pytest.fixture(params=["tiny", "shipped"])
def with_foreign(request, tiny_bundle):
    folder = {"tiny": tiny_bundle, "shipped": SHIPPED}[request.param]
    if "foreign" not in read_card(folder)["metrics"]:
        pytest.skip("this model was made before pictures that are no brain MRI were measured")
    return folder


def test_the_figures_of_foreign_pictures_follow_from_the_tables(with_foreign):
    card = read_card(with_foreign)
    tables = [pd.read_csv(with_foreign / f"{name}.csv") for name in ("predictions", "foreign")]
    real = tables[0].loc[tables[0]["split"] == "test"]
    again = foreign_figures(real, tables[1], card["operating_point"]["referral"]["distance_limit"])
    assert flat(again) == pytest.approx(flat(card["metrics"]["foreign"]), abs=1e-6)
    limit = load_bundle(with_foreign).typicality.limit
    assert again["real_referred"] == pytest.approx((real["distance"] > limit).mean())
    if with_foreign == SHIPPED:
        assert again["auroc"] >= 0.99
        assert again["real_referred"] <= 0.03
        # The limit is where 3% of the dataset farthest out lie beyond it; of few pictures chance makes it more.
        for name, share in again["real_referred_by_dataset"].items():
            images = int((real["dataset"] == name).sum())
            beyond = binomtest(round(share * images), images, 0.03, alternative="greater")
            assert beyond.pvalue > 0.01, name


def test_the_figures_of_heatmaps_follow_from_their_table():
    report = json.loads((SHIPPED / "heatmaps.json").read_text())
    again = faithfulness_figures(pd.read_csv(SHIPPED / "heatmaps.csv"))
    assert list(again) == list(report["methods"])
    for method, found in again.items():
        stated = {measure: report["methods"][method][measure] for measure in found}
        assert flat(found) == pytest.approx(flat(stated), abs=1e-6, nan_ok=True)


def test_a_changed_table_of_foreign_pictures_is_refused(copied):
    (copied / "foreign.csv").open("a").write("x")
    with pytest.raises(BundleError, match=r"foreign.csv .* is not the file"):
        load_bundle(copied)


def test_a_bundle_that_was_not_tried_on_foreign_pictures_needs_no_table_of_them(copied):
    card = read_card(copied)
    del card["metrics"]["foreign"]
    (copied / "foreign.csv").unlink()
    write_card(copied, card)
    assert "foreign.csv" not in load_bundle(copied).card["sha256"]


def test_no_test_group_was_trained_on_or_chosen_by():
    predictions = pd.read_csv(SHIPPED / "predictions.csv")
    groups = {split: set(rows["group"]) for split, rows in predictions.groupby("split")}
    assert not groups["test"] & groups["validation"]
    assert not predictions.loc[predictions["split"].isin(["test", "validation"]), "in_training"].any()


def test_the_shipped_model_reaches_the_floors():
    test = read_card(SHIPPED)["metrics"]["test"]
    assert test["four_class"]["accuracy"]["value"] >= 0.91
    assert test["four_class"]["per_class"]["meningioma"]["recall"] >= 0.80
    assert test["cheng_three_class"]["accuracy"]["value"] >= 0.93
    assert test["web_detection"]["roc_auc"]["value"] >= 0.985
    assert test["calibration"]["ece"]["value"] <= 0.03
    outlined = test["segmentation"]["datasets"]
    assert outlined["cheng"]["dice"]["value"] >= 0.77
    assert outlined["br35h"]["dice"]["value"] >= 0.70
