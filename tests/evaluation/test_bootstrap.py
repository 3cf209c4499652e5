import numpy as np
import pytest

from braintumor.evaluation.bootstrap import GroupBootstrap, interval


def test_first_row_is_the_sample_and_each_draw_takes_as_many_groups_as_there_are():
    bootstrap = GroupBootstrap(["a", "a", "b", "c"], resamples=50)
    assert bootstrap.count == 3
    assert bootstrap.groups_among(np.array([True, True, False, True])) == 2
    totals = bootstrap.totals(np.array([[1.0, 0.5], [2.0, 0.5], [4.0, 1.0], [8.0, 1.0]]))
    assert totals.shape == (51, 2)
    assert totals[0].tolist() == [15.0, 3.0]
    # Column 1 counts groups: whole groups are drawn, three each time.
    assert totals[:, 1] == pytest.approx(3.0)


def test_rows_of_a_group_always_share_one_weight():
    bootstrap = GroupBootstrap(["a", "b", "a", "b"], resamples=20)
    weights = np.concatenate(list(bootstrap.row_weights(np.arange(4))))
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert np.array_equal(weights[:, 1], weights[:, 3])
    assert len(np.unique(weights[1:, 0])) > 1


def test_copies_of_a_row_do_not_narrow_the_interval():
    hits = np.random.default_rng(1).random(60) < 0.7

    def width(copies, grouped):
        values = np.repeat(hits, copies).astype(float)
        groups = np.repeat(np.arange(60), copies) if grouped else np.arange(60 * copies)
        totals = GroupBootstrap(groups, 500).totals(np.column_stack([values, np.ones_like(values)]))
        found = interval(totals[:, 0] / totals[:, 1])
        return found["high"] - found["low"]

    assert width(9, grouped=True) == pytest.approx(width(1, grouped=True), rel=0.2)
    assert width(9, grouped=False) < 0.5 * width(9, grouped=True)


def test_same_seed_same_draws():
    values = np.arange(5.0)[:, None]
    first, again, other = (GroupBootstrap(list("abcde"), 30, seed).totals(values) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_interval_is_the_percentiles_of_the_draws():
    found = interval(np.concatenate([[0.5], np.linspace(0, 1, 1001)]))
    assert found == {"value": 0.5, "low": pytest.approx(0.025), "high": pytest.approx(0.975)}


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([np.nan, 1.0, 1.0], {"value": None, "low": None, "high": None}),
        ([0.25], {"value": 0.25, "low": None, "high": None}),
        ([0.25, np.nan, np.nan], {"value": 0.25, "low": None, "high": None}),
        ([0.25, np.nan, 0.0, 1.0], {"value": 0.25, "low": 0.025, "high": 0.975}),
    ],
)
def test_undefined_draws_are_left_out(samples, expected):
    assert interval(np.array(samples)) == pytest.approx(expected, nan_ok=True)


def test_negative_number_of_draws_is_refused():
    with pytest.raises(ValueError, match="-1"):
        GroupBootstrap(["a"], resamples=-1)
