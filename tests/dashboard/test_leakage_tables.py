import json

import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import read_card
from braintumor.dashboard.leakage_tables import (
    OWN,
    SHIPPED,
    AuditError,
    audit_file,
    conflict_table,
    dataset_table,
    read_audit,
    seen_and_unseen,
    sizes_table,
)
from braintumor.datasets import audit, write_audit
from braintumor.evaluation.samples import right_answers
from tests.conftest import SHIPPED as MODEL

INDEX = pd.DataFrame(
    [
        ("a/Ann Smith.png", "a", "train", "glioma", "p1", "g1"),
        ("a/2.png", "a", "train", "notumor", "p2", "g2"),
        ("a/3.png", "a", "test", "glioma", "p1", "g1"),
        ("a/4.png", "a", "test", "pituitary", "p1", "g1"),
        ("b/1.png", "b", "", "tumor", "p2", "g2"),
        *((f"b/{number}.png", "b", "", "notumor", "p3", "g3") for number in range(2, 9)),
    ],
    columns=["path", "dataset", "published_split", "label", "picture", "group"],
)


@pytest.fixture
def written(tmp_path):
    write_audit(audit(INDEX), INDEX, tmp_path / OWN.parent)
    return tmp_path


def test_an_audit_in_the_data_folder_goes_first(written, tmp_path):
    assert audit_file(written) == written / OWN
    assert audit_file(tmp_path / "empty") == SHIPPED
    assert read_audit(written / OWN).is_own
    assert not read_audit(SHIPPED).is_own


def test_tables_hold_what_the_audit_counted(written):
    found = read_audit(written / OWN)
    assert found.part_titles == ["a, test", "a, train", "b"]
    assert found.part_shares.tolist() == [[1.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.125, 0.875]]
    rows = dataset_table(found).set_index("dataset")
    assert rows.loc["a"].tolist() == [4, 2, 0.75, 2, 1.0]
    assert np.isnan(rows.loc["b", "test_in_train"])


@pytest.mark.parametrize("key", ["copies_of_a_picture", "images_of_a_group"])
def test_bars_of_sizes_hold_every_image(written, key):
    table = sizes_table(read_audit(written / OWN), key).set_index("size")
    assert table["images"].sum() == len(INDEX)
    assert table.loc["5–9"].tolist() == [1, 7]
    assert table.loc["2"].tolist() == [1, 2]
    assert table.index[-1] == "100+"


def test_conflicts_name_no_file(written):
    table = conflict_table(read_audit(written / OWN))
    assert table.to_dict("records") == [
        {"picture": "p1", "copies": 3, "labels": "glioma, pituitary", "datasets": "a"},
        {"picture": "p2", "copies": 2, "labels": "notumor, tumor", "datasets": "a, b"},
    ]


@pytest.mark.parametrize(
    ("datasets", "paths", "named"),
    [
        (["clinic", "clinic"], ["Doe_John/glioma/1.png", "Roe_Ann/2.png"], "clinic"),
        (["clinic", "masoud"], ["Doe_John/glioma/1.png", "masoud/Testing/2.jpg"], "masoud"),
    ],
)
def test_conflicts_name_no_folder_that_may_be_a_patients(tmp_path, datasets, paths, named):
    facts = {"path": paths, "dataset": datasets, "label": ["glioma", "notumor"]}
    index = pd.DataFrame(facts).assign(published_split="", picture="p1", group="g1")
    write_audit(audit(index), index, tmp_path)
    assert conflict_table(read_audit(tmp_path / "audit.json"))["datasets"].tolist() == [named]


@pytest.mark.parametrize("text", ["", "[]", "{}", "\0", '{"datasets": {"a": {}}}'])
def test_a_broken_audit_is_one_sentence(tmp_path, text):
    path = tmp_path / "audit.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AuditError, match="data audit"):
        read_audit(path)


def test_an_audit_that_counted_less_is_one_sentence(written):
    report = json.loads((written / OWN).read_text(encoding="utf-8"))
    del report["shared_between_parts"]
    (written / OWN).write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(AuditError, match="shared_between_parts"):
        read_audit(written / OWN)


def test_a_missing_audit_is_one_sentence(tmp_path):
    with pytest.raises(AuditError, match="data audit"):
        read_audit(tmp_path / "audit.json")


def test_published_test_is_parted_by_what_was_trained_on():
    metrics = read_card(MODEL).metrics
    rows = pd.read_csv(MODEL / "predictions.csv").query("split == 'published_test'")
    trained = rows["in_training"].astype(bool)
    table = seen_and_unseen(metrics).set_index("title")
    parts = {"Published test, all": rows, "Published test, trained on": rows[trained]}
    parts |= {"Published test, the others": rows[~trained]}
    for title, some in parts.items():
        assert table.loc[title, "value"] == pytest.approx(np.nanmean(right_answers(some)))
        assert table.loc[title, "images"] == len(some)
        assert ("inflated" in table.loc[title, "split"]) is bool(some["in_training"].any())
    assert table.loc["Leak-free test", "value"] == metrics.test.four_class.accuracy.value
