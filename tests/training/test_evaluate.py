import json
import shutil

import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import Metrics, load_bundle
from braintumor.training.evaluate import evaluate_bundle
from tests.bundles.made_card import with_card
from tests.conftest import flat, phantom_outline, png_bytes


def test_the_training_data_gives_the_figures_of_the_card_once_more(tiny_bundle, picture_folder):
    bundle = load_bundle(tiny_bundle)
    report, predictions = evaluate_bundle(bundle, picture_folder)
    assert report["bundle"] == "tiny-0.1.0"
    assert report["agrees_with_card"] is True
    assert set(report["metrics"]) == {"validation", "test", "mirrored_validation", "mirrored_test", "foreign"}
    again = Metrics.model_validate_json(json.dumps(report["metrics"])).model_dump(mode="json")
    assert flat(again) == pytest.approx(flat(bundle.card.metrics.model_dump(mode="json")), abs=1e-6)
    assert report["metrics"]["test"]["segmentation"] is not None
    stored = pd.read_csv(tiny_bundle / "predictions.csv")
    assert predictions["split"].tolist() == stored["split"].tolist()
    np.testing.assert_allclose(predictions.filter(like="p_"), stored.filter(like="p_"), atol=1e-6)


def test_figures_that_were_touched_up_do_not_agree(tiny_bundle, picture_folder):
    bundle = load_bundle(tiny_bundle)
    touched = with_card(bundle, {"metrics.test.images": 1000})
    assert evaluate_bundle(touched, picture_folder)[0]["agrees_with_card"] is False


def _one_picture_less(root):
    (root / "notumor" / "06.png").unlink()


def _one_mask_less(root):
    (root / "traced" / "masks" / "01.png").unlink()


def _other_folder_name(root):
    (root / "pituitary").rename(root / "meningioma_tumor")


def _few_groups(root):
    for path in sorted(root.rglob("*.png"))[4:]:
        path.unlink()


@pytest.mark.parametrize("change", [_one_picture_less, _one_mask_less, _other_folder_name, _few_groups])
def test_other_data_counts_in_full_as_external(change, tiny_bundle, picture_folder, tmp_path):
    root = shutil.copytree(picture_folder, tmp_path / "clinic")
    change(root)
    report, predictions = evaluate_bundle(load_bundle(tiny_bundle), root)
    assert "near-duplicates of training pictures are not excluded" in report["data"]
    assert "agrees_with_card" not in report
    assert set(report["metrics"]) <= {"external", "mirrored_external", "foreign"}
    assert not predictions["in_training"].any()
    # Copies count once.
    pictures = [path for path in root.rglob("*.png") if path.parent.name != "masks"]
    assert report["metrics"]["external"]["images"] == len({int(path.stem) // 2 for path in pictures})


@pytest.mark.parametrize("outlined", [True, False])
def test_a_folder_of_tumors_alone_is_measured(outlined, tiny_bundle, picture_folder, tmp_path):
    shutil.copytree(picture_folder / "traced" / "glioma", tmp_path / "set" / "scans" / "glioma")
    if outlined:
        (tmp_path / "set" / "scans" / "masks").mkdir()
        for path in (tmp_path / "set" / "scans" / "glioma").iterdir():
            (tmp_path / "set" / "scans" / "masks" / path.name).write_bytes(png_bytes(phantom_outline(64) * 255))
    report, _ = evaluate_bundle(load_bundle(tiny_bundle), tmp_path / "set")
    assert report["metrics"]["external"]["images"] == 8
    assert (report["metrics"]["external"]["segmentation"] is not None) == outlined
