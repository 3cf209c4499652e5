import resource
import time
import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from braintumor.scans import (
    PREPROCESSING,
    Prepared,
    fill_holes,
    phantom,
    place_on_scan,
    prepare,
    prepare_outline,
    prepare_within,
    small_head,
    with_square_pixels,
)


def _head(height, width, center, radii, background=0.0, brightness=180.0):
    """Draw an ellipse of rising brightness; every value follows only from the arguments."""
    y, x = np.mgrid[:height, :width]
    inside = ((y - center[0]) / radii[0]) ** 2 + ((x - center[1]) / radii[1]) ** 2 <= 1
    shade = brightness * (0.6 + 0.4 * (x - center[1]) / radii[1] * (y - center[0]) / radii[0])
    return np.where(inside, shade, background).astype(np.float32)


def _soft_head(height, width, center, spread):
    y, x = np.mgrid[:height, :width]
    return (200 * np.exp(-(((y - center[0]) / spread) ** 2) - ((x - center[1]) / spread) ** 2)).astype(np.float32)


def _golden_pictures():
    return {
        "without an edge": _soft_head(110, 130, (60, 70), 22),
        "off center": _head(120, 160, (48, 100), (30, 24)),
        "wide, 16 bits": _head(90, 200, (45, 90), (40, 80), 900, 40_000),
        "phantom": phantom(100, seed=1).astype(np.float32),
    }


# A bundle holds the name of the preprocessing it was trained with. Whoever changes these numbers on purpose
# has to change that name too.
GOLDEN_NAME = "head-crop-1"
GOLDEN = {
    "without an edge": (
        (27, 37, 68),
        [
            [7, 18, 34, 45, 45, 32, 16, 6],
            [18, 43, 76, 101, 99, 73, 39, 16],
            [34, 76, 135, 178, 175, 128, 70, 30],
            [45, 101, 178, 233, 229, 169, 93, 40],
            [45, 99, 175, 229, 226, 166, 91, 39],
            [32, 73, 128, 169, 166, 122, 66, 28],
            [16, 39, 70, 93, 91, 66, 36, 14],
            [6, 16, 30, 40, 39, 28, 14, 5],
        ],
    ),
    "off center": (
        (17, 69, 63),
        [
            [0, 7, 91, 167, 140, 58, 4, 0],
            [1, 82, 219, 210, 182, 145, 47, 0],
            [13, 169, 221, 205, 188, 171, 115, 9],
            [28, 181, 205, 199, 193, 188, 158, 24],
            [24, 158, 188, 193, 199, 205, 181, 28],
            [9, 115, 171, 188, 205, 221, 169, 13],
            [0, 47, 145, 182, 210, 219, 82, 1],
            [0, 4, 58, 140, 167, 91, 7, 0],
        ],
    ),
    "wide, 16 bits": (
        (-38, 7, 168),
        [
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 3, 10, 8, 0, 0, 0],
            [26, 111, 165, 167, 147, 113, 63, 13],
            [147, 211, 206, 198, 189, 180, 169, 112],
            [113, 167, 179, 189, 198, 208, 211, 134],
            [13, 60, 109, 142, 161, 155, 97, 19],
            [0, 0, 0, 5, 6, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
        ],
    ),
    "phantom": (
        (1, 1, 98),
        [
            [0, 1, 32, 71, 78, 37, 1, 0],
            [0, 25, 84, 100, 114, 90, 24, 0],
            [2, 62, 86, 117, 158, 164, 65, 2],
            [7, 75, 66, 77, 108, 114, 77, 7],
            [7, 78, 79, 54, 70, 93, 77, 7],
            [2, 63, 98, 78, 103, 102, 61, 2],
            [0, 24, 85, 106, 106, 89, 25, 0],
            [0, 1, 34, 75, 78, 38, 1, 0],
        ],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_preprocessing_is_what_its_name_promises(name):
    prepared = prepare(_golden_pictures()[name], 8)
    box, rows = GOLDEN[name]
    assert PREPROCESSING == GOLDEN_NAME
    assert (prepared.top, prepared.left, prepared.side) == box
    np.testing.assert_array_equal(prepared.image, rows)


@pytest.mark.parametrize("size", [8, 96, 227])
def test_image_has_the_size_asked_for(size):
    image = prepare(phantom(100).astype(np.float32), size).image
    assert (image.shape, image.dtype) == ((size, size), np.uint8)


@pytest.mark.parametrize(
    ("shape", "center", "radii"),
    [
        ((200, 200), (100, 100), (60, 60)),
        ((200, 300), (60, 240), (50, 40)),
        ((400, 200), (330, 60), (60, 50)),
        ((600, 900), (200, 700), (150, 120)),
        ((96, 96), (30, 30), (25, 25)),
    ],
)
def test_head_is_found_wherever_it_lies(shape, center, radii):
    prepared = prepare(_head(*shape, center, radii), 64)
    slack = 2 + 2 * max(1, max(shape) // 96)
    assert abs(prepared.top + prepared.side / 2 - center[0]) <= slack
    assert abs(prepared.left + prepared.side / 2 - center[1]) <= slack
    assert abs(prepared.side - 2 * max(radii) * 1.04) <= 2 * slack


def test_a_label_in_the_corner_does_not_pull_the_crop():
    picture = _head(200, 200, (110, 110), (60, 60))
    marked = picture.copy()
    marked[4:12, 4:30] = 255
    plain, with_label = prepare(picture, 32), prepare(marked, 32)
    assert (plain.top, plain.left, plain.side) == (with_label.top, with_label.left, with_label.side)


@pytest.mark.parametrize(
    "picture",
    [_head(200, 300, (100, 150), (10, 10)), np.random.default_rng(0).random((200, 300)).astype(np.float32)],
    ids=["speck", "noise"],
)
def test_without_a_head_the_whole_picture_is_kept(picture):
    prepared = prepare(picture, 32)
    assert prepared.side == 312
    assert (prepared.top, prepared.left) == (-56, -6)


@pytest.mark.parametrize("value", [0.0, 1.0, 255.0, 65535.0, -1000.0, 1e-40, 3e38, -3e38, 0.1])
@pytest.mark.parametrize("shape", [(16, 16), (40, 90), (300, 17)])
def test_flat_slice_maps_to_zero(value, shape):
    assert not prepare(np.full(shape, value, np.float32), 24).image.any()


@pytest.mark.parametrize("factor", [0.25, 3.0, 257.0, 1e6, 1e-6, 1e30, 1e34])
def test_gray_scale_does_not_matter(factor):
    picture = phantom(120).astype(np.float32)
    plain, scaled = prepare(picture, 48), prepare(picture * np.float32(factor), 48)
    assert (plain.top, plain.left, plain.side) == (scaled.top, scaled.left, scaled.side)
    assert np.abs(plain.image.astype(int) - scaled.image).max() <= 1


def test_values_below_zero_leave_the_margin_black():
    picture = _head(100, 200, (50, 100), (49, 95))
    lifted, lowered = prepare(picture, 50), prepare(picture - 1000, 50)
    assert lowered.top < 0
    assert not lowered.image[0].any()
    np.testing.assert_allclose(lowered.image, lifted.image, atol=1)


def test_outliers_do_not_set_the_window():
    picture = _head(200, 200, (100, 100), (80, 80))
    spotted = picture.copy()
    spotted[100, 100] = 1e5
    difference = prepare(picture, 64).image.astype(int) - prepare(spotted, 64).image
    assert (np.abs(difference) <= 1).mean() > 0.99


VALUES = st.one_of(
    st.floats(0, 255, width=32),
    st.floats(-1000, 3000, width=32),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from([0.0, -3.0e38, 3.0e38, 1e-45, 65535.0]),
)
PICTURES = st.tuples(st.integers(16, 70), st.integers(16, 70)).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=VALUES, fill=VALUES)
)
LIMIT = np.finfo(np.float32).max


@given(PICTURES, st.integers(8, 64))
@example(np.tile(np.array([[-LIMIT, LIMIT]], np.float32), (20, 10)), 16)
@example(np.full((16, 16), -LIMIT, np.float32), 16)
@example(np.eye(30, dtype=np.float32) * LIMIT, 16)
@example(np.pad(np.ones((1, 3), np.float32), ((0, 27), (0, 33)), constant_values=1e-45), 62)
@example(np.pad(np.ones((1, 5), np.float32), ((0, 27), (0, 31))), 62)
def test_any_finite_slice_is_prepared_without_a_warning(pixels, size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = pixels.copy()
        prepared = prepare(pixels, size)
    np.testing.assert_array_equal(pixels, before)
    assert (prepared.image.shape, prepared.image.dtype) == ((size, size), np.uint8)
    assert prepared.side >= 1
    assert prepared.top < pixels.shape[0]
    assert prepared.left < pixels.shape[1]
    assert min(prepared.top, prepared.left) + prepared.side > 0


@given(st.integers(16, 60), st.integers(16, 60), st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from([1, 257]))
def test_any_random_slice_is_prepared_the_same_twice(height, width, seed, density, scale):
    random = np.random.default_rng(seed)
    pixels = (random.integers(0, 256, (height, width)) * (random.random((height, width)) < density) * scale).astype(
        np.float32
    )
    first, second = prepare(pixels, 32), prepare(pixels, 32)
    np.testing.assert_array_equal(first.image, second.image)


@pytest.mark.parametrize("shape", [(16, 1_000_000), (1_000_000, 16), (40, 60_000)])
def test_a_narrow_slice_takes_neither_long_nor_much_memory(shape):
    pixels = np.zeros(shape, np.float32)
    pixels[:: max(1, shape[0] // 8), :: max(1, shape[1] // 8)] = 200
    started, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepared = prepare(pixels, 64)
    laid = place_on_scan(np.ones((7, 7), np.float32), prepared, shape)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert prepared.image.shape == (64, 64)
    assert laid.shape == shape
    assert laid.min() == 1
    assert grown < 600 * 1024
    assert time.process_time() - started < 5


def test_large_slice_is_prepared_as_its_smaller_copy():
    small = _head(300, 300, (140, 160), (100, 90))
    large = np.kron(small, np.ones((32, 32), np.float32))
    np.testing.assert_allclose(prepare(large, 24).image, prepare(small, 24).image, atol=40)
    difference = prepare(large, 24).image.astype(int) - prepare(small, 24).image
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize(
    ("shape", "center", "radii"),
    [
        ((200, 200), (100, 100), (80, 60)),
        ((240, 180), (100, 90), (95, 85)),
        ((300, 500), (150, 330), (120, 110)),
        ((128, 128), (64, 64), (63, 63)),
    ],
)
@pytest.mark.parametrize("spot", [(-0.4, 0.3), (0.5, -0.2), (0.0, 0.0)])
def test_hot_spot_goes_back_to_where_it_came_from(shape, center, radii, spot):
    y, x = np.mgrid[: shape[0], : shape[1]]
    picture = np.where(_head(*shape, center, radii) > 0, 80, 0).astype(np.float32)
    row, column = round(center[0] + spot[0] * radii[0]), round(center[1] + spot[1] * radii[1])
    picture[np.hypot(y - row, x - column) <= max(radii) / 8] = 250
    prepared = prepare(picture, 128)
    laid = place_on_scan(prepared.image.astype(np.float32), prepared, shape)
    found = np.argwhere(laid > 200).mean(axis=0)
    assert laid.shape == shape
    assert np.hypot(*(found - (row, column))) <= 2


@pytest.mark.parametrize(
    ("prepared", "shape", "expected"),
    [
        ((0, 0, 4), (4, 4), np.ones((4, 4))),
        ((1, 2, 2), (4, 5), np.pad(np.ones((2, 2)), ((1, 1), (2, 1)))),
        ((-2, -1, 4), (4, 4), np.pad(np.ones((2, 3)), ((0, 2), (0, 1)))),
        ((-5, -5, 20), (3, 3), np.ones((3, 3))),
        ((10, 10, 4), (5, 5), np.zeros((5, 5))),
    ],
)
def test_map_covers_its_square_and_nothing_else(prepared, shape, expected):
    values = np.ones((6, 6), np.float32)
    laid = place_on_scan(values, Prepared(np.zeros((6, 6), np.uint8), *prepared), shape)
    assert laid.dtype == np.float32
    np.testing.assert_allclose(laid, expected, atol=1e-6)


@pytest.mark.parametrize("aspect", [0.25, 0.5, 2.0, 4.0])
@pytest.mark.parametrize("background", [0, 40])
def test_a_head_of_pixels_that_are_not_square_is_seen_as_that_of_square_ones(aspect, background):
    plain = background + _head(400, 400, (180, 220), (130, 100))
    thinned = plain[:, :: int(aspect)] if aspect > 1 else plain[:: int(1 / aspect)]
    square, other = prepare(plain, 64), prepare(np.ascontiguousarray(thinned), 64, aspect)
    assert abs(other.image.astype(int) - square.image).mean() < 4
    assert other.side / other.width == pytest.approx(aspect, rel=0.02)


@pytest.mark.parametrize("aspect", [0.5, 2.0, 5.0])
def test_a_map_of_pixels_that_are_not_square_lies_on_the_scans_own(aspect):
    prepared = prepare(np.ones((60, 50), np.float32), 32, aspect)
    row, column = 20, 30
    values = np.zeros((prepared.side, prepared.width), np.float32)
    values[row - prepared.top, column - prepared.left] = 1
    laid = place_on_scan(values, prepared, (60, 50))
    assert np.unravel_index(laid.argmax(), laid.shape) == (row, column)
    assert laid.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("shape", "aspect", "shown"),
    [
        ((100, 100), 1.0, (100, 100)),
        ((100, 100), 2.0, (100, 200)),
        ((100, 100), 0.5, (200, 100)),
        ((100, 400), 2.0, (40, 320)),
        ((2, 500), 16.0, (1, 320)),
    ],
)
def test_a_slice_is_shown_at_its_true_proportions(shape, aspect, shown):
    pixels = np.random.default_rng(0).random(shape).astype(np.float32)
    assert with_square_pixels(pixels, aspect, 320).shape == shown


@given(
    hnp.arrays(np.float32, (5, 5), elements=st.floats(0, 1, width=32)),
    st.integers(-40, 40),
    st.integers(-40, 40),
    st.integers(1, 90),
)
def test_placed_map_stays_within_its_values(values, top, left, side):
    laid = place_on_scan(values, Prepared(np.zeros((5, 5), np.uint8), top, left, side), (31, 47))
    assert laid.shape == (31, 47)
    assert laid.min() >= 0
    assert laid.max() <= values.max()


def _spot(shape, center, radius):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(y - center[0], x - center[1]) <= radius


@pytest.mark.parametrize("size", [48, 128, 300])
@pytest.mark.parametrize(
    ("shape", "center", "radii"),
    [
        ((200, 200), (100, 100), (80, 60)),
        ((300, 500), (150, 330), (120, 110)),
        # The square reaches past the edges of the slice.
        ((90, 200), (45, 90), (40, 80)),
        ((128, 128), (64, 64), (63, 63)),
    ],
)
def test_an_outline_lies_where_the_prepared_picture_shows_what_it_outlines(size, shape, center, radii):
    spot = _spot(shape, (center[0] - 0.3 * radii[0], center[1] + 0.2 * radii[1]), min(radii) / 4)
    picture = np.where(_head(*shape, center, radii) > 0, 60, 0).astype(np.float32)
    prepared = prepare(np.where(spot, 240, picture).astype(np.float32), size)
    outline = prepare_outline(spot.astype(np.float32), prepared, size)
    assert (outline.shape, outline.dtype) == ((size, size), np.uint8)
    shown, drawn = prepared.image > 150, outline > 127
    assert 2 * (shown & drawn).sum() / (shown.sum() + drawn.sum()) > 0.9
    # Where it is enlarged or shrunk, its share of the square stays.
    assert (outline / 255).mean() == pytest.approx(spot.sum() / prepared.side**2, rel=0.05)


@pytest.mark.parametrize(
    ("values", "drawn"),
    [((0, 1), 1), ((0, 255), 1), ((0, 65535), 1), ((0, 0.5), 1), ((0, 0), 0), ((20, 240), 1)],
)
def test_any_two_values_of_a_mask_are_outside_and_inside(values, drawn):
    mask = np.full((60, 80), values[0], np.float32)
    mask[20:40, 30:50] = values[1]
    outline = prepare_outline(mask, Prepared(np.zeros((40, 40), np.uint8), 0, 0, 40), 40)
    expected = np.zeros((40, 40))
    expected[20:40, 30:40] = 255 * drawn
    np.testing.assert_array_equal(outline, expected)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(16, 50), st.integers(16, 50)), elements=st.sampled_from([0.0, 255.0])),
    st.integers(-40, 40),
    st.integers(-40, 40),
    st.integers(1, 90),
    st.integers(1, 64),
)
def test_any_mask_and_square_give_an_outline(mask, top, left, side, size):
    before = mask.copy()
    outline = prepare_outline(mask, Prepared(np.zeros((size, size), np.uint8), top, left, side), size)
    np.testing.assert_array_equal(mask, before)
    assert (outline.shape, outline.dtype) == ((size, size), np.uint8)
    inside = mask[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    assert outline.any() <= inside.any()
    if size == side:
        assert (outline > 0).sum() == (inside > 0).sum()


def test_a_large_square_is_cut_in_steps_as_its_picture_is():
    mask = np.zeros((5000, 5000), np.float32)
    mask[1000:3000, 2000:4000] = 1
    outline = prepare_outline(mask, Prepared(np.zeros((50, 50), np.uint8), 0, 0, 5000), 50)
    assert (outline[10:30, 20:40] > 200).mean() > 0.85
    assert (outline > 127).sum() == pytest.approx(400, rel=0.1)


@pytest.mark.parametrize(("pad", "lost"), [(0, False), (60, False), (300, True), (3000, False)])
def test_a_head_lost_in_an_empty_plane_is_found(pad, lost):
    head = phantom(96).astype(np.float32)
    pixels = np.stack([np.pad(head, pad), np.zeros((96 + 2 * pad, 96 + 2 * pad), np.float32)])
    box = small_head(pixels)
    assert (box is not None) is lost
    if box is not None:
        found, alone = prepare_within(pixels[0], box, 64), prepare(head, 64)
        assert np.corrcoef(found.image.ravel(), alone.image.ravel())[0, 1] > 0.8
        assert abs(found.top - pad) <= 12
        assert abs(found.side - alone.side) <= 24


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_holes_are_filled_as_by_scipy(mask):
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
