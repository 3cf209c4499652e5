import numpy as np
import pytest

from braintumor.scans import phantom, prepare


@pytest.mark.parametrize("size", [16, 64, 200, 256])
def test_phantom_has_the_size_asked_for(size):
    picture = phantom(size)
    assert picture.shape == (size, size)
    assert picture.dtype == np.uint8


def test_same_seed_draws_the_same_head_and_another_seed_another():
    np.testing.assert_array_equal(phantom(96, seed=5), phantom(96, seed=5))
    assert (phantom(96, seed=5) != phantom(96, seed=6)).mean() > 0.2


def test_tumor_changes_its_own_place_only():
    difference = phantom(200, tumor=True).astype(int) - phantom(200, tumor=False)
    rows, columns = np.nonzero(np.abs(difference) > 20)
    assert 500 < len(rows) < 4000
    # The mass is centered at x 0.30, y 0.30 of a field from -1 to 1, y upward.
    assert abs(rows.mean() - 0.35 * 199) < 4
    assert abs(columns.mean() - 0.65 * 199) < 4
    assert difference[rows, columns].mean() > 40


def test_background_is_dark_and_scalp_is_bright():
    picture = phantom(200)
    assert picture[:6].max() < 20
    assert picture[:, 100].max() > 180


def test_phantom_is_found_as_a_head():
    prepared = prepare(phantom(200).astype(np.float32), 64)
    assert 170 < prepared.side < 205
    assert prepared.image.max() > 220
