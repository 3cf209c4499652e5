import numpy as np
import pytest

from braintumor.registration import Match, Outline, match
from braintumor.segmentation import Regions
from tests.registration.made_heads import motion

AFFINE = np.array([[0, 0, 1.0, -30], [0, 1.0, 0, -30], [2.0, 0, 0, -20], [0, 0, 0, 1]])

ALONE = [Match((), (1,)), Match((1,), ()), Match((2,), ())]


def outlined(*boxes, affine=AFFINE):
    """Number boxes of voxels, each given by its first voxel and its side, from 1 on."""
    numbers = np.zeros((30, 60, 60), np.int32)
    for number, (corner, side) in enumerate(boxes, 1):
        numbers[tuple(slice(at, at + side) for at in corner)] = number
    return Outline(Regions(numbers[1:], (1, 0, 0)), affine)


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ([((5, 5, 5), 6)], [((6, 6, 6), 8)], [Match((1,), (1,))]),
        # What does not overlap is matched to the nearest, unless that is too far.
        ([((5, 5, 5), 3)], [((5, 9, 5), 3)], [Match((1,), (1,))]),
        ([((5, 5, 5), 3)], [((5, 40, 5), 3)], [Match((), (1,)), Match((1,), ())]),
        # One that grew over two is both of them; the two parts of another were one.
        ([((5, 5, 5), 4), ((5, 11, 5), 4)], [((4, 4, 4), 12)], [Match((1, 2), (1,))]),
        ([((4, 4, 4), 12)], [((5, 5, 5), 4), ((5, 11, 5), 4)], [Match((1,), (1, 2))]),
        # By place and not by size.
        (
            [((2, 5, 5), 8), ((20, 40, 40), 4)],
            [((18, 38, 38), 10), ((3, 6, 6), 5)],
            [Match((2,), (1,)), Match((1,), (2,))],
        ),
        # A corner that touches is no match.
        ([((2, 5, 5), 8), ((20, 40, 40), 4)], [((9, 12, 12), 6)], ALONE),
        ([], [((5, 5, 5), 4)], [Match((), (1,))]),
        ([], [], []),
    ],
)
def test_lesions_are_matched_by_place(before, now, found):
    assert match(outlined(*before), outlined(*now), np.eye(4)) == found


def test_the_motion_between_the_scans_counts():
    shifted = motion([0, 0, 0], [0, 25, 0])
    before, now = outlined(((5, 35, 5), 5)), outlined(((5, 10, 5), 5))
    assert match(before, now, shifted) == [Match((1,), (1,))]
    assert match(before, now, np.eye(4)) == [Match((), (1,)), Match((1,), ())]


def test_of_a_mask_of_thousands_of_lesions_the_largest_are_matched():
    """As of noise: the tables of distances would take gigabytes."""
    numbers = np.zeros((20, 40, 40), np.int32)
    numbers[::2, ::2, ::2] = np.arange(1, 4001).reshape(10, 20, 20)
    made = Outline(Regions(numbers, (0, 0, 0)), AFFINE)
    assert match(made, made, np.eye(4)) == [Match((number,), (number,)) for number in range(1, 501)]
