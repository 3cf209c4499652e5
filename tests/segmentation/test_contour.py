import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from braintumor.segmentation import draw_outline, outline

RED = (255, 0, 0)
MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def box(top, bottom, left, right, shape=(12, 14)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "thickness", "inside"),
    [
        (box(2, 10, 2, 12), 1, box(3, 9, 3, 11)),
        (box(2, 10, 2, 12), 2, box(4, 8, 4, 10)),
        (box(2, 5, 2, 5), 2, box(0, 0, 0, 0)),
        (box(0, 12, 0, 14), 2, box(2, 10, 2, 12)),
        (box(0, 6, 0, 14), 1, box(1, 5, 1, 13)),
    ],
    ids=["thin", "thick", "nothing is left inside", "the whole picture", "at three edges"],
)
def test_outline_by_hand(mask, thickness, inside):
    np.testing.assert_array_equal(outline(mask, thickness), mask & ~inside)


@given(MASKS, st.integers(1, 5))
def test_outline_is_the_part_near_the_outside(mask, thickness):
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    near = np.array(
        [
            [np.abs(outside - (row, column)).max(axis=1).min() <= thickness for column in range(mask.shape[1])]
            for row in range(mask.shape[0])
        ]
    )
    np.testing.assert_array_equal(outline(mask, thickness), mask & near)


@pytest.mark.parametrize("thickness", [0, -1])
def test_an_outline_has_some_thickness(thickness):
    with pytest.raises(ValueError, match="thickness"):
        outline(box(2, 10, 2, 12), thickness)


@pytest.mark.parametrize(
    ("opacity", "fill", "contour", "inside"),
    [
        (1, 0, (255, 0, 0), (100, 100, 100)),
        (1, 1, (255, 0, 0), (255, 0, 0)),
        (0.5, 0, (178, 50, 50), (100, 100, 100)),
        (0.5, 0.5, (178, 50, 50), (139, 75, 75)),
        (0, 1, (100, 100, 100), (100, 100, 100)),
    ],
)
def test_colors_by_hand(opacity, fill, contour, inside):
    drawn = draw_outline(np.full((12, 14), 100, np.uint8), box(2, 10, 2, 12), RED, opacity, fill, thickness=1)
    assert (drawn.shape, drawn.dtype) == ((12, 14, 3), np.uint8)
    assert tuple(drawn[2, 5]) == contour
    assert tuple(drawn[6, 6]) == inside
    assert tuple(drawn[1, 1]) == (100, 100, 100)


@pytest.mark.parametrize("shape", [(12, 14), (12, 14, 3)])
def test_the_picture_given_and_what_lies_outside_stay_as_they_are(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before, mask = picture.copy(), box(2, 10, 0, 9)
    drawn = draw_outline(picture, mask, (0, 200, 90), 0.8, 0.3)
    colored = before if picture.ndim == 3 else np.stack([before] * 3, axis=-1)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(drawn[~mask], colored[~mask])
    assert (drawn[outline(mask)] != colored[outline(mask)]).any(axis=1).all()


@given(MASKS, st.integers(0, 255), st.floats(0, 1), st.floats(0, 1))
def test_colors_lie_between_those_of_picture_and_outline(mask, gray, opacity, fill):
    drawn = draw_outline(np.full(mask.shape, gray, np.uint8), mask, (255, 0, gray), opacity, fill)
    assert drawn[..., 0].min() >= gray
    assert drawn[..., 1].max() <= gray
    assert (drawn[..., 2] == gray).all()


@pytest.mark.parametrize(
    ("picture", "options", "words"),
    [
        (np.zeros((12, 14), np.uint8), {"opacity": 1.1}, "opacity"),
        (np.zeros((12, 14), np.uint8), {"opacity": float("nan")}, "opacity"),
        (np.zeros((12, 14), np.uint8), {"fill": -0.1}, "fill"),
        (np.zeros((12, 14), np.uint8), {"thickness": 0}, "thickness"),
        (np.zeros((14, 12), np.uint8), {}, "shape"),
        (np.zeros((12, 14, 4), np.uint8), {}, "shape"),
    ],
)
def test_what_cannot_be_drawn_is_refused(picture, options, words):
    with pytest.raises(ValueError, match=words):
        draw_outline(picture, box(2, 10, 2, 12), RED, **{"opacity": 0.5} | options)
