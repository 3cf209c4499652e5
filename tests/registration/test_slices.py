import numpy as np
import pytest

from braintumor.registration import moved, slice_through
from tests.registration.made_heads import ball, head, motion, scan

THICK, THIN = (5.0, 1.0, 1.0), (2.0, 1.3, 1.3)


def test_a_slice_shows_the_same_place_of_a_head_that_moved():
    true = motion([8, -5, 6], [7, -9, 6])
    marked = np.where(ball((20, -15, 10), (12, 12, 12)), 1000, head()).astype(np.float32)
    now, before = scan(marked, THICK), scan(marked, THIN, true)
    middle = moved(np.linalg.inv(now.affine), np.array([[20.0, -15.0, 10.0]]))[0]
    number = round(middle[0])
    cut = slice_through(before.pixels, before.affine, true, now.affine, number, now.pixels.shape[1:])
    assert np.corrcoef(cut.ravel(), now.pixels[number].ravel())[0, 1] > 0.97
    bright = np.argwhere(cut > 900).mean(axis=0)
    np.testing.assert_allclose(bright, np.argwhere(now.pixels[number] > 900).mean(axis=0), atol=1)


@pytest.mark.parametrize("order", [0, 1])
def test_a_volume_cut_where_it_lies_is_its_own_slice(order):
    pixels = np.random.default_rng(0).normal(size=(4, 6, 5)).astype(np.float32)
    affine = np.diag([3.0, 1.0, 2.0, 1.0])
    cut = slice_through(pixels, affine, np.eye(4), affine, 2, (6, 5), order)
    np.testing.assert_allclose(cut, pixels[2], rtol=1e-6)
    assert not slice_through(pixels, affine, np.eye(4), affine, 9, (6, 5), order).any()
