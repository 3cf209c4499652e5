import re

import pandas as pd
import pytest

from braintumor.bundles import read_card, read_heatmap_figures
from braintumor.bundles.figures import HeatmapFigures
from braintumor.bundles.schema import SourceData
from braintumor.model_cards import model_card
from braintumor.model_cards.markdown import escaped
from braintumor.reports import in_words
from tests.bundles.made_card import changed, made_card
from tests.conftest import SHIPPED

HEADINGS = (
    *("Model details", "Intended use", "Factors", "Metrics", "Training data", "Evaluation data"),
    *("Quantitative analyses", "Failure modes", "Ethical considerations", "Caveats and recommendations"),
)


@pytest.fixture(scope="module")
def card():
    return read_card(SHIPPED)


@pytest.fixture(scope="module")
def text(card):
    return model_card(card, read_heatmap_figures(SHIPPED))


def tables_of(text):
    """Every Markdown table as rows of cells."""
    found = [block.splitlines() for block in re.split(r"\n\n", text) if block.startswith("|")]
    return [[row.strip("| ").split(" | ") for row in rows] for rows in found]


@pytest.mark.parametrize("heading", HEADINGS)
def test_has_the_headings_of_a_model_card(text, heading):
    assert f"\n\n## {heading}\n\n" in text


def test_every_table_is_whole(text):
    assert len(tables_of(text)) == 12
    assert all(len({len(row) for row in rows}) == 1 for rows in tables_of(text))


@pytest.mark.parametrize(
    ("title", "of"),
    [
        ("Accuracy, four classes", lambda report: report.four_class.accuracy),
        ("Tumor or not: sensitivity", lambda report: report.detection.sensitivity),
        ("Accuracy of what is answered", lambda report: report.answered.accuracy),
    ],
)
def test_figures_are_those_of_the_card(card, text, title, of):
    words = [in_words(*of(report).floats) for report in (card.metrics.test, card.metrics.published_test)]
    assert f"| {title} | {' | '.join(words)} |" in text


def test_counts_of_every_source_and_class_are_those_of_the_card(card, text):
    for facts in card.data.values():
        assert escaped(facts.title) in text
        for images in facts.images.values():
            assert " | ".join(f"{images.get(part, 0):,}" for part in ("train", "validation", "test")) in text


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"kept_epochs": (14, 27, 40)}, "the mean of those after epochs 14, 27 and 40, which", "best on validation"),
        ({"kept_epochs": (27,)}, "the one that was best on validation groups was kept", "the mean of those"),
        ({"map.score_cells": 7}, "highest cells (7 of", "highest cells (57 of"),
        ({"map": None}, "## Metrics", "**Score**"),
        ({"training": None}, "## Model details", "- Trained on"),
        ({"volume_rule": None}, "## Metrics", "**Volumes**"),
        ({"metrics.test": None}, "**Leak-free test**: none is at hand.", "### By class"),
        ({"metrics.hospital_test": None}, "**No external validation**", "**Elsewhere it does worse**"),
        ({"metrics.foreign": None, "metrics.mirrored_test": None}, "- Not measured.", "are not brain MRI ("),
        (
            {"metrics.foreign.auroc": None, "metrics.foreign.real_referred": None},
            "reason – of real scans",
            "distance None",
        ),
    ],
)
def test_tells_what_is_there_and_nothing_else(card, changes, said, unsaid):
    found = model_card(changed(card, changes))
    assert said in found
    assert unsaid not in found


def test_says_what_training_went_on_from(card):
    first = {
        "name": "<b>",
        "version": "3.0.0",
        "initial_weights": "lite.npz",
        "initial_weights_sha256": "b" * 64,
        "commands": ["first"],
        "device": "one",
        "epochs": 40,
    }
    changes = {"command": "second", "refitted_by": None, "initial_weights_sha256": "c" * 64, "started_from": first}
    found = model_card(changed(card, changes))
    assert (
        f"- Initial weights: those of \\<b\\> 3.0.0 (SHA-256 {'c' * 16}…), trained for 40 epochs from lite.npz "
        f"(SHA-256 {'b' * 16}…).\n"
    ) in found
    assert "Trained again by, each from what the one before wrote:\n\n```sh\nfirst\nsecond\n```" in found


def test_says_on_what_and_how_it_was_trained(card):
    options = {"epochs": 3, "smoothing": 0.0, "sampling": {"augmentation": {"flip": 0.5, "jpeg": 0.0}}}
    training = {"device": "a <b>", "software": {"keras": "3.1"}, "options": {"lenet": options}}
    found = model_card(changed(card, {"training": training}))
    assert "- Trained on a \\<b\\> with keras 3.1.\n" in found
    assert "- Options of lenet: epochs 3. Changes to its pictures: flip 0.5.\n" in found


def test_no_picture_is_named(text):
    paths = pd.read_csv(SHIPPED / "segmentation.csv")["path"]
    assert not [path for path in paths if path in text or path.rsplit("/", 1)[-1] in text]


def test_texts_of_the_card_are_escaped(card):
    evil = "<b>a|b</b> ![x](y) :red[z] `c`"
    data = {"data.cheng.title": evil, "data.cheng.source": "javascript:alert(1)", "data.cheng.license": evil}
    found = model_card(changed(card, {"name": evil, "network_source": evil, "command": "``` <b>", **data}))
    outside = re.sub(r"```sh\n.*?\n```", "", found, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<[\w/]|(?<!\\)!\[|(?<!\\):red", outside)
    assert "](javascript" not in outside
    assert found.count("```") == 2


def test_a_card_without_figures_is_told_as_far_as_it_goes():
    text = model_card(made_card())
    assert text.count("none is at hand") == 2
    assert all(f"\n\n## {heading}\n\n" in text for heading in HEADINGS)


def test_measured_heatmaps_are_told(card):
    one = {"value": 0.5, "low": 0.4, "high": 0.6}
    measures = ("inside", "pointing", "deletion", "insertion", "randomized_correlation")
    heatmaps = {"model_sha256": "", "images": 3, "groups": 2, "methods": {"gradcam": dict.fromkeys(measures, one)}}
    text = model_card(card, HeatmapFigures.model_validate(heatmaps))
    assert "| gradcam | 50.0% (40.0 to 60.0) | 50.0% (40.0 to 60.0) | 0.500 (0.400 to 0.600) |" in text


def test_a_model_of_tumor_or_not_is_not_said_to_tell_kinds(card, text):
    unknown = {"value": None, "low": None, "high": None}
    splits, names = ("test", "published_test"), ("accuracy", "balanced_accuracy", "macro_f1")
    changes = {f"metrics.{split}.four_class.{name}": unknown for split in splits for name in names}
    found = model_card(changed(card, {"kinds": False, **changes}))
    of_kinds = (
        *("the kind of tumor (", "Four classes", "the kinds' logits", "the kind's probability"),
        *("By class, ", "Right class", "Classes mixed up", "Sure and wrong", "Would be wrong"),
    )
    assert not [words for words in of_kinds if words in found]
    assert not [words for words in of_kinds if words not in text]
    assert "| Tumor or not: sensitivity |" in found
    assert "### Missed tumors and false alarms" in found
    assert all(len({len(row) for row in rows}) == 1 for rows in tables_of(found))


@pytest.mark.parametrize(
    ("datasets", "said"),
    [
        ({"cheng": {"train": 3}}, "License of the weights: that of the software (MIT)."),
        ({"cheng": {"train": 3}, "lgg": {"test": 3}}, "License of the weights: that of the software (MIT)."),
        ({"lgg": {"train": 3}}, "License of the weights: CC BY-NC-SA 4.0, as TCGA-LGG asks"),
    ],
)
def test_weights_have_the_license_that_what_they_learned_from_asks_for(datasets, said):
    data = {name: SourceData(images={"glioma": counts}) for name, counts in datasets.items()}
    assert said in model_card(made_card(data=data))
