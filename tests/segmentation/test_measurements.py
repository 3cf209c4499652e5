import time
import warnings
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial.distance import pdist

from braintumor.scans import phantom, prepare
from braintumor.segmentation import Measurements, bidirectional_diameters, head_mask, measure


def boxes(shape, *cuts):
    """A mask with cuts of slices, rows and columns, each (start, stop), set."""
    mask = np.zeros(shape, bool)
    for cut in cuts:
        mask[tuple(slice(*ends) for ends in cut)] = True
    return mask


def disk(size, center, radius):
    y, x = np.mgrid[:size, :size]
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2


def test_a_volume_by_hand():
    mask = boxes((4, 30, 40), [(1, 2), (10, 13), (20, 24)], [(2, 3), (10, 12), (20, 30)])
    head = boxes((4, 30, 40), [(0, 4), (0, 20), (0, 40)])
    assert measure(mask, head, (5.0, 1.0, 0.5)) == Measurements(
        lesions=1,
        slice_number=2,
        area_mm2=pytest.approx(20 * 0.5),
        head_share=pytest.approx(20 / 800),
        largest_diameter_mm=pytest.approx(np.hypot(2, 5)),
        largest_diameter_head=pytest.approx(np.hypot(2, 5) / np.hypot(20, 20)),
        volume_ml=pytest.approx((12 + 20) * 2.5 / 1000),
    )


def test_the_longest_diameter_may_lie_in_another_slice_than_the_largest_area():
    mask = boxes((3, 50, 50), [(0, 1), (10, 20), (10, 20)], [(2, 3), (5, 6), (0, 40)])
    head = boxes((3, 50, 50), [(0, 1), (0, 40), (0, 30)], [(2, 3), (0, 30), (0, 50)])
    found = measure(mask, head, (1.0, 1.0, 1.0))
    assert (found.slice_number, found.area_mm2, found.head_share) == (0, 100, pytest.approx(100 / 1200))
    assert found.largest_diameter_mm == pytest.approx(np.hypot(1, 40))
    assert found.largest_diameter_head == pytest.approx(np.hypot(1, 40) / np.hypot(30, 50))


@pytest.mark.parametrize(
    ("region", "spacing", "expected"),
    [
        (boxes((1, 9, 9), [(0, 1), (4, 5), (4, 5)]), (1, 1), 2**0.5),
        (boxes((1, 9, 9), [(0, 1), (0, 9), (4, 5)]), (1, 1), 82**0.5),
        (boxes((1, 9, 9), [(0, 1), (4, 5), (1, 4)]), (2, 0.5), 6.25**0.5),
        (np.eye(9, dtype=bool)[np.newaxis], (1, 1), 162**0.5),
        (boxes((1, 9, 9), [(0, 1), (0, 3), (0, 3)], [(0, 1), (4, 9), (4, 9)]), (1, 1), 50**0.5),
        (boxes((1, 9, 9), [(0, 1), (0, 9), (0, 1)], [(0, 1), (8, 9), (0, 9)]), (1, 1), 162**0.5),
        (
            boxes((1, 30, 30), [(0, 1), (5, 6), (0, 11)], [(0, 1), (0, 11), (5, 6)], [(0, 1), (20, 30), (20, 30)]),
            (1, 1),
            200**0.5,
        ),
    ],
    ids=["one pixel", "a line", "uneven pixels", "a diagonal", "the longer of two", "an L", "a cross in a larger box"],
)
def test_longest_diameter_by_hand(region, spacing, expected):
    assert measure(region, None, (1.0, *spacing)).largest_diameter_mm == pytest.approx(expected)


@pytest.mark.parametrize("radius", [10, 25, 47])
def test_diameter_and_area_of_a_disk(radius):
    found = measure(disk(100, (50, 50), radius)[np.newaxis], None, (3.0, 0.5, 0.5))
    assert found.largest_diameter_mm == pytest.approx(radius, abs=0.8)
    assert found.area_mm2 == pytest.approx(np.pi * (radius / 2) ** 2, rel=0.05)


def brute_diameter(mask, spacing):
    regions, count = ndimage.label(mask, np.ones((3, 3)))
    longest = 0.0
    for number in range(1, count + 1):
        pixels = np.argwhere(regions == number)
        corners = np.concatenate([pixels + corner for corner in ((0, 0), (0, 1), (1, 0), (1, 1))])
        longest = max(longest, pdist(corners * spacing).max())
    return longest


@given(
    hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 9), st.integers(1, 9))),
    st.sampled_from([0.25, 1.0, 3.0]),
    st.sampled_from([0.25, 1.0, 3.0]),
)
def test_longest_diameter_is_that_of_all_pairs_of_corners(mask, row, column):
    found = measure(mask, np.ones_like(mask), (1.0, row, column))
    expected = max(brute_diameter(each, (row, column)) for each in mask)
    assert found.largest_diameter_mm == pytest.approx(expected)
    whole = np.hypot(mask.shape[1] * row, mask.shape[2] * column)
    assert found.largest_diameter_head == pytest.approx(expected / whole)


@given(hnp.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 8), st.integers(1, 8))))
def test_turning_a_mask_over_changes_no_size(mask):
    spacing = (2.0, 0.5, 0.75)
    plain = measure(mask, None, spacing)
    flipped = measure(mask[:, ::-1, ::-1], None, spacing)
    turned = measure(mask.transpose(0, 2, 1), None, (2.0, 0.75, 0.5))
    assert astuple(flipped) == pytest.approx(astuple(plain))
    assert astuple(turned) == pytest.approx(astuple(plain))


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
@pytest.mark.parametrize("short", [20, 60, 79])
def test_bidirectional_diameters_of_an_ellipse_are_its_axes(angle, short):
    y, x = np.mgrid[-100:100, -100:100] * 0.5
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    mask = np.zeros((3, 200, 200), bool)
    mask[1] = (along / 40) ** 2 + (across / (short / 2)) ** 2 <= 1
    mask[1, :5, :5] = True
    assert bidirectional_diameters(mask, (4.0, 0.5, 0.5)) == pytest.approx((80, short), abs=1.5)


@given(hnp.arrays(bool, (2, 6, 7)))
def test_of_the_bidirectional_diameters_the_first_is_the_longest(mask):
    spacing = (3.0, 0.5, 0.8)
    found = bidirectional_diameters(mask, spacing)
    if not mask.any():
        assert found is None
    else:
        assert found[0] == measure(mask, None, spacing).largest_diameter_mm
        assert 0 < found[1] <= found[0] + 1e-9


@pytest.mark.parametrize(
    ("cuts", "shape", "lesions"),
    [
        ([[(0, 1), (1, 3), (1, 3)], [(0, 1), (3, 5), (3, 5)]], (1, 8, 8), 1),
        ([[(0, 1), (1, 3), (1, 3)], [(0, 1), (4, 5), (3, 5)]], (1, 8, 8), 2),
        ([[(0, 1), (1, 3), (1, 3)], [(1, 2), (3, 5), (3, 5)]], (2, 8, 8), 1),
        ([[(0, 1), (1, 3), (1, 3)], [(2, 3), (1, 3), (1, 3)]], (3, 8, 8), 2),
    ],
    ids=["corner in a slice", "apart in a slice", "corner across slices", "a slice between"],
)
def test_lesions_join_at_their_corners(cuts, shape, lesions):
    assert measure(boxes(shape, *cuts)).lesions == lesions


@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("with_head", [False, True])
@pytest.mark.parametrize("spacing", [None, (4.0, 0.5, 0.5)])
def test_what_cannot_be_known_is_none(slices, with_head, spacing):
    mask = boxes((slices, 20, 20), [(0, 1), (5, 9), (5, 9)])
    found = measure(mask, np.ones_like(mask) if with_head else None, spacing)
    assert (found.area_mm2 is None) == (spacing is None)
    assert (found.largest_diameter_mm is None) == (spacing is None)
    assert (found.volume_ml is None) == (spacing is None or slices == 1)
    assert (found.head_share is None) == (not with_head)
    assert (found.largest_diameter_head is None) == (not with_head)


def test_a_head_that_is_nowhere_gives_no_shares():
    mask = boxes((2, 20, 20), [(1, 2), (5, 9), (5, 9)])
    found = measure(mask, boxes(mask.shape, [(0, 1), (0, 9), (0, 9)]))
    assert (found.head_share, found.largest_diameter_head) == (None, None)


def test_diameters_as_shares_of_the_head_know_uneven_pixels():
    mask = boxes((1, 40, 40), [(0, 1), (10, 20), (10, 11)])
    head = boxes((1, 40, 40), [(0, 1), (0, 40), (0, 40)])
    plain, uneven = measure(mask, head), measure(mask, head, (1.0, 3.0, 1.0))
    assert plain.largest_diameter_head == pytest.approx(np.hypot(10, 1) / np.hypot(40, 40))
    assert uneven.largest_diameter_head == pytest.approx(np.hypot(30, 1) / np.hypot(120, 40))


def test_an_empty_mask_measures_nothing():
    mask = np.zeros((3, 9, 9), bool)
    assert measure(mask, ~mask, (1.0, 1.0, 1.0)) == Measurements(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert measure(mask) == Measurements(0, 0, None, None, None, None, None)


@pytest.mark.parametrize(
    ("mask", "head", "spacing", "words"),
    [
        (np.ones((4, 4), bool), None, None, "slices, height, width"),
        (np.ones((0, 4, 4), bool), None, None, "slices, height, width"),
        (np.ones((1, 4, 4), bool), np.ones((4, 4), bool), None, "head"),
        (np.ones((1, 4, 4), bool), None, (1.0, 0.0, 1.0), "spacing"),
        (np.ones((1, 4, 4), bool), None, (1.0, 1.0, float("nan")), "spacing"),
    ],
)
def test_what_does_not_fit_is_refused(mask, head, spacing, words):
    with pytest.raises(ValueError, match=words):
        measure(mask, head, spacing)


def test_a_large_and_a_noisy_volume_take_seconds():
    noise = np.random.default_rng(0).random((100, 240, 240)) < 0.05
    large = boxes((200, 512, 512), [(50, 110), (100, 200), (100, 200)])
    started = time.process_time()
    measure(noise, None, (1.0, 1.0, 1.0))
    measure(large, None, (1.0, 1.0, 1.0))
    assert time.process_time() - started < 8


@pytest.mark.parametrize("size", [64, 200, 512])
def test_head_of_an_ellipse_is_the_ellipse(size):
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    ellipse = (x / 0.6) ** 2 + (y / 0.8) ** 2 <= 1
    noise = np.abs(np.random.default_rng(0).normal(0, 3, (size, size)))
    found = head_mask((np.where(ellipse, 120, 0) + noise).astype(np.float32))
    assert found.dtype == bool
    assert (found != ellipse).sum() <= 0.005 * ellipse.sum()


@pytest.mark.parametrize("size", [100, 256, 400])
def test_head_has_no_holes_and_fills_the_prepared_square(size):
    picture = phantom(size).astype(np.float32)
    found, prepared = head_mask(picture), prepare(picture, 64)
    rows, columns = np.nonzero(found)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    assert ndimage.label(found)[1] == 1
    assert ndimage.label(~np.pad(found, 1))[1] == 1
    assert prepared.top <= rows.min()
    assert rows.max() < prepared.top + prepared.side
    assert prepared.left <= columns.min()
    assert columns.max() < prepared.left + prepared.side
    assert 0.88 * prepared.side <= extent <= prepared.side


@pytest.mark.parametrize(("brain", "gap"), [(200, 16), (50, 4)])
def test_brain_and_scalp_are_one_head_across_an_open_skull(brain, gap):
    size = 512
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(y - 256, x - 256)
    scalp = (distance > 208) & (distance < 216) & ~((x > 240) & (x <= 240 + gap))
    picture = np.where(distance < brain, 90, 0) + np.where(scalp, 200, 0)
    assert head_mask(picture.astype(np.float32)).sum() == pytest.approx(np.pi * 216**2, rel=0.02)


@pytest.mark.parametrize(
    ("hole", "missing"),
    [
        (disk(400, (200, 200), 60) | boxes((1, 400, 400), [(0, 1), (199, 200), (0, 200)])[0], 8),
        (boxes((1, 400, 400), [(0, 1), (200, 202), (52, 54)])[0], 0),
        (disk(400, (250, 180), 20), 0),
    ],
    ids=["with a slit to the outside", "at the rim", "inside"],
)
def test_what_is_dark_in_the_head_belongs_to_it(hole, missing):
    whole = disk(400, (200, 200), 150)
    found = head_mask(np.where(whole & ~hole, 150, 0).astype(np.float32))
    assert (found != whole).sum() <= missing


def test_a_bright_frame_around_the_picture_is_no_head():
    picture = np.where(disk(300, (150, 150), 100), 150, 0)
    framed = np.pad(picture, 2, constant_values=255).astype(np.float32)
    np.testing.assert_array_equal(head_mask(framed)[2:-2, 2:-2], disk(300, (150, 150), 100))


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_in_the_air_hardly_enlarges_the_head(seed):
    random, whole = np.random.default_rng(seed), disk(300, (150, 150), 100)
    parts = random.normal(0, 8, (2, 300, 300))
    found = head_mask(np.hypot(whole * 120 + parts[0], parts[1]).astype(np.float32))
    assert found.sum() == pytest.approx(whole.sum(), rel=0.01)


def test_a_label_beside_the_head_is_no_part_of_it():
    picture = np.where(disk(300, (150, 150), 100), 150, 0).astype(np.float32)
    marked = picture.copy()
    marked[5:20, 5:60] = 255
    np.testing.assert_array_equal(head_mask(marked), head_mask(picture))


@pytest.mark.parametrize("scale", [1e-6, 3.0, 1e30])
@pytest.mark.parametrize("offset", [0.0, -1.0])
def test_gray_range_does_not_matter_to_the_head(scale, offset):
    picture = phantom(150).astype(np.float32)
    other = ((picture + 255 * offset) * scale).astype(np.float32)
    assert (head_mask(other) != head_mask(picture)).mean() < 0.001


@pytest.mark.parametrize(
    "picture",
    [
        *(np.full((40, 300), value, np.float32) for value in (0.0, 0.1, -1000.0, 1e-40, 3e38)),
        np.pad(np.full((4, 4), 200, np.float32), 60),
    ],
    ids=["zero", "a tenth", "below zero", "tiny", "huge", "speck"],
)
def test_there_is_no_head_on_a_blank_slice(picture):
    found = head_mask(picture)
    assert found.shape == picture.shape
    assert not found.any()


LIMIT = np.finfo(np.float32).max
VALUES = st.one_of(st.floats(-1000, 3000, width=32), st.floats(allow_nan=False, allow_infinity=False, width=32))


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=VALUES, fill=VALUES),
    st.sampled_from([1, 17]),
)
@example(np.tile(np.array([[-LIMIT, LIMIT]], np.float32), (20, 10)), 1)
@example(np.eye(30, dtype=np.float32) * LIMIT, 17)
@example(np.repeat(np.array([[-LIMIT], [LIMIT]], np.float32), 30, axis=1), 17)
def test_any_finite_slice_has_one_head_or_none_without_a_warning(pixels, repeats):
    pixels = np.repeat(pixels, repeats, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = head_mask(pixels)
    assert found.shape == pixels.shape
    assert ndimage.label(found)[1] <= 1
