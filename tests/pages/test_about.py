import hashlib
import json
import shutil

import pytest

from tests.conftest import SHIPPED
from tests.pages.guest import opened, texts


@pytest.fixture
def models(guest_app, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("BRAINTUMOR_MODEL", "mine")
    return tmp_path


def test_shows_the_model_card_of_the_model_in_use(models):
    (models / "mine").mkdir()
    for name in ("card.json", "predictions.csv", "segmentation.csv"):
        shutil.copy(SHIPPED / name, models / "mine" / name)
    page = opened("about.py")
    sections = [expander.label for expander in page.expander]
    assert {"Intended use", "Training data", "Quantitative analyses", "Failure modes"} <= set(sections)
    said = texts(page)
    card = json.loads((SHIPPED / "card.json").read_text())
    assert f"{card['metrics']['test']['images']:,} pictures in {card['metrics']['test']['groups']:,} groups" in said
    assert page.get("download_button")


def test_tables_of_the_model_card_are_tables_of_the_page(models):
    (models / "mine").mkdir()
    for name in ("card.json", "predictions.csv", "segmentation.csv"):
        shutil.copy(SHIPPED / name, models / "mine" / name)
    page = opened("about.py")
    assert not [element for element in page.markdown if element.value.startswith("|") or "\n|" in element.value]
    card = json.loads((SHIPPED / "card.json").read_text())
    missed = next(table.value for table in page.table if "False alarms, not referred" in table.value)
    assert set(missed.index) == {"Br35H", "Cheng", "Masoud", "Navoneel"}
    licensed = next(table.value for table in page.table if "License" in table.value)
    assert len(licensed) == sum(len(facts["images"]) for facts in card["data"].values())


@pytest.mark.parametrize("card", [{}, {"metrics": {}}])
def test_a_bundle_with_a_card_alone_is_told_as_far_as_it_goes(models, card):
    (models / "mine").mkdir()
    (models / "mine" / "card.json").write_text(json.dumps(card))
    assert "predictions of held-out pictures are missing" in " ".join(
        element.value for element in opened("about.py").markdown
    )


def test_broken_figures_of_heatmaps_are_left_out(models):
    shutil.copytree(SHIPPED, models / "mine", ignore=shutil.ignore_patterns("*.tflite", "*.npz"))
    digest = hashlib.sha256((models / "mine" / "model.keras").read_bytes()).hexdigest()
    report = {"model_sha256": digest, "images": 1, "groups": 1, "methods": {"gradcam": {"inside": 1}}}
    (models / "mine" / "heatmaps.json").write_text(json.dumps(report))
    assert not [table for table in opened("about.py").table if table.value.index.name == "Heatmap"]


def test_without_a_model_it_says_so(models):
    assert "There is no model" in opened("about.py").warning[0].value
