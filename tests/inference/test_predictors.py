import shutil
from dataclasses import replace

import numpy as np
import pytest

from braintumor.inference import SLICES_UNEVEN, Predictors
from braintumor.scans import NotJudgedError, Scan, Unjudged, gather, outcome, phantom, read
from braintumor.scans.limits import DEFAULT_LIMITS, PixelBudget
from tests.conftest import SHIPPED, png_bytes, tiny_run
from tests.scans.dicom_files import slices, stored


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The shipped model, and beside it one that was trained on pictures like CT, and one that is broken."""
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(SHIPPED, root / "models" / "mr")
    (root / "models" / "broken").mkdir()
    (root / "models" / "broken" / "card.json").write_text("{")
    for number in range(36):
        for kind, skull in (("CT", 255), ("MRI", 120)):
            label = ("tumor", "healthy")[number % 2]
            head = phantom(48, tumor=label == "tumor", seed=number)
            picture = np.where(head > 200, skull, head // 2)
            path = root / "multimodal" / kind / label / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png_bytes(picture))
    ct = {"network": "logistic", "name": "ct", "size": 32, "learning_rate": None, "recipe": None, "task": "binary"}
    tiny_run(root / "multimodal", root, modality="CT", **ct)
    return root / "models"


def _head_ct(**elements):
    hounsfield = phantom(64, seed=4).astype(np.int16) * 6 - 1000
    return slices(3, pixels=hounsfield, Modality="CT", **elements)


def test_a_model_learns_from_the_pictures_of_its_modality_and_says_so(models):
    card = Predictors(models / "ct").first.bundle.card
    assert card.modality == "CT"
    assert "--modality CT" in card.command
    assert sum(sum(label.values()) for source in card.data.values() for label in source.images.values()) == 36


def test_a_series_goes_to_the_model_of_its_modality_and_a_picture_to_the_first(models):
    predictors = Predictors(models / "mr")
    assert predictors.modalities == {"MR", "CT"}
    picture = read(png_bytes(phantom(64)), "a.png")
    for files, bundle in ((_head_ct(), "ct-0.1.0"), (slices(3), predictors.first.bundle.name)):
        (unit,) = gather(stored(files))
        scan = outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8), predictors.modalities)
        assert isinstance(scan, Scan)
        assert predictors.answering(scan).predict([scan])[0].bundle == bundle
    assert predictors.answering(picture) is predictors.first


def test_without_a_model_of_its_modality_a_series_is_named_and_not_scored(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "mr")
    predictors = Predictors(tmp_path / "mr")
    (unit,) = gather(stored(_head_ct()))
    refused = outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8), predictors.modalities)
    assert isinstance(refused, NotJudgedError)
    assert refused.series.unjudged is Unjudged.OTHER_MODALITY


def test_ct_is_shown_in_the_window_of_the_brain(models):
    (unit,) = gather(stored(_head_ct()))
    scan = outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8), {"CT"})
    assert (scan.pixels.min(), scan.pixels.max()) == (0, 80)


@pytest.mark.parametrize(("heights", "has_volume"), [((0, 5, 10), True), ((0, 5, 15), False), ((0, 5, 12), False)])
def test_a_series_with_slices_missing_or_unevenly_spaced_has_no_volume(heights, has_volume):
    files = [slices(1, pixels=phantom(96).astype(np.uint16), first=(0, 0, height))[0] for height in heights]
    (unit,) = gather(stored(files))
    (prediction,) = Predictors(SHIPPED).first.predict([outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8))])
    measured = replace(prediction, finding="glioma", p_tumor=1.0, slice_limits=(0.0, 0.0)).measurements()
    assert measured.largest_diameter_mm > 0
    assert (measured.volume_ml is not None) == has_volume
    assert (SLICES_UNEVEN in prediction.notes) != has_volume
