import keras
import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import load_bundle
from braintumor.bundles.schema import Heatmap
from braintumor.evaluation import DecidesBy, split_figures
from braintumor.inference import Graph
from braintumor.training.costs import device, software
from braintumor.training.write_bundle import data_counts, write_bundle
from tests.conftest import flat
from tests.training.glass import ROWS, SPLIT, build_glass, glass_data

FACTS = {
    "name": "glass",
    "version": "1.2.3",
    "network": "squeeze_unet",
    "network_source": "made up",
    "command": "python -m braintumor train",
    "split": SPLIT,
    "heatmap": {"first": 8.0, "step": 16.0},
}
ALWAYS = {
    *("card.json", "graph.tflite", "model.keras", "typicality.npz", "history.csv", "predictions.csv", "foreign.csv"),
}


def _write(folder, name="squeeze_unet"):
    history = folder.with_name("history.csv")
    history.parent.mkdir(parents=True, exist_ok=True)
    history.write_text("epoch,loss\n1,0.5\n")
    return write_bundle(build_glass(name), glass_data(ROWS), history, folder, {**FACTS, "network": name})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "glass"
    _write(folder)
    return folder


def test_the_training_command_leaves_a_whole_bundle(tiny_bundle):
    card = load_bundle(tiny_bundle).card
    assert card.command == (
        "python -m braintumor train --data DIR --network efficient_unet --size 48 "
        "--name tiny --version 0.1.0 --recipe untied --loss marginal --epochs 1 --folds 3 --fold 0 --seed 0 "
        "--learning-rate 0.001"
    )
    assert card.initial_weights is None
    assert card.training.device == device()
    assert card.training.software == software()
    assert set(software()) == {"keras", "tensorflow", "python"}
    options = card.training.options["efficient_unet"]
    assert (options["epochs"], options["learning_rate"]) == (1, 0.001)
    assert options["sampling"]["counterfactuals"]["mirror_half"] == 0.35
    assert card.input.size == 48
    assert card.map.size == 24
    assert card.heatmap == Heatmap(first=10.5, step=16.0)
    measured = {name for name, found in card.metrics if found is not None}
    assert measured == {"validation", "test", "mirrored_validation", "mirrored_test", "foreign"}
    assert set(card.metrics.test.segmentation.datasets) == {"clinic"}
    counts = card.data["clinic"].images
    assert sum(sum(parts.values()) for parts in counts.values()) == 60
    predictions = pd.read_csv(tiny_bundle / "predictions.csv")
    assert not predictions["in_training"].any()
    assert predictions.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-6)
    assert set(pd.read_csv(tiny_bundle / "segmentation.csv")["split"]) == {"validation", "test"}
    assert len(pd.read_csv(tiny_bundle / "history.csv")) == 1
    assert "/" not in card.command


def test_a_bundle_ships_weights_alone(tiny_bundle):
    parameters = load_bundle(tiny_bundle).card.parameters
    for name in ("model.keras", "graph.tflite"):
        # Normalization melts into the graph's convolutions, and weights hardly compress.
        assert 0.8 * 4 * parameters < (tiny_bundle / name).stat().st_size < 1.3 * 4 * parameters


def test_mirrored_copies_count_once_in_the_figures(tiny_bundle):
    predictions = pd.read_csv(tiny_bundle / "predictions.csv")
    assert not predictions.query("not split.str.startswith('mirrored_')").duplicated(["split", "group"]).any()
    assert predictions.query("split == 'mirrored_test'").groupby("group").size().unique().tolist() == [2]


@pytest.mark.parametrize("split", ["validation", "test", "mirrored_validation", "mirrored_test"])
def test_the_figures_of_a_bundle_follow_from_its_tables(tiny_bundle, split):
    card = load_bundle(tiny_bundle).card
    tables = [pd.read_csv(tiny_bundle / f"{name}.csv") for name in ("predictions", "segmentation", "map_bins")]
    predictions, segmentation, bins = (table[table["split"] == split].reset_index(drop=True) for table in tables)
    decides_by = DecidesBy(card.operating_point.threshold, card.operating_point.referral)
    masks, cells = (table if len(table) else None for table in (segmentation, bins))
    again = split_figures(predictions, masks, cells, decides_by)
    assert flat(card.metrics.split(split).model_dump(mode="json")) == pytest.approx(
        flat(again.model_dump(mode="json")), abs=1e-6
    )


def test_a_network_with_a_map_is_bundled_with_its_tables(written):
    assert {path.name for path in written.iterdir()} == ALWAYS | {"segmentation.csv", "map_bins.csv"}
    bundle = load_bundle(written)
    assert bundle.card.map.size == 24
    assert keras.saving.load_model(written / "model.keras").get_layer("score").cells == bundle.card.map.score_cells
    assert set(bundle.card.sha256) == ALWAYS - {"card.json"} | {"segmentation.csv", "map_bins.csv"}
    assert (written / "history.csv").read_text() == "epoch,loss\n1,0.5\n"


def test_a_network_without_a_map_is_bundled_without_them(tmp_path):
    card = _write(tmp_path / "plain", "squeezenet")
    assert {path.name for path in (tmp_path / "plain").iterdir()} == ALWAYS
    assert card.map is None
    assert load_bundle(tmp_path / "plain").card.network == "squeezenet"


def test_the_card_holds_what_was_decided(written):
    bundle = load_bundle(written)
    assert (bundle.name, bundle.size) == ("glass-1.2.3", 48)
    assert bundle.threshold == bundle.card.operating_point.threshold
    assert bundle.referral.distance_limit == pytest.approx(bundle.typicality.limit)
    rows = pd.read_csv(written / "predictions.csv")
    calibrated = bundle.calibration.apply(_logits(written))
    # Rows come in the order of the data, twelve of validation first.
    found = rows[rows["split"] == "validation"].filter(like="p_").to_numpy()
    np.testing.assert_allclose(found, calibrated, atol=1e-6)


def test_graph_and_keras_file_are_of_one_network(written):
    pictures = glass_data(ROWS).distinct("validation").pictures
    model = keras.saving.load_model(written / "model.keras", compile=False)
    np.testing.assert_allclose(model(pictures[..., np.newaxis])["logits"], _logits(written), rtol=1e-4, atol=1e-4)


def _logits(folder):
    data = glass_data(ROWS).distinct("validation")
    return Graph(folder / "graph.tflite").run(data.pictures).logits


def test_a_bundle_takes_the_place_of_an_older_one_as_a_whole(written, tmp_path):
    folder = tmp_path / "models" / "glass"
    folder.mkdir(parents=True)
    (folder / "left.over").write_text("x")
    (folder.with_name(".glass-draft")).mkdir()
    (folder.with_name(".glass-draft") / "half.written").write_text("x")
    (folder / "graph.tflite").write_bytes((written / "graph.tflite").read_bytes())
    served = Graph(folder / "graph.tflite")
    pictures = np.full((2, 48, 48), 90, np.uint8)
    before = served.run(pictures).logits
    _write(folder)
    assert {path.name for path in folder.iterdir()} == ALWAYS | {"segmentation.csv", "map_bins.csv"}
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["glass"]
    np.testing.assert_array_equal(served.run(pictures).logits, before)


def test_pictures_are_counted_by_dataset_label_and_split():
    counts = data_counts(glass_data(ROWS).index.replace({"dataset": {"b": "br35h"}}))
    assert counts["a"]["images"]["glioma"] == {"test": 3, "train": 6, "validation": 6}
    assert counts["br35h"]["images"]["tumor"] == {"test": 2, "validation": 0}
    assert counts["br35h"]["title"].startswith("Br35H")
    assert set(counts["a"]) == {"images"}
