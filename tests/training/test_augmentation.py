from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.scans import phantom
from braintumor.training.augmentation import Augmentation

OFF = dict.fromkeys((field.name for field in fields(Augmentation)), 0.0)
PICTURE = phantom(48)


def _apply(picture=PICTURE, seed=0, **amounts):
    return Augmentation(**{**OFF, **amounts}).apply(picture, np.random.default_rng(seed))


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
    changed = [_apply(seed=seed, **{name: amount}) for seed in range(6)]
    assert any(np.abs(picture.astype(int) - PICTURE).max() > 5 for picture in changed)


def test_same_seed_gives_the_same_picture_and_another_seed_another():
    amounts = Augmentation()
    first, again, other = (amounts.apply(PICTURE, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_picture_given_is_not_touched():
    before = PICTURE.copy()
    for seed in range(10):
        Augmentation().apply(PICTURE, np.random.default_rng(seed))
    np.testing.assert_array_equal(PICTURE, before)


@pytest.mark.parametrize(
    ("amounts", "value", "lowest", "highest"),
    [({"brightness": 0.1}, 100, 74, 126), ({"gamma": 1.0}, 64, 16, 128), ({"contrast": 1.0}, 90, 89, 91)],
)
def test_flat_picture_shows_the_bounds(amounts, value, lowest, highest):
    flat = np.full((16, 16), value, np.uint8)
    seen = [_apply(flat, seed, **amounts)[4:12, 4:12] for seed in range(60)]
    assert min(picture.min() for picture in seen) >= lowest - 1
    assert max(picture.max() for picture in seen) <= highest + 1


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(2, 40),
    value=st.sampled_from([0, 1, 128, 255, None]),
    seed=st.integers(0, 2**32 - 1),
    amounts=st.fixed_dictionaries(
        {
            "rotation": st.floats(0, 180),
            "scaling": st.floats(0, 0.9),
            "shift": st.floats(0, 1),
            "crop": st.floats(0, 0.9),
            "brightness": st.floats(0, 1),
            "contrast": st.floats(0, 4),
            "gamma": st.floats(0, 4),
            "noise": st.floats(0, 100),
            "blur": st.floats(0, 10),
            "flip": st.floats(0, 1),
            "upside_down": st.floats(0, 1),
            "quarter_turn": st.floats(0, 1),
        }
    ),
)
def test_any_amounts_keep_shape_and_type_and_are_reproducible(side, value, seed, amounts):
    if value is None:
        picture = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    else:
        picture = np.full((side, side), value, np.uint8)
    augmentation = Augmentation(**amounts)
    changed = augmentation.apply(picture, np.random.default_rng(seed))
    assert (changed.shape, changed.dtype) == (picture.shape, np.uint8)
    np.testing.assert_array_equal(changed, augmentation.apply(picture, np.random.default_rng(seed)))
