import re

import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import read_card
from braintumor.evaluation import figures
from braintumor.reports import in_words, model_card, spread
from tests.conftest import SHIPPED

HEADINGS = (
    *("Model details", "Intended use", "Factors", "Metrics", "Training data", "Evaluation data"),
    *("Quantitative analyses", "Failure modes", "Ethical considerations", "Caveats and recommendations"),
)


@pytest.fixture(scope="module")
def bundle():
    tables = [pd.read_csv(SHIPPED / name) for name in ("predictions.csv", "segmentation.csv")]
    return read_card(SHIPPED), *tables


@pytest.fixture(scope="module")
def text(bundle):
    return model_card(*bundle)


def tables_of(text):
    """Every Markdown table as rows of cells."""
    found = [block.splitlines() for block in re.split(r"\n\n", text) if block.startswith("|")]
    return [[row.strip("| ").split(" | ") for row in rows] for rows in found]


@pytest.mark.parametrize("heading", HEADINGS)
def test_has_the_headings_of_a_model_card(text, heading):
    assert f"\n## {heading}\n" in text


def test_every_table_is_whole(text):
    assert len(tables_of(text)) >= 9
    assert all(len({len(row) for row in rows}) == 1 for rows in tables_of(text))


@pytest.mark.parametrize(
    ("title", "section", "key"),
    [
        ("Accuracy, four classes", "four_class", "accuracy"),
        ("Tumor or not: sensitivity", "detection", "sensitivity"),
        ("Accuracy of what is answered", "answered", "accuracy"),
    ],
)
def test_figures_are_those_of_the_predictions(bundle, text, title, section, key):
    card, predictions, _ = bundle
    point = card["operating_point"]["threshold"]
    words = [
        in_words(*spread(figures(predictions[predictions["split"] == split], threshold=point)[section][key]))
        for split in ("test", "published_test")
    ]
    assert f"| {title} | {' | '.join(words)} |" in text
    assert "Published test (inflated)" in text


def test_figures_follow_the_predictions(bundle, text):
    card, predictions, segmentation = bundle
    worse = predictions.copy()
    chances = [name for name in worse if name.startswith("p_")]
    worse[chances] = worse[chances].to_numpy()[:, [1, 2, 0, 3]]
    assert [
        line for line in model_card(card, worse, segmentation).splitlines() if "| Glioma | Meningioma |" in line
    ] != [line for line in text.splitlines() if "| Glioma | Meningioma |" in line]


def test_counts_of_every_source_and_class_are_those_of_the_card(bundle, text):
    for facts in bundle[0]["data"].values():
        assert facts["title"] in text
        for images in facts["images"].values():
            assert " | ".join(f"{images[part]:,}" for part in ("train", "validation", "test")) in text


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        ([14, 27, 40], "the mean of those after epochs 14, 27 and 40, which"),
        ([27], "the one that was best on validation groups was kept"),
        ([], "the one that was best"),
        (None, "the one that was best"),
    ],
)
def test_says_which_epochs_were_kept(bundle, epochs, said):
    card = {key: value for key, value in bundle[0].items() if key != "kept_epochs"}
    assert said in model_card(card if epochs is None else card | {"kept_epochs": epochs}, None)


@pytest.mark.parametrize(
    ("found", "said"),
    [({"score_cells": 57}, ["57"]), ({"score_cells": None}, []), ({}, []), (None, [])],
)
def test_says_how_many_cells_make_the_score(bundle, found, said):
    told = re.findall(
        r"\*\*Score\*\*: the mean of the map's highest cells \((\d+) of", model_card({**bundle[0], "map": found}, None)
    )
    assert told == said


SHA = {"initial_weights_sha256": "b" * 64}


def test_says_what_training_went_on_from(bundle):
    first = {
        "name": "<b>",
        "version": "3.0.0",
        "initial_weights": "lite.npz",
        **SHA,
        "commands": ["first"],
        "epochs": 40,
    }
    card = {**bundle[0], "command": "second", "initial_weights_sha256": "c" * 64, "started_from": first}
    found = model_card(card, None)
    assert (
        f"- Initial weights: those of \\<b\\> 3.0.0 (SHA-256 {'c' * 16}…), trained for 40 epochs from lite.npz "
        f"(SHA-256 {'b' * 16}…).\n"
    ) in found
    assert "Trained again by, each from what the one before wrote:\n\n```sh\nfirst\nsecond\n```" in found


def test_says_on_what_and_how_it_was_trained(bundle):
    options = {"epochs": 3, "smoothing": 0.0, "sampling": {"augmentation": {"flip": 0.5, "jpeg": 0.0}}}
    training = {"device": "a <b>", "software": {"keras": "3.1"}, "options": {"lenet": options}}
    found = model_card({**bundle[0], "training": training}, None)
    assert "- Trained on a \\<b\\> with keras 3.1.\n" in found
    assert "- Options of lenet: epochs 3. Changes to its pictures: flip 0.5.\n" in found
    assert "- Trained on" not in model_card({key: bundle[0][key] for key in bundle[0] if key != "training"}, None)


def test_no_picture_is_named(bundle, text):
    assert not [path for path in bundle[2]["path"] if path in text or path.rsplit("/", 1)[-1] in text]


def test_texts_of_the_card_are_escaped(bundle):
    card, predictions, _ = bundle
    evil = "<b>a|b</b> ![x](y) :red[z] `c`"
    data = {name: facts | {"title": evil, "source": "javascript:alert(1)"} for name, facts in card["data"].items()}
    found = model_card(card | {"name": evil, "network_source": evil, "command": "``` <b>", "data": data}, predictions)
    outside = re.sub(r"```sh\n.*?\n```", "", found, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<[\w/]|(?<!\\)!\[|(?<!\\):red", outside)
    assert "](javascript" not in outside
    assert found.count("```") == 2


@pytest.mark.parametrize("card", [{}, {"name": "one", "operating_point": None, "calibration": {}, "data": {}}])
def test_what_is_missing_is_said(card):
    text = model_card(card, None)
    assert "predictions of held-out pictures are missing" in text
    assert "not recorded" in text


def test_measured_heatmaps_and_foreign_pictures_are_told(bundle):
    card, predictions, segmentation = bundle
    one = {"value": 0.5, "low": 0.4, "high": 0.6}
    measures = ("inside", "pointing", "deletion", "insertion", "randomized_correlation")
    heatmaps = {"methods": {"gradcam": dict.fromkeys(measures, one)}}
    foreign = {"auroc": 0.995, "foreign_referred": 0.99, "real_referred": 0.02, "kinds": {"noise": {}, "text": {}}}
    foreign["real_referred_by_dataset"] = {"br35h": 0.04, "cheng": 0.01}
    metrics = card["metrics"] | {"foreign": foreign}
    text = model_card(card | {"metrics": metrics}, predictions, segmentation, heatmaps)
    assert "| gradcam | 50.0% (40.0 to 60.0) | 50.0% (40.0 to 60.0) | 0.500 (0.400 to 0.600) |" in text
    assert "(2 kinds): 99.0% are referred" in text
    assert "2.0% of real scans (Br35H 4.0% and Cheng 1.0%); ROC AUC of the distance 0.995." in text


def test_foreign_pictures_that_could_not_be_held_against_scans_are_dashes(bundle):
    found = {"auroc": None, "foreign_referred": 0.99, "real_referred": None, "kinds": {"noise": {}}}
    text = model_card({"metrics": {"foreign": found}}, bundle[1])
    assert "(1 kinds): 99.0% are referred, and for the same reason – of real scans; ROC AUC of the distance –." in text


def test_a_model_of_tumor_or_not_is_not_said_to_tell_kinds(bundle, text):
    card, predictions, segmentation = bundle
    kinds = ["p_glioma", "p_meningioma", "p_pituitary"]
    alone = predictions.assign(label=predictions["label"].where(predictions["label"] == "notumor", "tumor"))
    alone[kinds] = np.repeat(alone[kinds].sum(axis=1).to_numpy()[:, None] / 3, 3, axis=1)
    found = model_card(card | {"kinds": False}, alone, segmentation)
    of_kinds = (
        *("the kind of tumor (", "Four classes", "the kinds' logits", "the kind's probability", "The kind of tumor is"),
        *("Accuracy", "By class, ", "Right class", "Classes mixed up", "Sure and wrong", "Would be wrong"),
    )
    assert not [words for words in of_kinds if words in found]
    assert not [words for words in of_kinds if words not in text]
    assert "| Tumor or not: sensitivity |" in found
    assert "### Missed tumors and false alarms" in found
    assert all(len({len(row) for row in rows}) == 1 for rows in tables_of(found))
