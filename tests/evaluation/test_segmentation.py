import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial.distance import cdist

from braintumor.bundles import Estimate
from braintumor.evaluation.bootstrap import GroupBootstrap
from braintumor.evaluation.reliability import reliability
from braintumor.evaluation.segmentation import (
    area_agreement,
    change_error,
    dice,
    hausdorff95,
    iou,
    lesion_hits,
    map_calibration,
    pixel_bins,
    score_masks,
    segmentation_figures,
)
from tests.evaluation.by_hand import calibration_error

MASKS = hnp.arrays(bool, (2, 9, 11))


def boxes(*cuts, shape=(40, 50)):
    """A mask with boxes (top, bottom, left, right) set."""
    mask = np.zeros(shape, bool)
    for top, bottom, left, right in cuts:
        mask[top:bottom, left:right] = True
    return mask


NOTHING = boxes()


@pytest.mark.parametrize(
    ("found", "true", "expected_dice", "expected_iou"),
    [
        (boxes((0, 10, 0, 10)), boxes((0, 10, 0, 10)), 1, 1),
        (boxes((0, 10, 0, 10)), boxes((0, 10, 5, 15)), 0.5, 1 / 3),
        (boxes((0, 10, 0, 10)), boxes((20, 30, 0, 10)), 0, 0),
        (NOTHING, boxes((0, 10, 0, 10)), 0, 0),
        (boxes((0, 10, 0, 10)), NOTHING, 0, 0),
        (NOTHING, NOTHING, 1, 1),
    ],
    ids=["same", "half", "apart", "missed", "false", "both empty"],
)
def test_overlap_by_hand(found, true, expected_dice, expected_iou):
    assert dice(found, true) == pytest.approx(expected_dice)
    assert iou(found, true) == pytest.approx(expected_iou)


@given(MASKS)
def test_overlaps_are_symmetric_and_agree_with_each_other(masks):
    found, true = masks
    share = iou(found, true)
    assert iou(true, found) == share
    assert dice(found, true) == dice(true, found) == pytest.approx(2 * share / (1 + share))


@pytest.mark.parametrize(
    ("found", "true", "spacing", "expected"),
    [
        (boxes((5, 15, 5, 15)), boxes((5, 15, 5, 15)), (1, 1), 0),
        (boxes((5, 6, 5, 6)), boxes((8, 9, 9, 10)), (1, 1), 5),
        (boxes((5, 6, 5, 6)), boxes((8, 9, 9, 10)), (2, 0.5), math.hypot(6, 2)),
        (boxes((0, 40, 0, 1)), boxes((0, 40, 7, 8)), (1, 1), 7),
        # Borders of some 200 pixels each; the one pixel that lies far off is among the worst 5 %.
        (boxes((0, 3, 0, 100), (30, 31, 0, 1), shape=(40, 100)), boxes((0, 3, 0, 100), shape=(40, 100)), (1, 1), 0),
        (NOTHING, boxes((5, 6, 5, 6)), (1, 1), math.nan),
        (boxes((5, 6, 5, 6)), NOTHING, (1, 1), math.nan),
        (NOTHING, NOTHING, (1, 1), math.nan),
    ],
    ids=["same", "two pixels", "uneven pixels", "two lines", "outlier", "missed", "false", "both empty"],
)
def test_distance_of_borders_by_hand(found, true, spacing, expected):
    assert hausdorff95(found, true, spacing) == pytest.approx(expected, nan_ok=True)


@given(MASKS, st.sampled_from([0.5, 1.0, 2.0]))
def test_distance_of_borders_is_that_of_all_pairs(masks, row):
    if not masks.any(axis=(1, 2)).all():
        assert math.isnan(hausdorff95(*masks))
        return
    borders = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) * (row, 1.0) for mask in masks]
    pairs = cdist(*borders)
    expected = np.percentile(np.concatenate([pairs.min(axis=0), pairs.min(axis=1)]), 95)
    assert hausdorff95(*masks, spacing=(row, 1.0)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("found", "true", "expected"),
    [
        (boxes((0, 10, 0, 1)), boxes((0, 10, 0, 10)), (1, 1, 0)),
        (boxes((0, 9, 0, 1)), boxes((0, 10, 0, 10)), (1, 0, 0)),
        (boxes((0, 10, 0, 10)), boxes((0, 4, 0, 4), (6, 9, 6, 9)), (2, 2, 0)),
        (boxes((0, 4, 0, 4)), boxes((0, 4, 0, 4), (6, 9, 6, 9)), (2, 1, 0)),
        (boxes((0, 4, 0, 4), (20, 24, 20, 24)), boxes((0, 4, 0, 4)), (1, 1, 1)),
        (boxes((0, 4, 0, 4), (4, 8, 4, 8)), boxes((0, 8, 0, 8)), (1, 1, 0)),
        (boxes((0, 4, 0, 4), (4, 8, 4, 8)), NOTHING, (0, 0, 1)),
        (boxes((0, 4, 4, 8)), boxes((0, 4, 0, 4)), (1, 0, 1)),
        (NOTHING, boxes((0, 4, 0, 4)), (1, 0, 0)),
        (NOTHING, NOTHING, (0, 0, 0)),
    ],
    ids=[
        "a tenth is enough",
        "less than a tenth",
        "one region over two",
        "one of two",
        "a false one",
        "two parts of one",
        "joined by a corner",
        "side by side without overlap",
        "missed",
        "both empty",
    ],
)
def test_lesions_by_hand(found, true, expected):
    assert lesion_hits(found, true) == expected


@pytest.mark.parametrize(("share", "hits"), [(0.25, 1), (0.26, 0), (1.0, 0)])
def test_the_share_that_counts_as_found_can_be_chosen(share, hits):
    assert lesion_hits(boxes((0, 5, 0, 10)), boxes((0, 20, 0, 10)), share) == (1, hits, 0)


@given(MASKS)
def test_a_perfect_mask_finds_every_lesion(masks):
    lesions, hits, false = lesion_hits(masks[0], masks[0])
    assert (lesions, hits, false) == (ndimage.label(masks[0], np.ones((3, 3)))[1], lesions, 0)


def test_scores_by_hand():
    found, true = boxes((10, 20, 10, 20), (30, 32, 40, 42)), boxes((10, 20, 10, 20))
    assert score_masks(true, true) == {
        "dice": 1,
        "iou": 1,
        "hausdorff95_percent": 0,
        "lesions": 1,
        "lesions_found": 1,
        "lesions_false": 0,
        "tumor_share": 0.05,
        "found_share": 0.05,
    }
    scores = score_masks(found, true)
    assert scores["dice"] == pytest.approx(200 / 204)
    assert (scores["lesions"], scores["lesions_found"], scores["lesions_false"]) == (1, 1, 1)
    assert (scores["tumor_share"], scores["found_share"]) == (0.05, 104 / 2000)


def test_distance_is_a_share_of_the_longer_side():
    scores = score_masks(boxes((5, 6, 5, 6)), boxes((8, 9, 9, 10)))
    assert scores["hausdorff95_percent"] == pytest.approx(100 * 5 / 50)


@given(MASKS)
def test_scores_are_those_of_the_single_functions(masks):
    found, true = masks
    scores = score_masks(found, true)
    assert (scores["dice"], scores["iou"]) == (dice(found, true), iou(found, true))
    assert scores["hausdorff95_percent"] == pytest.approx(100 * hausdorff95(found, true) / 11, nan_ok=True)
    assert (scores["lesions"], scores["lesions_found"], scores["lesions_false"]) == lesion_hits(found, true)


@pytest.mark.parametrize("score", [dice, iou, hausdorff95, lesion_hits, score_masks])
def test_masks_must_have_one_shape(score):
    with pytest.raises(ValueError, match="shape"):
        score(np.ones((4, 5), bool), np.ones((1, 5), bool))


def test_other_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="spacing"):
        hausdorff95(NOTHING, NOTHING, (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="least_share"):
        lesion_hits(NOTHING, NOTHING, 0)


def rows(*cells, split="test"):
    """Rows of (dataset, group, label, dice, hausdorff95_percent, lesions, lesions_found, lesions_false)."""
    names = ("dataset", "group", "label", "dice", "hausdorff95_percent", "lesions", "lesions_found", "lesions_false")
    table = pd.DataFrame([dict(zip(names, cell, strict=True)) for cell in cells], columns=names)
    return table.assign(
        split=split, iou=table["dice"] / (2 - table["dice"]), tumor_share=0.1, found_share=table["dice"] / 10
    )


SMALL = rows(
    ("cheng", "a", "glioma", 0.8, 2.0, 1, 1, 0),
    ("cheng", "a", "glioma", 0.6, 4.0, 2, 1, 1),
    ("cheng", "b", "glioma", 0.0, math.nan, 1, 0, 0),
    ("cheng", "c", "meningioma", 1.0, 0.0, 1, 1, 0),
    ("brisc", "d", "notumor", 1.0, math.nan, 0, 0, 0),
)


def test_figures_by_hand():
    found = segmentation_figures(SMALL, resamples=50)
    assert (found.images, found.groups) == (5, 4)
    assert list(found.datasets) == ["brisc", "cheng"]
    cheng = found.datasets["cheng"]
    assert list(cheng.labels) == ["glioma", "meningioma"]
    assert (cheng.images, cheng.groups, cheng.dice.value) == (4, 3, pytest.approx(0.6))
    glioma = cheng.labels["glioma"]
    assert glioma.dice.value == pytest.approx(1.4 / 3)
    assert glioma.model_dump(exclude={"dice"}) == {
        "images": 3,
        "groups": 2,
        "dice_median": pytest.approx(0.6),
        "dice_quartiles": (pytest.approx(0.3), pytest.approx(0.7)),
        "iou": pytest.approx((0.8 / 1.2 + 0.6 / 1.4) / 3),
        "hausdorff95_percent_median": pytest.approx(3),
        "hausdorff95_undefined_share": pytest.approx(1 / 3),
        "lesions": 4,
        "lesions_found": 2,
        "lesion_sensitivity": pytest.approx(0.5),
        "false_lesions_per_image": pytest.approx(1 / 3),
        "false_share": pytest.approx(1 / 3),
    }


def test_what_is_undefined_is_none():
    brisc = segmentation_figures(SMALL, resamples=50).datasets["brisc"]
    assert brisc.lesion_sensitivity is None
    assert brisc.hausdorff95_percent_median is None
    assert brisc.hausdorff95_undefined_share == 1
    assert brisc.dice == Estimate(value=1.0)


def random_rows(groups, images, seed=0):
    """Images whose Dice depends on their group, so that they are not independent."""
    random = np.random.default_rng(seed)
    means = random.uniform(0.3, 0.9, groups)
    number = np.repeat(np.arange(groups), images)
    table = pd.DataFrame({"split": "test", "dataset": "cheng", "group": number.astype(str), "label": "glioma"})
    table["dice"] = np.clip(means[number] + random.normal(0, 0.02, len(number)), 0, 1)
    return table.assign(
        iou=0.5, hausdorff95_percent=1.0, lesions=1, lesions_found=1, lesions_false=0, tumor_share=0.1, found_share=0.1
    )


def test_interval_is_that_of_draws_of_whole_groups():
    table = random_rows(20, 10)
    found = segmentation_figures(table, seed=3, resamples=400).datasets["cheng"].dice
    bootstrap = GroupBootstrap(table["group"], 400, 3)
    draws = bootstrap.totals(table[["dice"]]) / bootstrap.totals(np.ones((200, 1)))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(draws[1:], [2.5, 97.5])))
    alone = segmentation_figures(table.assign(group=table.index.astype(str)), seed=3, resamples=400)
    alone = alone.datasets["cheng"].dice
    assert found.high - found.low > 2 * (alone.high - alone.low)


def test_figures_repeat_exactly():
    first, again = (segmentation_figures(SMALL, seed=5, resamples=40) for _ in range(2))
    assert first == again


def test_no_rows_give_no_figures():
    found = segmentation_figures(SMALL.iloc[:0], resamples=10)
    assert (found.images, found.datasets, found.by_size, found.largest_missed) == (0, {}, (), None)


def test_tumors_are_parted_by_size_and_the_largest_missed_one_is_named():
    size = np.arange(1, 9) / 100
    cells = [
        ("cheng", group, "glioma", dice, 2.0, 1, dice > 0, 0)
        for group, dice in zip("aabbccdd", [0, 0.5] + [0.8] * 6, strict=True)
    ]
    table = rows(*cells).assign(tumor_share=size, found_share=[0.0, *size[1:]]).sample(frac=1, random_state=0)
    found = segmentation_figures(table, resamples=10)
    assert [part.smallest for part in found.by_size] == [0.01, 0.03, 0.05, 0.07]
    assert [(part.images, part.dice_median) for part in found.by_size] == [(2, 0.25), (2, 0.8), (2, 0.8), (2, 0.8)]
    assert [(part.missed, part.nothing) for part in found.by_size] == [(0.5, 0.5), (0, 0), (0, 0), (0, 0)]
    assert (found.largest_missed.tumor_share, found.largest_missed.label) == (0.01, "glioma")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns=["group", "iou"]), "group, iou"),
        (lambda table: table.assign(split=["test", *["validation"] * 4]), "2 splits"),
        (lambda table: table.assign(dice=math.nan), "dice"),
        (lambda table: table.assign(iou=1.2), "iou"),
    ],
)
def test_unusable_tables_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        segmentation_figures(change(SMALL), resamples=10)


def test_pixels_are_binned_by_hand():
    table = pixel_bins([[0.1, 0.3], [0.4, 1.0]], [[False, True], [False, True]], bins=4)
    assert table["bin"].tolist() == [0, 1, 2, 3]
    assert table["pixels"].tolist() == [1, 2, 0, 1]
    assert table["confidence_sum"].tolist() == pytest.approx([0.1, 0.7, 0, 1])
    assert table["tumor_pixels"].tolist() == [0, 1, 0, 1]


@given(
    st.lists(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=20), min_size=1, max_size=4),
    st.integers(1, 12),
)
def test_bins_of_many_images_say_what_their_pixels_say(images, bins):
    tables = [pixel_bins(*zip(*pixels, strict=True), bins=bins) for pixels in images]
    table, error = map_calibration(pd.concat(tables))
    chances, tumor = zip(*[pixel for pixels in images for pixel in pixels], strict=True)
    pd.testing.assert_frame_equal(table, reliability(chances, tumor, bins))
    assert error == pytest.approx(calibration_error(chances, tumor, bins))


def test_no_pixels_have_no_calibration():
    table, error = map_calibration(pixel_bins([], [], bins=3))
    assert math.isnan(error)
    assert table["count"].tolist() == [0, 0, 0]
    assert table["accuracy"].isna().all()


def test_unusable_bins_are_refused():
    with pytest.raises(ValueError, match="is_tumor"):
        pixel_bins([0.1, 0.2], [True])
    with pytest.raises(ValueError, match="outside"):
        pixel_bins([1.5], [True])
    added = pixel_bins([0.1], [True]) + pixel_bins([0.2], [True])
    with pytest.raises(ValueError, match="numbered"):
        map_calibration(added)


def _areas(tumor, found, split="test"):
    return pd.DataFrame({"split": split, "tumor_share": tumor, "found_share": found})


def test_the_areas_of_readers_and_model_agree_within_what_nine_of_ten_do():
    drawn = np.linspace(0.5, 2.0, 101)
    table = pd.concat([_areas(drawn * 0.1, 0.1), _areas([0.9], [0.1], "validation"), _areas([0.0], [0.1])])
    agreement = area_agreement(table)
    assert (agreement.low, agreement.high) == pytest.approx((0.575, 1.925), abs=0.02)
    assert agreement.images == 101


@pytest.mark.parametrize(("missed", "high"), [(1, 1.0), (10, np.inf)])
def test_a_tumor_without_an_outline_makes_the_readers_area_infinitely_larger(missed, high):
    assert area_agreement(_areas([0.1] * 40, [0.1] * (40 - missed) + [0.0] * missed)).high == high


def test_without_test_images_areas_do_not_agree():
    assert area_agreement(_areas([], [])) is None
    with pytest.raises(ValueError, match="share"):
        area_agreement(_areas([0.1], [0.1]), 1.0)


def test_of_nothing_that_changed_the_error_of_change_holds_nine_of_ten():
    errors = np.exp(np.random.default_rng(5).normal(0, 0.3, 400))
    table = pd.concat([_areas(0.1 * errors, 0.1), _areas([0.1], [0.0]), _areas([0.9], [0.1], "validation")])
    error = change_error(table)
    # The difference of two normal errors is normal, with the root of two times the spread; 1.645 of it hold 90 %.
    assert math.log(error.factor) == pytest.approx(1.645 * math.sqrt(2) * 0.3, rel=0.1)
    assert error.images == 400


@pytest.mark.parametrize("areas", [([], []), ([0.1], [0.1]), ([0.1, 0.2], [0.1, 0.0])])
def test_one_image_has_no_error_of_change(areas):
    assert change_error(_areas(*areas)) is None
    with pytest.raises(ValueError, match="share"):
        change_error(_areas([0.1] * 3, [0.1] * 3), 0.0)
