from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from braintumor.datasets import HOSPITAL_TEST, HOSPITAL_VALIDATION, Hospitals, Roles, assign_splits, hold_out


def _index(groups, seed=0):
    random = np.random.default_rng(seed)
    count = len(groups)
    return pd.DataFrame(
        {
            "group": [f"g{group}" for group in groups],
            "dataset": random.choice(["a", "b"], count),
            "label": random.choice(["glioma", "notumor"], count),
        }
    )


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 60), min_size=60, max_size=200),
    st.integers(2, 5),
    st.integers(0, 2**32 - 1),
    st.data(),
)
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_no_group_is_on_two_sides(groups, folds, seed, data):
    index = _index(groups, seed)
    assume(index["group"].nunique() >= 2 * folds)
    assume((index["dataset"] + index["label"]).value_counts().min() >= 2 * folds)
    splits = assign_splits(index, folds=folds, fold=data.draw(st.integers(0, folds - 1)), seed=seed)
    assert splits.index.equals(index.index)
    assert set(splits) <= {"train", "validation", "test"}
    assert splits.groupby(index["group"]).nunique().max() == 1


def test_same_seed_gives_the_same_split_and_another_seed_another():
    index = _index(range(200))
    first = assign_splits(index, seed=3)
    pd.testing.assert_series_equal(first, assign_splits(index, seed=3))
    assert (first != assign_splits(index, seed=4)).any()


@pytest.mark.parametrize(("folds", "test", "validation"), [(5, 0.2, 0.1), (4, 0.25, 0.125), (2, 0.5, 0.25)])
def test_parts_have_their_sizes(folds, test, validation):
    shares = assign_splits(_index(range(400)), folds=folds).value_counts(normalize=True)
    assert shares["test"] == pytest.approx(test, abs=0.02)
    assert shares["validation"] == pytest.approx(validation, abs=0.02)


def test_each_row_is_tested_in_one_fold_only():
    index = _index([number // 3 for number in range(300)])
    tested = sum((assign_splits(index, fold=fold, seed=1) == "test").astype(int) for fold in range(5))
    assert (tested == 1).all()


def test_every_part_holds_datasets_and_labels_alike():
    index = pd.DataFrame(
        {
            "group": [f"g{number}" for number in range(600)],
            "dataset": ["a", "b", "b"] * 200,
            "label": ["glioma"] * 150 + ["notumor"] * 450,
        }
    )
    whole = (index["dataset"] + index["label"]).value_counts(normalize=True)
    splits = assign_splits(index)
    for part in ("train", "validation", "test"):
        rows = index[splits == part]
        shares = (rows["dataset"] + rows["label"]).value_counts(normalize=True)
        np.testing.assert_allclose(shares[whole.index], whole, atol=0.03)


def test_rows_keep_their_own_names():
    index = _index(range(100)).set_index(pd.Index([f"row-{number}" for number in range(100)]))
    shuffled = index.iloc[::-1]
    assert assign_splits(shuffled).index.equals(shuffled.index)


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        (range(100), {"fold": 5}, "fold is 5; it must be from 0 to 4"),
        (range(100), {"fold": -1}, "fold is -1; it must be from 0 to 4"),
        (range(100), {"folds": 3, "fold": 3}, "fold is 3; it must be from 0 to 2"),
        (range(9), {}, "the data has 9 groups, too few for 5 folds"),
        ([1] * 50, {}, "the data has 1 groups, too few for 5 folds"),
        ([], {}, "the data has 0 groups, too few for 5 folds"),
    ],
)
def test_split_that_cannot_be_made_is_refused(groups, options, message):
    with pytest.raises(ValueError, match=message):
        assign_splits(_index(list(groups)), **options)


HOSPITALS = pd.DataFrame(
    {"hospital": ["a", "a", "b", "b", "c", "c"], "group": ["g1", "g2", "g2", "g3", "g4", "g5"]},
)
FOLDS = pd.Series(["train", "test", "test", "validation", "train", "train"])


@pytest.mark.parametrize(
    ("hospitals", "expected"),
    [
        (Hospitals(), list(FOLDS)),
        (Hospitals(test=("c",)), [*FOLDS[:4], HOSPITAL_TEST, HOSPITAL_TEST]),
        # A copy of what is held out, elsewhere, is in no split.
        (Hospitals(test=("a",)), [HOSPITAL_TEST, HOSPITAL_TEST, "", *FOLDS[3:]]),
        (
            Hospitals(validation=("b",), test=("c",)),
            ["train", "", HOSPITAL_VALIDATION, HOSPITAL_VALIDATION, HOSPITAL_TEST, HOSPITAL_TEST],
        ),
    ],
)
def test_hospitals_are_held_out_whole(hospitals, expected):
    assert list(hold_out(HOSPITALS, FOLDS, hospitals)) == expected


@pytest.mark.parametrize(
    ("hospitals", "message"),
    [
        (Hospitals(test=("d",)), "no hospital 'd'; there are a, b, c"),
        (Hospitals(validation=("a",), test=("a",)), "named twice"),
    ],
)
def test_hospitals_that_cannot_be_held_out_are_refused(hospitals, message):
    with pytest.raises(ValueError, match=message):
        hold_out(HOSPITALS, FOLDS, hospitals)


def published(rows=200, dataset="a"):
    """A set that was published in two parts, with two pictures a group."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "path": [f"{dataset}{number}.png" for number in range(rows)],
            "dataset": dataset,
            "published_split": random.choice(["train", "test"], rows, p=[0.8, 0.2]),
            "label": random.choice(["glioma", "notumor"], rows),
            "group": [f"g{number // 2}" for number in range(rows)],
        }
    )


def test_published_rows_keep_their_side_and_a_tenth_is_for_validation():
    roles = Roles(train_on=("a",), as_published=True)
    index = roles.chosen(pd.concat([published(), published(dataset="b")], ignore_index=True))
    assert set(index["dataset"]) == {"a"}
    split = roles.assign(index)
    assert (split[index["published_split"] == "test"] == "test").all()
    train = split[index["published_split"] == "train"]
    assert (train == "validation").sum() == round(0.1 * len(train))
    assert set(train) == {"train", "validation"}
    assert split.equals(roles.assign(index))


@pytest.mark.parametrize("as_published", [True, False])
def test_another_set_is_tested_on_with_and_without_what_both_share(as_published):
    index = pd.concat([published(), published(50, "b")], ignore_index=True)
    roles = Roles(("a",), ("b",), as_published)
    assert roles.name == "a-to-b" + "-published" * as_published
    assert Roles.of(asdict(roles)) == roles
    split = roles.assign(roles.chosen(index))
    assert (split[index["dataset"] == "b"] == "test").all()
    shared = (index["dataset"] == "a") & index["group"].isin(index.loc[index["dataset"] == "b", "group"])
    assert set(split[shared]) == ({"train", "validation"} if as_published else {""})
    parts = split[split != ""].groupby(index["group"]).nunique()
    # Leak-free, groups are kept together in validation too.
    assert (parts.max() == 1) == (not as_published)


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        (Roles(("c",)), "no dataset 'c'; there are a"),
        (Roles((), ("c",)), "no dataset 'c'"),
        (Roles(("a",), ("a",)), "both to train on and to test on"),
        (Roles((), ("a",)), "no pictures to train on"),
    ],
)
def test_datasets_that_cannot_be_are_refused(roles, words):
    with pytest.raises(ValueError, match=words):
        roles.assign(roles.chosen(published()))


def test_a_set_that_was_published_in_one_part_has_none_to_test_on():
    with pytest.raises(ValueError, match="no pictures to test on"):
        Roles(as_published=True).assign(published().assign(published_split="train"))
