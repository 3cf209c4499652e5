import json

import numpy as np
import pandas as pd
import pytest

from braintumor.datasets import agreement_with, audit, write_audit

INDEX = pd.DataFrame(
    [
        ("a/1", "a", "train", "glioma", "p1", "g1"),
        ("a/2", "a", "train", "glioma", "p1", "g1"),
        ("a/3", "a", "train", "notumor", "p2", "g2"),
        ("a/4", "a", "test", "glioma", "p1", "g1"),
        ("a/5", "a", "test", "pituitary", "p3", "g3"),
        ("a/6", "a", "test", "meningioma", "p2", "g2"),
        ("a/7", "a", "test", "", "p2", "g2"),
        ("b/1", "b", "", "tumor", "p1", "g1"),
        ("b/2", "b", "", "notumor", "p4", "g3"),
        ("b/3", "b", "test", "notumor", "p5", "g5"),
    ],
    columns=["path", "dataset", "published_split", "label", "picture", "group"],
)


def test_audit_counts_what_leaks():
    assert audit(INDEX) == {
        "images": 10,
        "distinct_pictures": 5,
        "groups": 4,
        "share_with_near_duplicate": 0.7,
        "datasets": {
            "a": {
                "images": 7,
                "distinct_pictures": 3,
                "share_with_near_duplicate": round(6 / 7, 4),
                "published_test_images": 4,
                "published_test_share_in_train": 0.75,
            },
            "b": {
                "images": 3,
                "distinct_pictures": 3,
                "share_with_near_duplicate": 0.0,
                "published_test_images": 1,
                "published_test_share_in_train": None,
            },
        },
        "shared_between_datasets": [
            {"dataset": "a", "contained_in": "b", "share_of_images": round(3 / 7, 4)},
            {"dataset": "b", "contained_in": "a", "share_of_images": round(1 / 3, 4)},
        ],
        "shared_between_parts": [
            {
                "dataset": dataset,
                "published_split": split,
                "images": images,
                "distinct_pictures": distinct,
                "shares_with_copy_in": shares,
            }
            for dataset, split, images, distinct, shares in (
                ("a", "test", 4, 3, [0.5, 0.75, 0.25, 0.0]),
                ("a", "train", 3, 2, [1.0, round(2 / 3, 4), round(2 / 3, 4), 0.0]),
                ("b", "", 2, 2, [0.5, 0.5, 0.0, 0.0]),
                ("b", "test", 1, 1, [0.0, 0.0, 0.0, 0.0]),
            )
        ],
        "copies_of_a_picture": {"1": 3, "3": 1, "4": 1},
        "images_of_a_group": {"1": 1, "2": 1, "3": 1, "4": 1},
        "label_conflicts": {"pictures": 1, "paths": {"p2": ["a/3: notumor", "a/6: meningioma"]}},
    }


@pytest.mark.parametrize(
    ("labels", "conflict"),
    [
        (["glioma", "glioma"], False),
        (["glioma", ""], False),
        (["glioma", "tumor"], False),
        (["glioma", "meningioma"], True),
        (["tumor", "notumor"], True),
        (["tumor", "glioma", "pituitary"], True),
        (["", ""], False),
    ],
)
def test_labels_conflict_when_no_class_fits_all(labels, conflict):
    count = len(labels)
    index = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(count)],
            "dataset": "a",
            "published_split": "",
            "label": labels,
            "picture": "p",
            "group": "g",
        }
    )
    assert audit(index)["label_conflicts"]["pictures"] == int(conflict)


def test_agreement_by_hand():
    index = pd.DataFrame(
        {
            "dataset": ["a", "a", "a", "a", "a", "cheng", "cheng"],
            "picture": ["p0", "p0", "p1", "p2", "p2", "p3", "p4"],
        }
    )
    given = pd.Series(["x", "x", "x", "y", "z", "s", "s"])
    pairs = np.array([(0, 1), (3, 4)])
    # Found: 0-1 is kept together, 3-4 is not. Given without figshare: 0-1, 0-2 and 1-2, of which 0-1 is one picture.
    assert agreement_with(index, pairs, given) == {
        "pairs_found": 2,
        "precision": 0.5,
        "pairs_given": 3,
        "recall": pytest.approx(1 / 3),
    }


def test_group_that_touches_figshare_does_not_count_for_recall():
    index = pd.DataFrame({"dataset": ["a", "a", "cheng"], "picture": ["p0", "p1", "p2"]})
    found = agreement_with(index, np.array([(0, 1)]), pd.Series(["x", "x", "x"]))
    assert found == {"pairs_found": 1, "precision": 1.0, "pairs_given": 0, "recall": None}


def test_nothing_found_and_nothing_given():
    index = pd.DataFrame({"dataset": ["a", "a"], "picture": ["p0", "p1"]})
    found = agreement_with(index, np.empty((0, 2), np.int64), pd.Series(["x", "y"]))
    assert found == {"pairs_found": 0, "precision": None, "pairs_given": 0, "recall": None}


def test_report_and_index_are_written(tmp_path):
    report = audit(INDEX)
    write_audit(report, INDEX, tmp_path / "deep")
    assert json.loads((tmp_path / "deep" / "audit.json").read_text(encoding="utf-8")) == report
    written = pd.read_csv(tmp_path / "deep" / "index.csv", dtype=str, keep_default_na=False)
    assert written.to_numpy().tolist() == INDEX.to_numpy().tolist()
