import io
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from braintumor.scans import phantom
from braintumor.training.augmentation import Augmentation, remapped, stripped
from tests.conftest import phantom_outline
from tests.training.heads import SIDE, clear, example

OFF = dict.fromkeys((field.name for field in fields(Augmentation)), 0.0)
ALL = Augmentation(bias_field=0.5, coarseness=1.0, jpeg=0.5)
PICTURE = phantom(48)
OUTLINE = phantom_outline(48).astype(np.uint8) * 255


def _apply(picture=PICTURE, seed=0, **amounts):
    return Augmentation(**{**OFF, **amounts}).apply(picture, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("seed", range(8))
def test_without_any_amount_the_picture_stays(seed):
    np.testing.assert_allclose(_apply(seed=seed).astype(int), PICTURE, atol=1)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ({"flip": 1.0}, PICTURE[:, ::-1]),
        ({"upside_down": 1.0}, PICTURE[::-1]),
        ({"flip": 1.0, "upside_down": 1.0}, PICTURE[::-1, ::-1]),
    ],
)
def test_flips_mirror_the_picture(amounts, expected):
    flipped = _apply(**amounts).astype(int)
    # The axis of the mirror may lie half a pixel off the middle.
    shifts = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    misses = [np.abs(flipped - np.roll(expected, shift, (0, 1)))[2:-2, 2:-2].max() for shift in shifts]
    assert min(misses) <= 1
    assert np.abs(flipped - PICTURE).max() > 50


def test_quarter_turns_are_exact_and_all_three_occur():
    turns = [np.rot90(PICTURE, turn).astype(int) for turn in (1, 2, 3)]
    seen = set()
    for seed in range(20):
        turned = _apply(seed=seed, quarter_turn=1.0)
        seen.add(int(np.argmin([np.abs(turned - turn).max() for turn in turns])))
        assert min(np.abs(turned - turn).max() for turn in turns) <= 1
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("name", sorted(OFF))
def test_every_amount_changes_the_picture_by_itself(name):
    amount = {"rotation": 30.0, "noise": 20.0, "blur": 3.0}.get(name, 0.8)
    changed = [_apply(seed=seed, **{name: amount}) for seed in range(8)]
    assert any(np.abs(picture.astype(int) - PICTURE).max() > 5 for picture in changed)


def test_same_seed_gives_the_same_picture_and_another_seed_another():
    amounts = Augmentation()
    first, again, other = (amounts.apply(PICTURE, np.random.default_rng(seed))[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_what_is_given_is_not_touched():
    picture, outline = PICTURE.copy(), OUTLINE.copy()
    for seed in range(10):
        ALL.apply(PICTURE, np.random.default_rng(seed), OUTLINE)
    np.testing.assert_array_equal(PICTURE, picture)
    np.testing.assert_array_equal(OUTLINE, outline)


@pytest.mark.parametrize(
    ("amounts", "value", "lowest", "highest"),
    [
        ({"brightness": 0.1}, 100, 74, 126),
        ({"gamma": 1.0}, 64, 16, 128),
        ({"contrast": 1.0}, 90, 89, 91),
        # Between its cells the field overshoots a little.
        ({"bias_field": 1.0}, 60, 28, 128),
        ({"coarseness": 1.0}, 90, 89, 90),
        ({"jpeg": 1.0}, 90, 88, 92),
    ],
)
def test_flat_picture_shows_the_bounds(amounts, value, lowest, highest):
    flat = np.full((16, 16), value, np.uint8)
    seen = [_apply(flat, seed, **amounts)[4:12, 4:12] for seed in range(60)]
    assert min(picture.min() for picture in seen) >= lowest - 1
    assert max(picture.max() for picture in seen) <= highest + 1


def test_a_bias_field_is_smooth_and_uneven():
    flat = np.full((96, 96), 100, np.uint8)
    changed = [_apply(flat, seed, bias_field=0.5).astype(int) for seed in range(10)]
    assert max(np.ptp(picture) for picture in changed) > 25
    assert max(np.abs(np.diff(picture, axis=axis)).max() for picture in changed for axis in (0, 1)) <= 6


def test_coarser_pixels_lose_detail_and_keep_the_rest():
    fine = np.indices((48, 48)).sum(axis=0) % 2 * 255
    picture = np.where(np.arange(48) < 24, fine, 100).astype(np.uint8)
    changed = [_apply(picture, seed, coarseness=2.0) for seed in range(30)]
    kept = [np.abs(np.diff(coarse[:, 2:20].astype(int))).mean() for coarse in changed]
    assert max(kept) > 250
    assert min(kept) < 30
    assert all(np.abs(coarse[:, 30:46].astype(int) - 100).max() <= 2 for coarse in changed)


def test_compression_is_that_of_a_jpeg():
    changed = _apply(jpeg=1.0)
    misses = []
    for quality in range(30, 95):
        file = io.BytesIO()
        Image.fromarray(_apply()).save(file, "JPEG", quality=quality)
        misses.append(np.abs(np.asarray(Image.open(file), int) - changed).max())
    assert min(misses) == 0
    assert np.abs(changed.astype(int) - PICTURE).max() > 5


GEOMETRY = {
    "rotation": st.floats(0, 180),
    "scaling": st.floats(0, 0.9),
    "shift": st.floats(0, 1),
    "crop": st.floats(0, 0.9),
    "warp": st.floats(0, 0.5),
    "flip": st.floats(0, 1),
    "upside_down": st.floats(0, 1),
    "quarter_turn": st.floats(0, 1),
}
COLOR = {
    "brightness": st.floats(0, 1),
    "contrast": st.floats(0, 4),
    "gamma": st.floats(0, 4),
    "bias_field": st.floats(0, 4),
    "noise": st.floats(0, 100),
    "blur": st.floats(0, 10),
    "coarseness": st.floats(0, 4),
    "jpeg": st.floats(0, 1),
    "remap": st.floats(0, 1),
    "marks": st.floats(0, 1),
}


def test_every_amount_is_of_one_kind_or_the_other():
    # Stripping moves, and blackens what an outline spares.
    assert {*GEOMETRY, *COLOR, "strip"} == set(OFF)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), amounts=st.fixed_dictionaries(GEOMETRY))
def test_an_outline_moves_as_its_picture_does(seed, amounts):
    augmentation = Augmentation(**{**OFF, **amounts})
    picture, outline = augmentation.apply(PICTURE, np.random.default_rng(seed), PICTURE)
    assert (outline.shape, outline.dtype) == (PICTURE.shape, np.uint8)
    # Gray values are rounded once more than outlines.
    np.testing.assert_allclose(outline.astype(int), picture, atol=1)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), amounts=st.fixed_dictionaries(COLOR))
def test_an_outline_keeps_out_of_all_that_is_done_to_gray_values(seed, amounts):
    augmentation = Augmentation(**{**OFF, **amounts})
    _, outline = augmentation.apply(PICTURE, np.random.default_rng(seed), OUTLINE)
    np.testing.assert_array_equal(outline, OUTLINE)


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_changes_alike_with_an_outline_and_without(seed):
    with_outline, outline = ALL.apply(PICTURE, np.random.default_rng(seed), OUTLINE)
    alone, none = ALL.apply(PICTURE, np.random.default_rng(seed))
    np.testing.assert_array_equal(with_outline, alone)
    assert outline.max() > 200
    assert none is None


@settings(max_examples=60)
@given(
    side=st.integers(2, 40),
    value=st.sampled_from([0, 1, 128, 255, None]),
    seed=st.integers(0, 2**32 - 1),
    amounts=st.fixed_dictionaries({**GEOMETRY, **COLOR}),
)
def test_any_amounts_keep_shape_and_type_and_are_reproducible(side, value, seed, amounts):
    if value is None:
        picture = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    else:
        picture = np.full((side, side), value, np.uint8)
    augmentation = Augmentation(**amounts)
    changed, outline = augmentation.apply(picture, np.random.default_rng(seed), picture)
    again, outline_again = augmentation.apply(picture, np.random.default_rng(seed), picture)
    for first, second in ((changed, again), (outline, outline_again)):
        assert (first.shape, first.dtype) == (picture.shape, np.uint8)
        np.testing.assert_array_equal(first, second)


@given(st.integers(0, 2**32 - 1))
def test_a_random_curve_keeps_black_black_and_rising_by_half(seed):
    ramp = np.arange(256, dtype=np.uint8)[np.newaxis]
    curve = remapped(ramp, np.random.default_rng(seed))[0].astype(int)
    knots = np.rint(np.linspace(0, 255, 7)).astype(int)
    assert curve[0] == 0
    # Each knot lies between half its value and half way from it to white.
    assert (curve[knots] >= knots // 2 - 1).all()
    assert (curve[knots] <= (knots + 255) // 2 + 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_stripped_head_lost_its_rim_and_fills_the_square_again(seed):
    head = clear(seed=seed)
    brain, outline = stripped(head.picture, head.outline, np.random.default_rng(seed))
    rows = np.flatnonzero((brain > 20).any(axis=1))
    assert rows[-1] - rows[0] > 0.93 * SIDE
    assert not outline.any()
    # The ellipse is as wide as before against its height, less the same rim on all sides.
    columns = np.flatnonzero((brain > 20).any(axis=0))
    assert 0.6 < (columns[-1] - columns[0]) / (rows[-1] - rows[0]) < 0.36 / 0.46


def test_stripping_moves_an_outline_along_and_spares_a_tumor_in_the_rim():
    deep = example(column=0.45, row=0.5)
    brain, outline = stripped(deep.picture, deep.outline, np.random.default_rng(0))
    assert np.median(brain[outline > 127]) > 240
    assert (outline > 127).sum() > 1.1 * (deep.outline > 127).sum()
    rim = example(column=0.2, row=0.5)
    same = stripped(rim.picture, rim.outline, np.random.default_rng(0))
    assert same[0] is rim.picture
    assert same[1] is rim.outline
