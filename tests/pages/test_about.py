import hashlib
import json
import shutil

import pytest

from braintumor.bundles import read_card
from braintumor.model_cards import INTRODUCTION, card_sections
from braintumor.model_cards.model_card import SECTIONS
from tests.bundles.made_card import made_card, put_card
from tests.conftest import SHIPPED
from tests.pages.guest import opened, texts


@pytest.fixture
def models(guest_app, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("BRAINTUMOR_MODEL", "mine")
    return tmp_path


def test_shows_the_model_card_of_the_model_in_use(models):
    (models / "mine").mkdir()
    shutil.copy(SHIPPED / "card.json", models / "mine" / "card.json")
    page = opened("about.py")
    sections = [expander.label for expander in page.expander]
    assert {"Intended use", "Training data", "Quantitative analyses", "Failure modes"} <= set(sections)
    said = texts(page)
    test = read_card(SHIPPED).metrics.test
    assert f"{test.images:,} pictures in {test.groups:,} groups" in said
    assert page.get("download_button")


def test_every_section_of_the_model_card_is_shown_as_it_is_written(models):
    (models / "mine").mkdir()
    shutil.copy(SHIPPED / "card.json", models / "mine" / "card.json")
    shown = {expander.label: expander.markdown[0].value for expander in opened("about.py").expander[-len(SECTIONS) :]}
    written = card_sections(read_card(SHIPPED))
    written.pop(INTRODUCTION)
    assert shown == written


def test_a_card_without_figures_is_told_as_far_as_it_goes(models):
    put_card(models / "mine", made_card())
    assert "none is at hand" in texts(opened("about.py"))


def test_broken_figures_of_heatmaps_are_left_out(models):
    shutil.copytree(SHIPPED, models / "mine", ignore=shutil.ignore_patterns("*.tflite", "*.npz"))
    digest = hashlib.sha256((models / "mine" / "model.keras").read_bytes()).hexdigest()
    report = {"model_sha256": digest, "images": 1, "groups": 1, "methods": {"gradcam": {"inside": 1}}}
    (models / "mine" / "heatmaps.json").write_text(json.dumps(report))
    assert "| Heatmap |" not in texts(opened("about.py"))


def test_without_a_model_it_says_so(models):
    assert "There is no model" in opened("about.py").warning[0].value
