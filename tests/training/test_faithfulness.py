import json
import shutil
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import load_bundle, read_heatmap_figures, sha256_of
from braintumor.cli import main
from braintumor.datasets import DatasetError
from braintumor.evaluation import faithfulness_figures
from braintumor.evaluation.faithfulness import FLOORS, MAP, MEASURES, SHARES, curve_area
from braintumor.explanation import METHODS
from braintumor.networks import build, registered
from braintumor.taxonomy import BINARY, CLASSES
from braintumor.training.faithfulness import (
    COLUMNS,
    _Subject,
    question_bundle,
    question_heatmaps,
    sampled,
)
from braintumor.training.write_bundle import write_bundle
from tests.bundles.made_card import with_card
from tests.conftest import flat
from tests.training.glass import ROWS, SPLIT, build_glass, glass_data

ALL = [*METHODS, MAP, *FLOORS]
FACTS = {"name": "glass", "version": "1.0.0", "network_source": "", "command": "", "split": SPLIT}


@pytest.fixture(scope="module")
def printed():
    return StringIO()


@pytest.fixture(scope="module")
def measured(tiny_bundle, picture_folder, printed, tmp_path_factory):
    """A copy of the tiny bundle after the command was run on it, which printed ``printed``."""
    folder = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("models") / "tiny")
    with redirect_stdout(printed):
        assert main(["heatmaps", "--bundle", str(folder), "--data", str(picture_folder), "--images", "1"]) == 0
    return folder


def test_the_command_leaves_a_row_an_image_and_method_in_a_bundle_that_still_loads(measured, tiny_bundle):
    table = pd.read_csv(measured / "heatmaps.csv")
    assert tuple(table.columns) == COLUMNS
    assert table["method"].tolist() == ALL * (len(table) // len(ALL))
    assert set(table["label"]) == {"glioma"}
    held_out = pd.read_csv(measured / "predictions.csv").query("split == 'test'")
    assert set(table["group"].astype(str)) <= set(held_out["group"].astype(str))
    assert load_bundle(measured).card == load_bundle(tiny_bundle).card
    assert {path.name for path in measured.iterdir()} - {path.name for path in tiny_bundle.iterdir()} == {
        "heatmaps.csv",
        "heatmaps.json",
    }


def test_figures_and_areas_follow_from_the_files_themselves(measured):
    report = read_heatmap_figures(measured)
    table = pd.read_csv(measured / "heatmaps.csv")
    assert (report.images, report.groups) == (len(table) / len(ALL), table["group"].nunique())
    methods = {name: found.model_dump(include=set(MEASURES)) for name, found in report.methods.items()}
    assert flat(methods) == pytest.approx(flat(faithfulness_figures(table)), abs=1e-6)
    assert report.share == pytest.approx(SHARES)
    for name, curves in report.curves.items():
        assert report.methods[name].seconds >= 0
        for measure in ("deletion", "insertion"):
            assert curve_area(getattr(curves, measure)) == pytest.approx(
                getattr(report.methods[name], measure).value, abs=1e-6
            )
        # All methods start from one picture and end at one.
        assert curves.deletion[0] == pytest.approx(curves.insertion[-1], abs=1e-6)
        assert curves.deletion[-1] == pytest.approx(curves.insertion[0], abs=1e-6)
    assert 0 < report.chance.inside < 0.5


def test_the_command_prints_the_figures_of_the_file_and_nothing_else(measured, printed):
    kept = read_heatmap_figures(measured).model_dump(mode="json", exclude={"curves", "share"})
    assert json.loads(printed.getvalue()) == kept


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "heatmaps.json").unlink(),
        lambda folder: (folder / "heatmaps.json").write_text("{"),
        lambda folder: (folder / "heatmaps.json").write_text("[]"),
        lambda folder: (folder / "heatmaps.json").write_text("{}"),
        lambda folder: (folder / "heatmaps.json").write_bytes(b"\xff"),
        lambda folder: (folder / "model.keras").open("ab").write(b"x"),
        lambda folder: (folder / "model.keras").unlink(),
    ],
    ids=["missing", "cut off", "a list", "empty", "no text", "other weights", "no weights"],
)
def test_figures_of_another_model_or_none_are_not_read(damage, measured, tmp_path):
    folder = shutil.copytree(measured, tmp_path / "copied")
    assert read_heatmap_figures(folder).model_sha256 == sha256_of(folder / "model.keras")
    damage(folder)
    assert read_heatmap_figures(folder) is None


def test_other_data_than_the_training_runs_is_refused(tiny_bundle, picture_folder, tmp_path, capsys):
    root = shutil.copytree(picture_folder, tmp_path / "clinic")
    (root / "notumor" / "06.png").unlink()
    bundle = shutil.copytree(tiny_bundle, tmp_path / "tiny")
    assert main(["heatmaps", "--bundle", str(bundle), "--data", str(root)]) == 2
    assert "none of it is known to be held out" in capsys.readouterr().err
    assert not (bundle / "heatmaps.json").exists()


@pytest.mark.parametrize("images", [0, -3])
def test_no_pictures_are_no_sample(images, tiny_bundle, picture_folder):
    with pytest.raises(DatasetError, match="ask for one or more"):
        question_bundle(load_bundle(tiny_bundle), picture_folder, images)


def _index(*groups):
    """Rows of (dataset, label, group, how many)."""
    rows = [(dataset, label, group) for dataset, label, group, count in groups for _ in range(count)]
    index = pd.DataFrame(rows, columns=["dataset", "label", "group"])
    return index.assign(path=[f"{number:03}.png" for number in range(len(index))])


CROWDED = _index(
    ("cheng", "glioma", "a", 30),
    ("cheng", "glioma", "b", 2),
    ("cheng", "pituitary", "c", 5),
    *[("br35h", "tumor", f"t{number}", 1) for number in range(40)],
)


@pytest.mark.parametrize(
    ("images", "labels", "groups"),
    [
        (1, None, 1),
        (3, {"glioma": 1, "pituitary": 1, "tumor": 1}, 3),
        (6, {"glioma": 2, "pituitary": 2, "tumor": 2}, 2 + 1 + 2),
        (24, {"glioma": 9, "pituitary": 5, "tumor": 10}, 2 + 1 + 10),
        (1000, {"glioma": 32, "pituitary": 5, "tumor": 40}, 2 + 1 + 40),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_sample_is_even_over_kinds_and_reaches_as_many_groups_as_it_can(images, labels, groups, seed):
    found = sampled(CROWDED, images, seed)
    assert len(found) == min(images, len(CROWDED))
    assert found["path"].is_unique
    assert found["group"].nunique() == groups
    counts = found["label"].value_counts().to_dict()
    if labels and images != 24:
        assert counts == labels
    elif labels:
        # One more picture may fall to any kind that has it.
        assert counts["pituitary"] == 5
        assert sorted((counts["glioma"], counts["tumor"])) == [9, 10]


def test_a_sample_is_the_same_for_the_same_seed_alone():
    first, again, other = (list(sampled(CROWDED, 10, seed)["path"]) for seed in (0, 0, 1))
    assert first == again != other


def _written(folder, model):
    (folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
    facts = {**FACTS, "network": model.name, "heatmap": registered(model.name).heatmap}
    write_bundle(model, glass_data(ROWS), folder / "history.csv", folder / model.name, facts)
    return load_bundle(folder / model.name)


def _first(data):
    return data.chosen(np.arange(len(data.index)) < 1)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle of the network that shows a tumor where a picture is bright, its map as the network states it."""
    written = _written(tmp_path_factory.mktemp("glass"), build_glass())
    return with_card(written, {"calibration.map_temperature": 1.0})


@pytest.fixture(scope="module")
def held_out():
    """Test slices: three gliomas, a meningioma, a tumor of unknown kind, and one that nobody outlined."""
    data = glass_data(ROWS)
    return data.chosen(((data.index["split"] == "test") & (data.index["label"] != "notumor")).to_numpy())


@pytest.fixture(scope="module")
def glass(bundle, held_out):
    return question_heatmaps(bundle, held_out)


def test_a_map_that_is_right_by_its_making_beats_what_knows_nothing(glass):
    report, table = glass
    assert report["images"] == 5
    assert table.groupby("method").size().to_dict() == dict.fromkeys(ALL, 5)
    found = report["methods"]
    # The network misses the fifth slice's tumor.
    assert table[table["method"] == MAP]["hit"].tolist() == [1, 1, 1, 1, pytest.approx(0, abs=1)]
    for floor in FLOORS:
        assert found[MAP]["inside"]["low"] > found[floor]["inside"]["high"]
    assert found["center"]["randomized_correlation"]["value"] == pytest.approx(1)
    assert found["random"]["randomized_correlation"]["value"] < 0.6


def test_a_map_that_only_repeats_the_picture_is_found_out_by_random_weights(glass):
    """The glass network's map is the gray of the picture, and so it is with any other weights."""
    report, _ = glass
    assert report["methods"][MAP]["randomized_correlation"]["value"] > 0.7


def test_the_same_seed_gives_the_same_figures(glass, bundle, held_out):
    report, table = question_heatmaps(bundle, _first(held_out))
    first = glass[1].head(len(ALL))
    pd.testing.assert_frame_equal(table, first, atol=1e-4)
    # One group has no bounds.
    assert report["methods"]["saliency"]["inside"] == {
        "value": pytest.approx(float(first.set_index("method")["inside"]["saliency"]), abs=1e-4),
        "low": None,
        "high": None,
    }


@pytest.mark.parametrize(
    ("network", "label", "explained", "among_kinds"),
    [
        (lambda: build_glass("squeeze_unet"), "pituitary", "pituitary", True),
        (lambda: build_glass("squeezenet"), "tumor", None, False),
        (lambda: build("lenet", size=48, task=BINARY), "pituitary", "tumor", False),
    ],
    ids=["kinds alone", "all classes", "tumor or not"],
)
def test_each_network_is_asked_for_a_class_it_knows(network, label, explained, among_kinds, held_out, tmp_path):
    data = _first(held_out)
    subject = _Subject(_written(tmp_path, network()))
    probabilities = subject._probabilities(data.pictures)[0]
    kind = subject.explained(data.pictures[0], label)
    assert kind == (explained or CLASSES[int(probabilities[:3].argmax())])
    score = dict(zip(CLASSES, probabilities, strict=True)) | {"tumor": probabilities[:3].sum()}
    expected = score[kind] / (score["tumor"] if among_kinds else 1)
    assert subject.score(kind)(data.pictures)[0] == pytest.approx(expected)
    assert (MAP in subject.methods) == among_kinds
    assert subject.draw("saliency", data.pictures[0], kind, (0, 0)).shape == (48, 48)
