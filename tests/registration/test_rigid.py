import time

import numpy as np
import pytest

from braintumor.registration import Volume, align, moved
from braintumor.registration.features import pyramid
from tests.registration.made_heads import any_motion, ball, head, head_points, mesh, motion, scan

FINE, THIN, THICK, COARSE = (1.0, 0.9, 0.9), (1.5, 1.2, 1.2), (5.0, 0.8, 0.8), (6.0, 1.0, 1.1)
MOST_MM = 1.5


def errors(found, true, random):
    points = head_points(random)
    return np.linalg.norm(found.apply(points) - moved(true, points), axis=1)


@pytest.mark.parametrize(
    ("degrees", "millimeters", "before", "now", "noise"),
    [
        (15, 15, FINE, FINE, 40),
        (15, 15, THIN, THICK, 40),
        (15, 15, THICK, COARSE, 60),
        (8, 15, COARSE, THICK, 0),
        (15, 0, THICK, THIN, 100),
        (0, 0, THICK, COARSE, 40),
    ],
)
def test_no_point_of_the_head_is_off_by_more_than_the_error_allowed(degrees, millimeters, before, now, noise):
    random = np.random.default_rng([int(degrees), int(millimeters), int(noise)])
    true = any_motion(random, degrees, millimeters)
    found = align(scan(head(), now, None, noise, random), scan(head(), before, true, noise, random))
    assert errors(found, true, random).max() <= MOST_MM
    assert found.is_trusted


def test_a_tumor_that_grew_and_another_shading_mislead_it_not():
    random = np.random.default_rng(5)
    true = motion([9, -7, 5], [8, -6, 10])
    small, large = head().copy(), head().copy()
    small[ball((25, 20, 15), (9, 9, 9))] = 1000
    large[ball((25, 20, 15), (24, 22, 20))] = 1000
    large *= 1.6 + 0.006 * mesh()[1]
    found = align(scan(large, THIN, None, 40, random), scan(small, THICK, true, 40, random))
    assert errors(found, true, random).max() <= MOST_MM
    assert found.is_trusted


def test_a_scan_of_a_part_of_the_head_is_laid_on_the_whole():
    random = np.random.default_rng(6)
    true = motion([6, 4, -8], [4, 12, -6])
    part = scan(head(), THICK, true, 40, random, reach=(110.0, 190.0, 190.0))
    found = align(scan(head(), THIN, None, 40, random), part)
    assert errors(found, true, random).max() <= MOST_MM


def test_another_head_is_not_trusted():
    random = np.random.default_rng(7)
    assert not align(scan(head(), THIN, None, 40, random), scan(head(1), THICK, None, 40, random)).is_trusted


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((20, 30, 30), np.float32), "nothing"),
        (np.full((20, 30, 30), 7, np.int16), "nothing"),
        (scan(head(), COARSE).pixels[15:16], "thin"),
    ],
)
def test_what_shows_nothing_or_is_too_thin_is_refused(pixels, reason):
    with pytest.raises(ValueError, match=reason):
        align(Volume(pixels, np.diag([6.0, 1.0, 1.0, 1.0])), scan(head(), COARSE))


def test_large_volumes_take_bounded_time():
    random = np.random.default_rng(8)
    large = [
        scan(head(), (1.2, 0.9, 0.9), true, 40, random, (192.0, 230.5, 230.5))
        for true in (None, motion([3, 2, 1], [5, 5, 5]))
    ]
    assert large[0].pixels.shape == (160, 256, 256)
    began = time.process_time()
    align(*large)
    # A third of it on a machine with nothing else to do.
    assert time.process_time() - began <= 30


def test_the_grid_of_a_volume_without_end_is_bounded():
    pixels = np.zeros((40, 40, 400), np.int16)
    pixels[10:30, 10:30] = 100
    finest = pyramid(Volume(pixels, np.diag([5.0, 5.0, 5.0, 1.0])))[-1]
    assert finest.values.shape == (100, 100, 128)
