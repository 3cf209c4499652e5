import json

import pandas as pd
import pytest

from braintumor.bundles import load_bundle
from braintumor.training.bundling import published_test
from braintumor.training.experiment import index_digest


def test_the_training_command_leaves_a_whole_bundle(tiny_bundle):
    card = load_bundle(tiny_bundle).card
    assert card["command"] == (
        "python -m braintumor train --data DIR --network squeezenet --size 48 "
        "--name tiny --version 0.1.0 --epochs 1 --folds 3 --fold 0 --seed 0"
    )
    assert card["initial_weights"] is None
    assert card["input"]["size"] == 48
    assert set(card["metrics"]) == {"validation", "test"}
    counts = card["data"]["clinic"]["images"]
    assert sum(sum(parts.values()) for parts in counts.values()) == 60
    predictions = pd.read_csv(tiny_bundle / "predictions.csv")
    assert list(predictions.columns) == [
        "split",
        "dataset",
        "group",
        "label",
        "in_training",
        "referred",
        "p_glioma",
        "p_meningioma",
        "p_pituitary",
        "p_notumor",
    ]
    assert not predictions["in_training"].any()
    assert predictions.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-6)
    assert len(pd.read_csv(tiny_bundle / "history.csv")) == 1
    assert "/" not in json.dumps(card["command"])


def test_mirrored_copies_count_once_in_the_figures(tiny_bundle):
    predictions = pd.read_csv(tiny_bundle / "predictions.csv")
    assert not predictions.duplicated(["split", "group"]).any()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", "test", "glioma"), ("a", "test", "notumor"), ("a", "train", "glioma")], [True, True, False]),
        ([("a", "test", "tumor"), ("a", "test", "tumor"), ("a", "", "notumor")], [False, False, False]),
        ([("a", "test", "glioma"), ("a", "test", "notumor"), ("b", "test", "tumor")], [True, True, False]),
    ],
)
def test_a_published_test_part_needs_more_than_one_label(rows, expected):
    index = pd.DataFrame(rows, columns=["dataset", "published_split", "label"])
    assert published_test(index).tolist() == expected


@pytest.mark.parametrize(
    ("column", "changed"), [("label", "glioma"), ("group", "g9"), ("path", "z.png"), ("split", "test")]
)
def test_the_digest_notices_other_data_but_not_another_order(column, changed):
    index = pd.DataFrame(
        {
            "path": ["a.png", "b.png"],
            "dataset": "x",
            "published_split": "",
            "label": "notumor",
            "picture": ["p1", "p2"],
            "group": ["g1", "g2"],
            "split": "train",
        }
    )
    assert index_digest(index) == index_digest(index[::-1])
    other = index.copy()
    other.loc[1, column] = changed
    assert index_digest(other) != index_digest(index)
