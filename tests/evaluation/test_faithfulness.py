import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import spearmanr

from braintumor.evaluation.faithfulness import (
    MEASURES,
    SHARES,
    blurred,
    center_map,
    curve_area,
    faithfulness_figures,
    inside_share,
    perturbation_curves,
    pointing_hit,
    random_map,
    rank_correlation,
)

SIDE = 8
HEATS = hnp.arrays(np.float64, (SIDE, SIDE), elements=st.floats(0, 1e6))
MASKS = hnp.arrays(bool, (SIDE, SIDE))


def cells(values, shape=(4, 4)):
    """A map of zeros except the given {(row, column): value}."""
    heat = np.zeros(shape)
    for place, value in values.items():
        heat[place] = value
    return heat


CORNER = cells({(0, 0): 1, (0, 1): 1}).astype(bool)


@pytest.mark.parametrize(
    ("heat", "inside", "hit"),
    [
        (cells({(0, 0): 2}), 1, 1),
        (cells({(3, 3): 2}), 0, 0),
        (cells({(0, 0): 3, (3, 3): 1}), 0.75, 1),
        (cells({(0, 1): 1, (1, 1): 3}), 0.25, 0),
        (cells({(0, 0): 1, (3, 3): 1}), 0.5, 0.5),
        (cells({(0, 0): 1, (0, 1): 1, (3, 3): 1}), 2 / 3, 2 / 3),
        (np.ones((4, 4)), 2 / 16, 2 / 16),
        (np.zeros((4, 4)), 0, 0),
    ],
    ids=["in it", "far off", "mostly in it", "just beside", "two as hot", "three as hot", "even", "no heat"],
)
def test_inside_and_pointing_by_hand(heat, inside, hit):
    assert inside_share(heat, CORNER) == pytest.approx(inside)
    assert pointing_hit(heat, CORNER) == pytest.approx(hit)


@given(HEATS, MASKS)
def test_shares_stay_within_their_bounds_whatever_the_scale(heat, mask):
    for measure in (inside_share, pointing_hit):
        assert 0 <= measure(heat, mask) <= 1
    assert inside_share(heat, mask) + inside_share(heat, ~mask) == pytest.approx(1 if heat.any() else 0)
    assert pointing_hit(heat, mask) + pointing_hit(heat, ~mask) == pytest.approx(1 if heat.any() else 0)
    assert inside_share(heat * 4, mask) == pytest.approx(inside_share(heat, mask))


@pytest.mark.parametrize(
    ("heat", "sentence"),
    [
        (np.ones((4, 5)), r"heat has shape \(4, 5\); it must be \(4, 4\)"),
        (cells({(1, 1): -0.1}), "negative or not finite"),
        (cells({(1, 1): np.nan}), "negative or not finite"),
        (cells({(1, 1): np.inf}), "negative or not finite"),
    ],
)
@pytest.mark.parametrize(
    "measure",
    [
        lambda heat: inside_share(heat, CORNER),
        lambda heat: pointing_hit(heat, CORNER),
        lambda heat: perturbation_curves(np.zeros((4, 4), np.uint8), heat, mean_gray),
    ],
    ids=["inside", "pointing", "perturbation"],
)
def test_heat_that_is_none_is_refused(measure, heat, sentence):
    with pytest.raises(ValueError, match=sentence):
        measure(heat)


def mean_gray(pictures):
    return pictures.mean(axis=(1, 2)) / 255


def spot(size=40, row=10, column=28, radius=3):
    """A dark picture with a white disc, and where the disc is."""
    y, x = np.mgrid[:size, :size]
    disc = (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return np.where(disc, 255, 0).astype(np.uint8), disc


def of_disc(disc):
    """How white the disc is: the score of a network that goes only by it."""
    return lambda pictures: pictures[:, disc].mean(axis=1) / 255


def test_curves_lead_from_the_picture_to_the_blurred_one_and_back():
    picture, _ = spot()
    seen = []

    def score(pictures):
        seen.append(pictures)
        return mean_gray(pictures)

    heat = random_map(len(picture), 3)
    deletion, insertion = perturbation_curves(picture, heat, score)
    assert deletion.shape == insertion.shape == SHARES.shape
    for stack, (first, last) in zip(seen, itertools.permutations([picture, blurred(picture)]), strict=True):
        assert stack.dtype == np.uint8
        np.testing.assert_array_equal(stack[0], first)
        np.testing.assert_array_equal(stack[-1], last)
    # In between, a picture is of the one where the heat is highest and of the other elsewhere.
    for step in (5, 12, 17):
        hottest = heat >= np.sort(heat, axis=None)[::-1][round(SHARES[step] * heat.size) - 1]
        np.testing.assert_array_equal(seen[0][step], np.where(hottest, blurred(picture), picture))
        np.testing.assert_array_equal(seen[1][step], np.where(hottest, picture, blurred(picture)))


def test_a_map_of_what_counts_beats_every_floor_and_its_opposite_loses_to_them():
    picture, disc = spot()
    areas = {}
    floors = {"center": center_map(40), **{f"random {seed}": random_map(40, seed) for seed in range(5)}}
    for name, heat in {"true": disc * 1.0, "opposite": 1.0 - disc, **floors}.items():
        areas[name] = tuple(map(curve_area, perturbation_curves(picture, heat, of_disc(disc))))
    for name in floors:
        assert areas["true"][0] < areas[name][0] < areas["opposite"][0]
        assert areas["true"][1] > areas[name][1] > areas["opposite"][1]
        assert inside_share(disc * 1.0, disc) == 1 > inside_share(floors[name], disc)


def test_equally_hot_pixels_go_in_random_order_not_from_the_top():
    top = np.zeros((30, 30), bool)
    top[:10] = True
    picture = np.where(top, 200, 0).astype(np.uint8)
    deletion, _ = perturbation_curves(picture, np.zeros((30, 30)), of_disc(top))
    replaced = (deletion[0] - deletion) / (deletion[0] - deletion[-1])
    assert replaced == pytest.approx(SHARES, abs=0.15)
    again, other = (perturbation_curves(picture, np.zeros((30, 30)), of_disc(top), seed)[0] for seed in (0, 1))
    np.testing.assert_array_equal(deletion, again)
    assert not np.array_equal(deletion, other)


@settings(max_examples=30)
@given(HEATS, hnp.arrays(np.uint8, (SIDE, SIDE)))
def test_areas_of_probabilities_stay_within_0_and_1(heat, picture):
    for curve in perturbation_curves(picture, heat, mean_gray):
        assert 0 <= curve_area(curve) <= 1 + 1e-12


@pytest.mark.parametrize(
    ("values", "area"),
    [
        (np.ones_like(SHARES), 1),
        (np.zeros_like(SHARES), 0),
        (SHARES, 0.5),
        (1 - SHARES, 0.5),
        (np.full_like(SHARES, 0.3), 0.3),
    ],
    ids=["high", "low", "rising", "falling", "level"],
)
def test_areas_by_hand(values, area):
    assert curve_area(values) == pytest.approx(area)


RISING = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (RISING, 1),
        (RISING**3, 1),
        (-RISING, 1),
        (RISING[::-1, ::-1], 1),
        (np.abs(RISING - 5.5), 0),
        (np.where(RISING < 6, 0, 1), np.sqrt(108 / 143)),
    ],
    ids=["same", "same order", "turned", "mirrored", "folded", "two values"],
)
def test_rank_correlation_by_hand(other, expected):
    assert rank_correlation(RISING, other) == pytest.approx(expected, abs=1e-9)


@given(HEATS, HEATS)
def test_rank_correlation_is_scipys_without_its_sign(heat, other):
    found = rank_correlation(heat, other)
    if np.ptp(heat) == 0 or np.ptp(other) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(abs(spearmanr(heat.ravel(), other.ravel()).statistic), abs=1e-9)


def test_maps_of_two_shapes_are_not_compared():
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(4, 3\)"):
        rank_correlation(RISING, RISING.T)


@pytest.mark.parametrize("size", [48, 192])
def test_floors_are_maps_that_know_nothing(size):
    middle = center_map(size)
    assert middle.max() == 1
    assert np.unravel_index(middle.argmax(), middle.shape)[0] in (size // 2 - 1, size // 2)
    np.testing.assert_allclose(middle, middle[::-1, ::-1])
    first, again, other = (random_map(size, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, again)
    assert (first.min(), first.max()) == (0, 1)
    assert rank_correlation(first, other) < 0.7
    # Smooth: pixels beside each other are alike.
    assert np.abs(np.diff(first, axis=0)).max() < 0.2


def test_blurring_hides_a_tumor_sized_spot_and_keeps_the_grays_total():
    picture, _ = spot(size=96, row=48, column=48, radius=9)
    soft = blurred(picture)
    assert soft.dtype == np.uint8
    assert soft.max() < 0.75 * picture.max()
    assert soft.mean() == pytest.approx(picture.mean(), rel=0.05)
    np.testing.assert_array_equal(blurred(np.full((20, 20), 77, np.uint8)), 77)


def table(rows):
    columns = ["method", "group", "inside", "hit", "deletion", "insertion", "randomized_correlation"]
    return pd.DataFrame(rows, columns=columns)


def test_figures_are_means_over_images_with_bounds_over_groups():
    rows = [("cam", f"g{number // 2}", number / 10, number % 2, 0.2, 0.8, 0.1) for number in range(10)]
    rows += [("blobs", f"g{number // 2}", 0.05, 0, 0.5, 0.5, np.nan if number else 0.3) for number in range(10)]
    found = faithfulness_figures(table(rows))
    assert list(found) == ["cam", "blobs"]
    assert all(tuple(figures) == MEASURES for figures in found.values())
    assert found["cam"]["inside"]["value"] == pytest.approx(0.45)
    assert found["cam"]["inside"]["low"] < 0.4 < 0.5 < found["cam"]["inside"]["high"]
    assert found["cam"]["pointing"] == pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5})
    # None of five groups hit: 0.025 ** (1 / 5) of chances that high would still give that.
    assert found["blobs"]["pointing"] == {"value": 0, "low": 0, "high": pytest.approx(1 - 0.025**0.2)}
    assert found["blobs"]["randomized_correlation"] == {"value": pytest.approx(0.3), "low": None, "high": None}


def test_a_measure_that_no_image_defines_is_none():
    found = faithfulness_figures(table([("cam", "g", 0.0, 0.0, 0.1, 0.2, np.nan)]))
    assert found["cam"]["randomized_correlation"] == {"value": None, "low": None, "high": None}
    assert faithfulness_figures(table([])) == {}


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(ValueError, match="lacks the column hit, deletion"):
        faithfulness_figures(table([]).drop(columns=["hit", "deletion"]))
