import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.datasets import DatasetError
from braintumor.errors import InputError
from braintumor.federated.sites import EVEN, NATURAL, NO_SITE, UNEVEN, Partition, divide, names_of

LABELS = ("glioma", "meningioma", "pituitary", "notumor")


def made_index(groups, seed=0, hospitals=("a", "b", "c"), copies=0.2):
    """Groups of one to six rows; a share of them has rows at several hospitals, as copied pictures have."""
    random = np.random.default_rng(seed)
    rows = []
    for group in range(groups):
        label, home = LABELS[random.integers(4)], hospitals[random.integers(len(hospitals))]
        split = random.choice(["train", "validation", "test"], p=[0.6, 0.2, 0.2])
        for _ in range(random.integers(1, 7)):
            hospital = hospitals[random.integers(len(hospitals))] if random.random() < copies else home
            rows.append({"group": f"g{group:03}", "label": label, "hospital": hospital, "split": split})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("kind", [NATURAL, EVEN, UNEVEN])
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), sites=st.integers(1, 3), alpha=st.floats(0.5, 10))
def test_nothing_leaks_between_sites_or_into_held_out_rows(kind, seed, sites, alpha):
    index = made_index(48, seed)
    divided = divide(index, Partition(kind, sites, alpha, seed))
    at_sites = divided[divided["site"] != NO_SITE]
    assert (at_sites.groupby("group")["site"].nunique() == 1).all()
    assert (divided.groupby("group")["split"].nunique() == 1).all() or kind == NATURAL
    assert (at_sites.groupby("group")["split"].nunique() == 1).all()
    assert not set(at_sites["group"]) & set(divided.loc[divided["split"] == "test", "group"])
    assert (divided.loc[index["split"] == "test", "site"] == NO_SITE).all()
    for _, own in at_sites.groupby("site"):
        assert set(own["split"]) == {"train", "validation"}
    if kind != NATURAL:
        assert len(names_of(divided)) == sites
        assert len(at_sites) == (index["split"] != "test").sum()
    else:
        assert (at_sites["site"] == at_sites["hospital"]).all()


def test_the_same_seed_divides_alike_and_another_one_does_not():
    index = made_index(60)
    first, again, other = (divide(index, Partition(EVEN, 3, seed=seed))["site"] for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def spread(divided):
    counts = divided[divided["site"] != NO_SITE].groupby(["label", "site"]).size().unstack(fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    return float((shares.max(axis=1) - shares.min(axis=1)).mean())


def test_even_sites_hold_equal_shares_of_each_label_and_uneven_ones_do_not():
    index = made_index(300)
    assert spread(divide(index, Partition(EVEN, 4))) < 0.03
    rough, strong = (spread(divide(index, Partition(UNEVEN, 4, alpha))) for alpha in (100.0, 0.3))
    assert 0.03 < rough < strong
    assert strong > 0.4


def test_a_copied_group_stays_at_the_smallest_hospital():
    rows = [("g1", "a"), ("g1", "a"), ("g1", "b"), ("g2", "a"), ("g3", "b"), ("g4", "a"), ("g5", "c")]
    index = pd.DataFrame(rows, columns=["group", "hospital"]).assign(label="glioma", split="train")
    divided = divide(index, Partition())
    # A hospital of one group cannot both train and validate.
    assert list(divided["site"]) == [NO_SITE, NO_SITE, "b", "a", "b", "a", NO_SITE]


def test_an_institution_sets_groups_aside_to_validate_on():
    index = made_index(80).assign(split="train")
    divided = divide(index, Partition())
    for _, own in divided[divided["site"] != NO_SITE].groupby("site"):
        assert 0.05 < (own.drop_duplicates("group")["split"] == "validation").mean() < 0.3


@pytest.mark.parametrize("changes", [{"kind": "odd"}, {"sites": 0}, {"alpha": 0.0}])
def test_what_is_no_partition_is_refused(changes):
    with pytest.raises(InputError):
        Partition(**changes)


@pytest.mark.parametrize("partition", [Partition(EVEN, 40), Partition(UNEVEN, 30, 0.05), Partition(NATURAL)])
def test_too_few_groups_are_refused(partition):
    with pytest.raises(DatasetError):
        divide(made_index(70 if partition.kind != NATURAL else 1), partition)
