import json
import math

import pandas as pd
import pytest

from braintumor.bundles import BundleError
from braintumor.dashboard.bundle_tables import (
    bundle_folders,
    bundle_stamp,
    bundle_tables,
    headline_table,
    in_words,
)

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


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.913, 0.88, 0.941), "91.3\u00a0% (88.0 to 94.1)"),
        ((0.5, math.nan, math.nan), "50.0\u00a0%"),
        ((math.nan, math.nan, math.nan), "–"),
    ],
)
def test_in_words(values, expected):
    assert in_words(*values) == expected
