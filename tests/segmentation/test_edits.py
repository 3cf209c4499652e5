import numpy as np
import pytest

from braintumor.segmentation import edited, regions

SPACING = (5.0, 1.0, 2.0)


@pytest.fixture
def mask():
    """A lesion of 9 × 9 pixels in three slices, and one of 3 × 3 in two."""
    made = np.zeros((6, 40, 40), bool)
    made[1:4, 5:14, 5:14] = True
    made[3:5, 30:33, 30:33] = True
    return made


def sizes(mask):
    """Give how many voxels each lesion has, the largest first."""
    numbers = regions(mask).numbers
    return [int(count) for count in np.bincount(numbers.ravel())[1:]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [243, 18]),
        ({1: None}, [18]),
        ({2: None}, [243]),
        ({1: None, 2: None}, []),
        ({1: 0.0}, [243, 18]),
        # A row on either side is a millimeter away, a column two.
        ({1: 1.0}, [3 * 9 * 11, 18]),
        ({1: 2.0}, [3 * (9 * 13 + 2 * 9), 18]),
        ({1: -1.0}, [3 * 9 * 7, 18]),
        ({1: -2.0}, [3 * 7 * 5, 18]),
        ({1: -99.0}, [18]),
        ({1: None, 2: 1.0}, [2 * 3 * 5]),
    ],
)
def test_borders_move_within_the_slices(mask, changes, expected):
    before = mask.copy()
    found = edited(mask, changes, SPACING)
    assert sizes(found) == expected
    assert (mask == before).all()
    assert not (found.any(axis=(1, 2)) & ~mask.any(axis=(1, 2))).any()


def test_without_a_spacing_they_are_pixels(mask):
    assert sizes(edited(mask, {2: 1.0}, None)) == [243, 2 * (9 + 4 * 3)]


def test_what_grows_into_a_rejected_lesion_stays(mask):
    mask[3, 9, 16] = True
    found = edited(mask, {1: 6.0, 3: None}, SPACING)
    assert found[3, 9, 14:17].all()


def test_a_lesion_that_is_not_there_is_refused(mask):
    with pytest.raises(ValueError, match="no such lesion"):
        edited(mask, {3: None}, SPACING)
