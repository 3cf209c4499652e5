import zipfile

import numpy as np
import pytest

from braintumor.evaluation.typicality import Typicality

MIXING = np.random.default_rng(0).normal(0.0, 1.0, (3, 20)) * np.geomspace(0.5, 50, 20)


def scans(rows, seed):
    """Twenty features of very different range that follow three causes, and hardly anything else."""
    random = np.random.default_rng(seed)
    own = 0.05 * np.geomspace(0.5, 50, 20) * random.normal(size=(rows, 20))
    return 2.0 + random.normal(size=(rows, 3)) @ MIXING + own


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
    assert fitted.typical(scans(2000, 4)).mean() == pytest.approx(0.99, abs=0.01)
    far_inside = 2.0 + 6 * MIXING[:1]
    far_outside = np.full((1, 20), 2.0) + np.array([1.5, *[0] * 19])
    assert not fitted.typical(far_inside).any()
    assert not fitted.typical(far_outside).any()


def test_limit_covers_the_asked_share(fitted):
    rows = scans(101, 5)
    for share in (0.5, 0.9, 1.0):
        assert fitted.with_limit(rows, share).typical(rows).mean() >= share
    assert fitted.with_limit(rows, 0.5).typical(rows).mean() < 0.53


def test_values_that_are_not_finite_are_never_typical(fitted):
    rows = scans(3, 6)
    rows[0, 0], rows[1, 1] = np.nan, np.inf
    assert fitted.distance(rows)[:2].tolist() == [np.inf, np.inf]
    assert fitted.typical(rows).tolist()[:2] == [False, False]


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
