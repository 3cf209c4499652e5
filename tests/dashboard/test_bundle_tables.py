import io
import json
import math

import pandas as pd
import pytest

from braintumor.bundles import BundleError
from braintumor.dashboard.bundle_tables import (
    HEADLINES,
    bundle_folders,
    bundle_stamp,
    bundle_tables,
    headline_table,
    training_overlap,
)
from braintumor.evaluation import figures
from braintumor.taxonomy import CLASSES

ROWS = "split,dataset,group,label,in_training,referred,p_glioma,p_meningioma,p_pituitary,p_notumor\n"
GOOD = ROWS + "test,masoud,a,glioma,False,False,0.7,0.1,0.1,0.1\ntest,masoud,b,notumor,False,True,0.1,0.1,0.1,0.7\n"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "net"
    made.mkdir()
    (made / "card.json").write_text(json.dumps({"name": "Net", "operating_point": {"threshold": 0.25}}))
    (made / "history.csv").write_text("epoch,loss,accuracy,val_loss,val_accuracy\n1,0.9,0.5,1.0,0.4\n")
    (made / "predictions.csv").write_text(GOOD)
    return made


def test_reads_everything(folder):
    found = bundle_tables(folder)
    assert found.problems == ()
    assert found.threshold == 0.25
    assert len(found.split("test")) == 2
    assert found.split("published_test") is None
    assert found.figures("test")["threshold"] == 0.25
    assert found.figures("published_test") is None


def test_card_answers_where_predictions_are_missing(folder):
    (folder / "predictions.csv").unlink()
    (folder / "card.json").write_text(json.dumps({"metrics": {"test": {"images": 3}}}))
    found = bundle_tables(folder)
    assert found.figures("test") == {"images": 3}
    assert "predictions.csv is missing" in found.problems[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("history.csv", "epoch,loss\n1,2\n", "lacks the column accuracy, val_loss, val_accuracy"),
        ("history.csv", "", "cannot be read"),
        ("predictions.csv", "split\ntest\n", "lack the column"),
        ("predictions.csv", GOOD.replace("glioma,False", "cyst,False"), "'cyst'"),
        ("predictions.csv", ROWS + "test,masoud,a,glioma,False,False,x,0.1,0.1,0.1\n", "cannot be used"),
    ],
)
def test_a_broken_table_is_a_problem_and_not_an_error(folder, name, content, words):
    (folder / name).write_text(content)
    found = bundle_tables(folder)
    assert len(found.problems) == 1
    assert name in found.problems[0]
    assert words in found.problems[0]


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_broken_card_is_an_error(folder, content):
    (folder / "card.json").write_text(content)
    with pytest.raises(BundleError, match="net"):
        bundle_tables(folder)
    assert bundle_folders(folder.parent) == {folder: "net"}


@pytest.mark.parametrize("threshold", [None, "high", -1, 2, math.nan])
def test_an_unusable_operating_point_is_none(folder, threshold):
    (folder / "card.json").write_text(json.dumps({"operating_point": {"threshold": threshold}}))
    assert bundle_tables(folder).threshold is None


def test_stamp_changes_with_any_file(folder):
    before = bundle_stamp(folder)
    (folder / "history.csv").unlink()
    assert bundle_stamp(folder) != before
    assert bundle_folders(folder / "nowhere") == {}


def test_headlines_leave_out_what_no_split_has():
    figure = {"value": 0.9, "low": 0.8, "high": None}
    found = headline_table({"Clean": {"detection": {"roc_auc": figure}}, "Leaky": None})
    assert found["figure"].unique().tolist() == ["Tumor or not: ROC AUC"]
    assert found["split"].tolist() == ["Clean", "Leaky"]
    assert found["value"].tolist() == pytest.approx([0.9, math.nan], nan_ok=True)
    assert pd.isna(found["high"]).all()


def mixed(*rows):
    """Rows of the published test: (label, likeliest class, in_training)."""
    columns = {"label": [row[0] for row in rows], "in_training": [row[2] for row in rows]}
    chances = {f"p_{name}": [0.97 if row[1] == name else 0.01 for row in rows] for name in CLASSES}
    return pd.DataFrame({**columns, **chances})


def test_overlap_says_that_the_images_themselves_were_trained_on_and_what_that_does():
    rows = mixed(
        ("glioma", "glioma", True),
        ("notumor", "notumor", True),
        ("pituitary", "pituitary", True),
        ("glioma", "meningioma", False),
        ("notumor", "notumor", False),
        ("tumor", "glioma", False),
    )
    said = training_overlap(rows, {"in_training_share": 0.5, "images": 6})
    assert said == (
        "50% of these 6 images were themselves in this model's training set. "
        "Of those it gets 100.0% right, of the 2 others 50.0%."
    )


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.66, "66% of these 6 images were themselves in this model's training set."),
        (None, "How many of these images were themselves in this model's training set is not known."),
    ],
)
def test_overlap_without_predictions_says_what_the_card_holds(share, words):
    assert training_overlap(None, {"in_training_share": share, "images": 6}) == words


def test_every_headline_is_a_figure():
    rows = pd.read_csv(io.StringIO(GOOD))
    report = figures(rows, threshold=0.5, resamples=2)
    for headline in HEADLINES:
        assert set(report[headline.section][headline.key]) == {"value", "low", "high"}
