import zipfile

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from braintumor.decision import Typicality

MIXING = np.random.default_rng(0).normal(0.0, 1.0, (3, 20)) * np.geomspace(0.5, 50, 20)


def scans(rows, seed):
    """Twenty features of very different range that follow three causes, and hardly anything else."""
    random = np.random.default_rng(seed)
    own = 0.05 * np.geomspace(0.5, 50, 20) * random.normal(size=(rows, 20))
    return 2.0 + random.normal(size=(rows, 3)) @ MIXING + own


def typical(fitted, features):
    return fitted.distance(features) <= fitted.limit


@pytest.fixture(scope="module")
def fitted():
    return Typicality.fit(scans(800, 1), components=3).with_limit(scans(400, 2))


def test_distance_without_residual_is_the_mahalanobis_distance():
    rows = scans(500, 3)
    found = Typicality.fit(rows, components=20).distance(rows[:9])
    away = rows[:9] - rows.mean(axis=0)
    squared = np.einsum("ni,ij,nj->n", away, np.linalg.inv(np.cov(rows.T)), away)
    assert found == pytest.approx(np.sqrt(squared / 20 / 2), rel=1e-3)


def test_usual_distance_is_about_1(fitted):
    assert np.sqrt((fitted.distance(scans(800, 1)) ** 2).mean()) == pytest.approx(1, abs=0.02)


def test_most_new_scans_are_typical_and_others_are_not(fitted):
    assert typical(fitted, scans(2000, 4)).mean() == pytest.approx(0.99, abs=0.01)
    far_inside = 2.0 + 6 * MIXING[:1]
    far_outside = np.full((1, 20), 2.0) + np.array([1.5, *[0] * 19])
    assert not typical(fitted, far_inside).any()
    assert not typical(fitted, far_outside).any()


def test_limit_covers_the_asked_share(fitted):
    rows = scans(101, 5)
    for share in (0.5, 0.9, 1.0):
        assert typical(fitted.with_limit(rows, share), rows).mean() >= share
    assert typical(fitted.with_limit(rows, 0.5), rows).mean() < 0.53


def test_values_that_are_not_finite_are_never_typical(fitted):
    rows = scans(3, 6)
    rows[0, 0], rows[1, 1] = np.nan, np.inf
    assert fitted.distance(rows)[:2].tolist() == [np.inf, np.inf]
    assert typical(fitted, rows).tolist()[:2] == [False, False]


def test_fewer_rows_than_directions_still_fit():
    rows = scans(6, 7)
    model = Typicality.fit(rows, components=64)
    assert model.axes.shape == (5, 20)
    assert np.isfinite(model.distance(scans(50, 8))).all()
    assert model.distance(scans(50, 8)).min() > model.limit


def test_saved_and_loaded_is_the_same(fitted, tmp_path):
    path = tmp_path / "typicality.npz"
    fitted.save(path)
    again = Typicality.load(path)
    assert np.array_equal(again.distance(scans(20, 9)), fitted.distance(scans(20, 9)))
    assert (again.limit, again.quantile) == (fitted.limit, fitted.quantile)


def test_foreign_files_are_refused(tmp_path):
    pickled, other, text = tmp_path / "a.npz", tmp_path / "b.npz", tmp_path / "c.npz"
    np.savez(pickled, mean=np.array([{"not": "numbers"}], dtype=object))
    np.savez(other, something=np.zeros(3))
    text.write_text("hello")
    for path in (pickled, other, text):
        with pytest.raises(ValueError, match=r"."):
            Typicality.load(path)
    assert zipfile.is_zipfile(other)


@pytest.mark.parametrize(
    ("features", "options", "words"),
    [
        (np.zeros((1, 3)), {}, "two rows"),
        (np.zeros(5), {}, "two rows"),
        (np.ones((9, 3)), {}, "do not vary"),
        (np.array([[0, np.nan], [1, 2]]), {}, "not finite"),
        (np.eye(3), {"components": 0}, "components"),
        (np.eye(3), {"quantile": 0}, "quantile"),
        (np.eye(3), {"power": 0}, "power"),
    ],
)
def test_unusable_fits_are_refused(features, options, words):
    with pytest.raises(ValueError, match=words):
        Typicality.fit(features, **options)


def test_another_number_of_features_is_refused(fitted):
    with pytest.raises(ValueError, match="20"):
        fitted.distance(np.zeros((2, 19)))


def test_limit_needs_features(fitted):
    with pytest.raises(ValueError, match="no features"):
        fitted.with_limit(np.zeros((0, 20)))


def test_a_power_evens_out_long_tails_and_keeps_signs():
    rows = scans(400, 10)
    plain, raised = Typicality.fit(np.sign(rows) * np.sqrt(np.abs(rows))), Typicality.fit(rows, power=0.5)
    assert raised.distance(rows) == pytest.approx(plain.distance(np.sign(rows) * np.sqrt(np.abs(rows))))
    assert raised.distance(-rows[:1]) != pytest.approx(raised.distance(rows[:1]))


OTHERS = np.random.default_rng(9).normal(4.0, 1.0, (300, 20))


@pytest.fixture(scope="module")
def told(fitted):
    return fitted.told_from(OTHERS, scans(400, 6), ["a"] * 300 + ["b"] * 100)


def test_other_pictures_are_told_from_scans_by_their_log_odds(told):
    odds = [told.foreign_odds(rows) for rows in (scans(200, 7), np.random.default_rng(10).normal(4.0, 1.0, (200, 20)))]
    assert roc_auc_score(np.repeat([0, 1], 200), np.concatenate(odds)) > 0.9


def test_each_source_counts_alike_however_many_scans_it_gave(fitted):
    rows, few = scans(400, 6), scans(20, 8) + 5
    once = fitted.told_from(OTHERS, np.concatenate([rows, few]), ["a"] * 400 + ["b"] * 20)
    often = fitted.told_from(OTHERS, np.concatenate([rows, *[few] * 5]), ["a"] * 400 + ["b"] * 100)
    # The number of rows scales only the penalty.
    np.testing.assert_allclose(often.foreign_odds(rows), once.foreign_odds(rows), atol=0.25)


@pytest.mark.parametrize(("odds", "far"), [(0.5, 2.0), (-1.0, 1.5)])
def test_the_limit_is_where_either_margin_is_reached(told, odds, far):
    rows = np.concatenate([scans(200, 7), OTHERS])
    limited = told.with_margins(odds, far)
    assert limited.limit == 1
    beyond = (told.foreign_odds(rows) > odds) | (told.from_scans(rows) > far)
    np.testing.assert_array_equal(~typical(limited, rows), beyond)


def test_what_tells_from_others_is_kept_on_disk_and_not_needed_there(told, fitted, tmp_path):
    limited = told.with_margins(0.5, 2.0)
    limited.save(tmp_path / "new.npz")
    np.testing.assert_allclose(
        Typicality.load(tmp_path / "new.npz").distance(OTHERS), limited.distance(OTHERS), rtol=1e-5
    )


def test_values_that_are_not_finite_stay_beyond_all_limits(told):
    rows = scans(2, 6)
    rows[0, 0] = np.nan
    assert told.with_margins(0.5, 2.0).distance(rows)[0] == np.inf
