from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from braintumor.taxonomy import ANY_TUMOR, NO_TUMOR
from braintumor.training.counterfactuals import (
    Counterfactuals,
    Example,
    erased,
    graft,
    healthy_patch,
    mirror_axis,
    mirrored,
    mirrored_half,
    mirrored_patch,
    patchwork,
)
from tests.training.heads import SIDE, clear, disc, example, head


@pytest.mark.parametrize("size", [48, 96, 192])
@pytest.mark.parametrize("off", [-0.03, -0.01, 0.0, 0.02, 0.03])
@pytest.mark.parametrize("tumor", [None, 0.3, 0.68])
def test_the_mirror_axis_is_found_within_a_pixel(size, off, tumor):
    axis = round(size * (0.5 + off) * 2) / 2
    if tumor is None:
        found = mirror_axis(head(size, axis))
    else:
        made = example(tumor, size=size, axis=axis)
        found = mirror_axis(made.picture, made.outline)
    assert found == pytest.approx(axis, abs=1)


def _tilted():
    return ndimage.rotate(head(), 40, reshape=False, order=1)


def _from_the_side():
    picture = head(alike=False)
    picture[60:, 50:] = 0
    return picture


def _dark_on_one_side():
    return np.where(np.arange(SIDE) < SIDE / 2, head(), head() // 3).astype(np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        _dark_on_one_side(),
        _from_the_side(),
        _tilted(),
        head(axis=20),
        np.zeros((SIDE, SIDE), np.uint8),
        np.full((SIDE, SIDE), 200, np.uint8),
        np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8),
    ],
    ids=["dark on one side", "from the side", "tilted", "far off", "black", "flat", "noise"],
)
def test_what_is_no_mirror_image_of_itself_has_no_axis(picture):
    assert mirror_axis(picture) is None


def test_a_tumor_that_hides_the_symmetry_does_so_only_without_its_outline():
    made = example(0.32, radius=0.2)
    assert mirror_axis(made.picture) is None
    assert mirror_axis(made.picture, made.outline) == pytest.approx(SIDE / 2, abs=1)


@settings(max_examples=50)
@given(st.integers(2, 40), st.integers(-20, 120), st.integers(0, 2**32 - 1))
def test_mirroring_moves_each_column_to_the_other_side(size, doubled, seed):
    layer = np.random.default_rng(seed).integers(1, 256, (size, size), dtype=np.uint8)
    turned = mirrored(layer, doubled / 2)
    assert (turned.shape, turned.dtype) == (layer.shape, np.uint8)
    for column in range(size):
        # The center of column c is c + 0.5; mirrored about a it lies at 2a - c - 0.5.
        partner = doubled - 1 - column
        expected = layer[:, partner] if 0 <= partner < size else 0
        np.testing.assert_array_equal(turned[:, column], expected)


@pytest.mark.parametrize("axis", [SIDE / 2, SIDE / 2 - 3, SIDE / 2 + 2.5])
@pytest.mark.parametrize("column", [0.25, 0.3, 0.7, 0.75])
def test_the_half_with_the_tumor_becomes_the_mirrored_other_half(axis, column):
    made = example(column, axis=axis)
    changed = mirrored_half(made, axis, keep_tumor=False)
    columns = np.arange(SIDE) + 0.5
    healthy = columns > axis if column < 0.5 else columns < axis
    apart = np.abs(columns - axis) > 1
    np.testing.assert_array_equal(changed.picture[:, healthy & apart], made.picture[:, healthy & apart])
    np.testing.assert_array_equal(
        changed.picture[:, ~healthy & apart], mirrored(made.picture, axis)[:, ~healthy & apart]
    )
    # The head's halves are alike, so what is left is the head as it was before it had a tumor.
    assert np.abs(changed.picture.astype(int) - head(axis=axis)).max() <= 1
    assert changed.label == NO_TUMOR
    assert not changed.outline.any()


@pytest.mark.parametrize("column", [0.25, 0.7])
def test_a_kept_tumor_is_doubled_with_its_outline(column):
    made = example(column)
    changed = mirrored_half(made, SIDE / 2, keep_tumor=True)
    tumors = (made.outline > 0) | (made.outline[:, ::-1] > 0)
    np.testing.assert_array_equal(changed.outline > 0, tumors)
    assert (changed.outline > 0).sum() == 2 * (made.outline > 0).sum()
    assert changed.label == "glioma"
    assert (changed.picture[tumors] == 250).all()
    assert (changed.picture[~tumors] <= 181).all()


@pytest.mark.parametrize("keep_tumor", [True, False])
@pytest.mark.parametrize(
    ("column", "radius", "fits"),
    [
        (0.3, 0.08, True),
        (0.7, 0.08, True),
        (0.5, 0.08, False),
        (0.45, 0.08, False),
        (0.58, 0.08, False),
        (0.42, 0.08, False),
        (0.38, 0.08, True),
        (0.2, 0.0, False),
        (0.5, 0.3, False),
    ],
)
def test_a_tumor_at_the_axis_is_not_parted(column, radius, fits, keep_tumor):
    changed = mirrored_half(example(column, radius=radius), SIDE / 2, keep_tumor=keep_tumor)
    assert (changed is not None) == fits


def test_tumors_on_both_sides_are_not_parted():
    both = example(0.3).outline | example(0.7).outline
    made = Example(np.where(both, 250, head()).astype(np.uint8), both, "glioma")
    assert mirrored_half(made, SIDE / 2, keep_tumor=False) is None
    assert mirrored_patch(made, SIDE / 2) is None


@pytest.mark.parametrize("column", [0.28, 0.7])
def test_a_patch_covers_the_tumor_and_leaves_the_rest(column):
    made = example(column, size=192)
    changed = mirrored_patch(made, 96)
    assert np.abs(changed.picture.astype(int) - head(192)).max() <= 5
    far = ndimage.distance_transform_edt(made.outline == 0) > 22
    assert far.sum() > 10_000
    np.testing.assert_array_equal(changed.picture[far], made.picture[far])
    assert changed.label == NO_TUMOR
    assert not changed.outline.any()


def test_a_patch_takes_nothing_from_beyond_the_head():
    # The head lies left of the axis, so that the other side of its tumor is black.
    assert mirrored_patch(example(0.25, axis=0.3 * SIDE), 0.5 * SIDE) is None


@pytest.mark.parametrize("seed", range(6))
def test_an_erased_tumor_leaves_tissue_of_its_own_slice(seed):
    made = example(0.35, size=192)
    changed = erased(made, np.random.default_rng(seed))
    tumor = made.outline > 0
    far = ndimage.distance_transform_edt(~tumor) > 5 + 7
    # Nothing but the tumor is brighter than 180.
    assert changed.picture.max() <= 182
    assert (changed.picture[tumor] > 30).all()
    np.testing.assert_array_equal(changed.picture[far], made.picture[far])
    assert changed.label == NO_TUMOR
    assert not changed.outline.any()


@pytest.mark.parametrize(
    "made",
    [
        example(0.5, 0.5, radius=0.4),
        Example(np.indices((SIDE, SIDE))[1].astype(np.uint8) * 2, example(0.5, 0.5, 0.15).outline, "glioma"),
        Example(head(), np.where(disc(SIDE, 40, 40, 1), 50, 0).astype(np.uint8), "glioma"),
    ],
    ids=["no room", "nothing alike", "too faint an outline"],
)
def test_a_tumor_stays_where_nothing_can_take_its_place(made):
    assert all(erased(made, np.random.default_rng(seed)) is None for seed in range(5))


@settings(max_examples=60)
@given(
    st.sampled_from([48, 96]),
    st.floats(0.3, 0.7),
    st.floats(0.3, 0.7),
    st.floats(0.06, 0.12),
    st.integers(0, 2**32 - 1),
)
def test_patchwork_changes_a_place_beside_the_tumor(size, column, row, radius, seed):
    made, donor = example(column, row, radius, size), example(0.4, 0.4, 0.1, size, seed=1)
    changed = patchwork(made, donor, np.random.default_rng(seed))
    if changed is None:
        return
    assert changed.label == made.label
    assert changed.outline is made.outline
    assert (changed.picture.shape, changed.picture.dtype) == (made.picture.shape, np.uint8)
    touched = changed.picture != made.picture
    assert touched.sum() <= (ndimage.binary_dilation(donor.outline > 60, iterations=3 + 7)).sum()
    # The soft rim of the place may take some of the tumor's white, but nothing else is brighter than 180.
    assert changed.picture[made.outline > 0].mean() > 205


def test_patchwork_finds_a_place_in_most_heads_and_none_on_black():
    found = [patchwork(clear(), example(), np.random.default_rng(seed)) for seed in range(20)]
    assert sum(changed is not None and (changed.picture != clear().picture).any() for changed in found) >= 15
    assert all(changed.label == NO_TUMOR and not changed.outline.any() for changed in found if changed)
    black = Example(np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8), NO_TUMOR)
    assert patchwork(black, example(), np.random.default_rng(0)) is None


@settings(max_examples=80)
@given(
    st.sampled_from([32, 48, 96]),
    st.floats(0.25, 0.75),
    st.floats(0.2, 0.8),
    st.floats(0.02, 0.2),
    st.integers(0, 2**32 - 1),
)
def test_a_window_beside_the_tumor_shows_nothing_of_it(size, column, row, radius, seed):
    made = example(column, row, radius, size)
    cut = healthy_patch(made, np.random.default_rng(seed))
    if cut is not None:
        assert (cut.picture.shape, cut.picture.dtype) == ((size, size), np.uint8)
        # Nothing but the tumor is brighter than 180; a resized edge overshoots a little.
        assert cut.picture.max() < 215
        assert (cut.picture > 30).mean() > 0.45
        assert cut.label == NO_TUMOR
        assert not cut.outline.any()


def test_a_window_is_found_beside_most_tumors_and_none_where_there_is_no_room():
    found = [healthy_patch(example(), np.random.default_rng(seed)) for seed in range(20)]
    assert sum(cut is not None for cut in found) >= 15
    everywhere = example(0.5, 0.5, radius=0.4)
    assert healthy_patch(everywhere, np.random.default_rng(0)) is None
    assert healthy_patch(example(size=SIDE, axis=-SIDE), np.random.default_rng(0)) is None


@settings(max_examples=80)
@given(
    st.sampled_from([32, 48, 96]),
    st.floats(0.1, 0.9),
    st.floats(0.1, 0.9),
    st.floats(0.03, 0.25),
    st.integers(0, 2**32 - 1),
)
def test_a_graft_is_either_outlined_or_not_there(size, column, row, radius, seed):
    made, donor = clear(size), example(column, row, radius, size)
    grown = graft(made, donor, np.random.default_rng(seed))
    if grown is made:
        return
    drawn = grown.outline > 127
    inside = ndimage.binary_fill_holes(made.picture > 30)
    assert (grown.picture.shape, grown.picture.dtype) == ((size, size), np.uint8)
    assert (grown.outline.shape, grown.outline.dtype) == ((size, size), np.uint8)
    assert grown.label == ANY_TUMOR
    assert drawn.any()
    assert inside[drawn].mean() >= 0.8
    # 1.5 pixels of softening, cut off at four times that.
    far = ndimage.distance_transform_edt(grown.outline <= 60) > 7
    np.testing.assert_array_equal(grown.picture[far], made.picture[far])


def test_a_graft_keeps_the_contrast_and_about_the_size_of_its_tumor():
    donor, made = example(0.35, radius=0.12), clear()
    made = Example((made.picture * 0.6).astype(np.uint8), made.outline, NO_TUMOR)
    grown = [graft(made, donor, np.random.default_rng(seed)) for seed in range(40)]
    grown = [each for each in grown if each is not made]
    assert len(grown) > 10
    contrast = 250 - np.median(donor.picture[donor.picture > 30])
    for each in grown:
        middle = ndimage.binary_erosion(each.outline > 127, iterations=4)
        assert each.picture[middle].mean() - np.median(made.picture[made.picture > 30]) == pytest.approx(
            contrast, abs=5
        )
        share = (each.outline > 127).sum() / (donor.outline > 127).sum()
        assert 0.5 * 0.7**2 <= share <= 1.05 * 1.2**2


@pytest.mark.parametrize(
    ("made", "donor"),
    [
        (clear(), Example(head(), np.zeros((SIDE, SIDE), np.uint8), "glioma")),
        (Example(np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8), NO_TUMOR), example()),
        (clear(), example(0.5, 0.5, radius=0.6)),
    ],
    ids=["a donor without tumor", "no head", "a tumor larger than the head"],
)
def test_a_graft_that_fits_nowhere_leaves_the_example(made, donor):
    assert all(graft(made, donor, np.random.default_rng(seed)) is made for seed in range(10))


def _change(made, seed=0, axis=SIDE / 2, donor=None, **chances):
    return Counterfactuals(**chances).apply(made, axis, donor, np.random.default_rng(seed))


UNKNOWN = Example(head(), None, "glioma")
EMPTY = Example(head(), np.zeros((SIDE, SIDE), np.uint8), "glioma")
CERTAIN = {"mirror_half": 1.0, "mirror_patch": 1.0, "erase": 1.0, "patch": 1.0, "graft": 1.0}


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (example(), {}),
        (clear(), {}),
        (example(), {"donor": example(), "graft": 1.0}),
        (clear(), CERTAIN),
        (UNKNOWN, {**CERTAIN, "donor": example()}),
        (EMPTY, {**CERTAIN, "donor": example()}),
        (example(), {"axis": None, "mirror_half": 1.0, "mirror_patch": 1.0}),
        (example(0.5), {"mirror_half": 1.0, "mirror_patch": 1.0}),
        (example(0.5, 0.5, 0.4), {"erase": 1.0, "patch": 1.0}),
        (example(), {"patchwork": 1.0}),
    ],
)
def test_where_nothing_fits_an_example_comes_back_as_it_is(made, options):
    assert all(_change(made, seed, **options) is made for seed in range(5))


@pytest.mark.parametrize(
    ("made", "options", "labels"),
    [
        (example(), {"mirror_half": 1.0}, {NO_TUMOR, "glioma"}),
        (example(), {"mirror_patch": 1.0}, {NO_TUMOR}),
        (example(label="tumor"), {"mirror_patch": 1.0}, {NO_TUMOR}),
        (example(), {"erase": 1.0, "axis": None}, {NO_TUMOR}),
        (example(), {"patch": 1.0, "axis": None}, {NO_TUMOR, "glioma"}),
        (example(), {"patchwork": 1.0, "donor": example()}, {"glioma"}),
        (clear(), {"patchwork": 1.0, "donor": example()}, {NO_TUMOR}),
        (clear(), {"graft": 1.0, "donor": example()}, {ANY_TUMOR, NO_TUMOR}),
        (example(), {**CERTAIN, "patchwork": 1.0, "donor": example()}, {NO_TUMOR, "glioma"}),
        # What cannot be mirrored is covered with other tissue.
        (example(0.5), CERTAIN, {NO_TUMOR}),
    ],
)
def test_the_label_says_what_the_picture_came_to_show(made, options, labels):
    changed = [_change(made, seed, **options) for seed in range(40)]
    assert {each.label for each in changed} == labels
    for each in changed:
        assert (each.label == NO_TUMOR) == (not each.outline.any())
    assert any((each.picture != made.picture).any() for each in changed)


def test_changes_come_as_often_as_asked_for():
    chances = Counterfactuals(mirror_half=0.4, mirror_patch=0.3)
    random = np.random.default_rng(0)
    made, count = example(), 1500
    named = {
        "as it was": made,
        "patched": mirrored_patch(made, SIDE / 2),
        "emptied": mirrored_half(made, SIDE / 2, keep_tumor=False),
        "doubled": mirrored_half(made, SIDE / 2, keep_tumor=True),
    }
    changed = [chances.apply(made, SIDE / 2, None, random).picture for _ in range(count)]
    seen = {name: np.mean([np.array_equal(each, is_so.picture) for each in changed]) for name, is_so in named.items()}
    assert seen == pytest.approx(
        # Of what was not mirrored as a half, 0.3 has its tumor covered.
        {"as it was": 0.6 * 0.7, "patched": 0.6 * 0.3, "emptied": 0.4 * 0.65, "doubled": 0.4 * 0.35},
        abs=0.04,
    )


@pytest.mark.parametrize(
    ("chances", "mirrors"),
    [
        ({}, False),
        ({"erase": 1, "patch": 1, "patchwork": 1, "graft": 1}, False),
        ({"mirror_half": 0.1}, True),
        ({"mirror_patch": 0.1}, True),
    ],
)
def test_an_axis_is_asked_for_only_where_one_is_used(chances, mirrors):
    assert Counterfactuals(**chances).mirrors == mirrors


@settings(max_examples=60)
@given(
    st.sampled_from([32, 48, 64]),
    st.integers(0, 2**32 - 1),
    st.fixed_dictionaries({field.name: st.floats(0, 1) for field in fields(Counterfactuals)}),
    st.sampled_from(["glioma", "tumor", NO_TUMOR]),
    st.one_of(st.none(), st.floats(0, 64)),
)
def test_any_chances_keep_shapes_and_inputs_and_are_reproducible(size, seed, chances, label, axis):
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (size, size), dtype=np.uint8)
    tumor = disc(size, *random.uniform(0, size, 2), random.uniform(0, size / 4)).astype(np.uint8) * 255
    made = Example(picture, np.zeros_like(tumor) if label == NO_TUMOR else tumor, label)
    donor = example(size=size)
    before = [array.copy() for array in (made.picture, made.outline, donor.picture, donor.outline)]
    first, again = (Counterfactuals(**chances).apply(made, axis, donor, np.random.default_rng(seed)) for _ in range(2))
    for array in (first.picture, first.outline):
        assert (array.shape, array.dtype) == ((size, size), np.uint8)
    assert first.label in {label, NO_TUMOR, ANY_TUMOR}
    np.testing.assert_array_equal(first.picture, again.picture)
    for array, kept in zip((made.picture, made.outline, donor.picture, donor.outline), before, strict=True):
        np.testing.assert_array_equal(array, kept)
