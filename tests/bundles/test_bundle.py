import json
import shutil
from dataclasses import asdict

import pandas as pd
import pytest
from scipy.stats import binomtest

from braintumor.bundles import (
    BundleError,
    Estimate,
    Metrics,
    list_bundles,
    load_bundle,
    read_card,
    read_heatmap_figures,
    sha256_of,
    write_card,
)
from braintumor.decision import fit_referral
from braintumor.evaluation import DecidesBy, faithfulness_figures, measured_metrics
from braintumor.evaluation.faithfulness import MEASURES
from braintumor.taxonomy import CLASSES
from braintumor.training.decisions import operating_point
from tests.bundles.made_card import changed, rewrite
from tests.conftest import SHIPPED, flat


@pytest.fixture
def copied(tiny_bundle, tmp_path):
    return shutil.copytree(tiny_bundle, tmp_path / "copied")


def _edit_card(folder, changes):
    """Change the JSON of a card, whatever comes of it; None takes a key away."""
    card = json.loads((folder / "card.json").read_text())
    card.update(changes)
    (folder / "card.json").write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


WARM = {"method": "", "slope": 1.0, "shift": 0.0, "temperature": "warm", "fitted_on": "validation"}


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "graph.tflite").unlink(), "graph.tflite .* is missing"),
        (lambda folder: (folder / "graph.tflite").open("ab").write(b"x"), "graph.tflite .* is not the file"),
        (lambda folder: (folder / "model.keras").write_bytes(b""), "model.keras .* is not the file"),
        (lambda folder: (folder / "typicality.npz").write_bytes(b"x"), "typicality.npz .* is not the file"),
        (lambda folder: (folder / "predictions.csv").open("a").write("x"), "predictions.csv .* is not the file"),
        (lambda folder: (folder / "foreign.csv").open("a").write("x"), "foreign.csv .* is not the file"),
        (lambda folder: (folder / "segmentation.csv").unlink(), "segmentation.csv .* is missing"),
        (lambda folder: (folder / "map_bins.csv").open("a").write("x"), "map_bins.csv .* is not the file"),
        (lambda folder: (folder / "card.json").unlink(), "no model at copied"),
        (lambda folder: (folder / "card.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "card.json").write_text("[]"), "cannot be read"),
        (lambda folder: _edit_card(folder, {"schema_version": None}), "convert-card"),
        (lambda folder: _edit_card(folder, {"calibration": None}), r"\(calibration: Field required\)"),
        (lambda folder: _edit_card(folder, {"operating_point": 3}), r"\(operating_point: "),
        (lambda folder: _edit_card(folder, {"heatmap": {}}), r"\(heatmap.first: Field required\)"),
        (lambda folder: _edit_card(folder, {"calibration": WARM}), r"\(calibration.temperature: "),
        (lambda folder: _edit_card(folder, {"calibration": {**WARM, "temperature": 0}}), "must be finite"),
        (lambda folder: _edit_card(folder, {"mood": "good"}), r"\(mood: "),
        (lambda folder: rewrite(folder, {"classes": ["tumor", "notumor"]}), "other classes"),
        (lambda folder: rewrite(folder, {"input.preprocessing": "old-0"}), "preprocessing 'old-0'"),
    ],
)
def test_a_damaged_bundle_is_refused_with_what_is_wrong(copied, damage, sentence):
    damage(copied)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(copied)


def test_a_bundle_reads_its_calibration_from_the_card(copied):
    rewrite(copied, {"calibration.slope": 0.5, "calibration.shift": -1, "calibration.temperature": 2})
    calibration = load_bundle(copied).calibration
    assert (calibration.slope, calibration.shift, calibration.temperature) == (0.5, -1.0, 2.0)


@pytest.mark.parametrize(
    ("without", "names"),
    [("map", ("segmentation.csv", "map_bins.csv")), ("metrics.foreign", ("foreign.csv",))],
)
def test_what_a_bundle_was_not_measured_on_needs_no_table(copied, without, names):
    for name in names:
        (copied / name).unlink()
    write_card(copied, changed(read_card(copied), {without: None}))
    assert not set(names) & set(load_bundle(copied).card.sha256)


def test_a_card_is_written_with_the_hashes_of_the_files_beside_it(copied):
    (copied / "graph.tflite").write_bytes(b"another graph")
    write_card(copied, read_card(copied))
    assert load_bundle(copied).card.sha256["graph.tflite"] == sha256_of(copied / "graph.tflite")


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
    found = read_heatmap_figures(tmp_path)
    assert (found is not None) == is_read
    assert found is None or found.methods["gradcam"].inside == Estimate(value=0.5)


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
    assert bundle.card.classes == CLASSES
    assert 0 < bundle.doubt_from <= 0.5
    assert bundle.doubt_from <= bundle.threshold < 1
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 12_000_000


TABLES = ("predictions", "foreign", "segmentation", "map_bins")


@pytest.fixture(scope="module")
def again():
    """The figures of the shipped tables, computed once more."""
    point = read_card(SHIPPED).operating_point
    tables = [pd.read_csv(SHIPPED / f"{name}.csv", keep_default_na=name != "predictions") for name in TABLES]
    return measured_metrics(*tables, DecidesBy(point.threshold, point.referral))


@pytest.mark.parametrize("part", Metrics.model_fields)
def test_the_shipped_figures_follow_from_the_shipped_tables(again, part):
    stated, found = (getattr(metrics, part) for metrics in (read_card(SHIPPED).metrics, again))
    assert (stated is None) == (found is None) == (part in ("external", "mirrored_external", "hospital_validation"))
    if stated is not None:
        assert flat(found.model_dump(mode="json")) == pytest.approx(flat(stated.model_dump(mode="json")), abs=1e-6)


def test_the_shipped_operating_point_and_referral_follow_from_validation():
    point = read_card(SHIPPED).operating_point
    rows = pd.read_csv(SHIPPED / "predictions.csv").query("split == 'validation'").reset_index(drop=True)
    threshold, datasets = operating_point(rows, point.chosen_for_sensitivity)
    assert (threshold, tuple(datasets)) == (pytest.approx(point.threshold, abs=2e-6), point.datasets)
    referral = fit_referral(
        rows,
        threshold=point.threshold,
        max_share=point.most_referred_besides,
        least_band=point.least_band,
        distance=rows["distance"],
        distance_limit=point.referral.distance_limit,
    )
    assert asdict(referral) == pytest.approx(asdict(point.referral), abs=1e-6)


def test_the_shipped_limit_tells_other_pictures_and_keeps_real_scans(again):
    rows = pd.read_csv(SHIPPED / "predictions.csv").query("split == 'test'")
    assert again.foreign.auroc >= 0.99
    assert again.foreign.real_referred <= 0.03
    assert again.foreign.real_referred == pytest.approx(
        (rows["distance"] > load_bundle(SHIPPED).typicality.limit).mean()
    )
    # The limit is where 3% of the dataset farthest out lie beyond it; of few pictures chance makes it more.
    for name, share in again.foreign.real_referred_by_dataset.items():
        images = int((rows["dataset"] == name).sum())
        assert binomtest(round(share * images), images, 0.03, alternative="greater").pvalue > 0.01, name


def test_the_figures_of_heatmaps_follow_from_their_table():
    report = json.loads((SHIPPED / "heatmaps.json").read_text())
    again = faithfulness_figures(pd.read_csv(SHIPPED / "heatmaps.csv"))
    assert list(again) == list(report["methods"])
    for method, found in again.items():
        stated = {measure: report["methods"][method][measure] for measure in found}
        assert flat(found) == pytest.approx(flat(stated), abs=1e-6, nan_ok=True)


def test_no_test_group_was_trained_on_or_chosen_by():
    predictions = pd.read_csv(SHIPPED / "predictions.csv")
    groups = {split: set(rows["group"]) for split, rows in predictions.groupby("split")}
    assert not groups["test"] & groups["validation"]
    assert not predictions.loc[predictions["split"].isin(["test", "validation"]), "in_training"].any()


def test_the_shipped_model_reaches_the_floors_at_home():
    # Four classes and Cheng lie lower than those of version 5: docs/hospitals.md says what was gained for it elsewhere.
    test = read_card(SHIPPED).metrics.test
    assert test.four_class.accuracy.value >= 0.90
    assert test.four_class.per_class["meningioma"].recall.value >= 0.80
    assert test.datasets["cheng"].accuracy.value >= 0.89
    assert test.web_detection.roc_auc.value >= 0.985
    assert test.calibration.ece.value <= 0.03
    assert test.segmentation.datasets["cheng"].dice.value >= 0.77
    assert test.segmentation.datasets["br35h"].dice.value >= 0.70
    assert test.answered.accuracy.value >= 0.965
    assert test.answered.sensitivity.value >= 0.99


def test_the_shipped_model_reaches_the_floors_at_a_hospital_that_it_has_never_seen():
    card = read_card(SHIPPED)
    slices = card.metrics.hospital_test.hospitals["FG"][""]
    assert slices.roc_auc.value >= 0.90
    assert slices.called_tumor_free.value <= 0.03
    assert slices.cleared_tumors.value <= 0.03
    stacks = card.stacks["hospital_test"]["FG"]
    assert stacks.without.tumor == stacks.with_tumor.no_tumor == 0
    flair = stacks.sequences["flair"]
    assert flair.with_tumor.tumor == flair.with_tumor.stacks
    assert flair.without.no_tumor / flair.without.stacks >= 0.9
