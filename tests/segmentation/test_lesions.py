import numpy as np
import pytest

from braintumor.segmentation import bidirectional_diameters, lesions

SPACING = (3.0, 1.0, 0.5)


def boxes(*corners, shape=(12, 40, 40)):
    mask = np.zeros(shape, bool)
    for first, last in corners:
        mask[tuple(slice(low, high) for low, high in zip(first, last, strict=True))] = True
    return mask


def test_each_is_measured_by_itself_the_largest_first():
    small, large = ((1, 2, 2), (3, 6, 8)), ((4, 20, 10), (9, 30, 26))
    found = lesions(boxes(small, large), SPACING)
    assert [lesion.volume_ml for lesion in found] == pytest.approx([5 * 10 * 16 * 1.5 / 1000, 2 * 4 * 6 * 1.5 / 1000])
    assert [(lesion.first_slice, lesion.last_slice) for lesion in found] == [(4, 8), (1, 2)]
    for lesion, box in zip(found, (large, small), strict=True):
        assert (lesion.longest_mm, lesion.perpendicular_mm) == bidirectional_diameters(boxes(box), SPACING)


def test_what_touches_at_a_corner_is_one():
    assert len(lesions(boxes(((0, 0, 0), (2, 2, 2)), ((2, 2, 2), (4, 4, 4))), SPACING)) == 1


@pytest.mark.parametrize(("count", "most", "given"), [(0, 10, 0), (3, 10, 3), (3, 2, 2)])
def test_no_more_than_the_largest_are_given(count, most, given):
    mask = boxes(*(((2 * number, 0, 0), (2 * number + 1, 3 + number, 3)) for number in range(count)))
    found = lesions(mask, SPACING, most)
    assert len(found) == given
    assert found == sorted(found, key=lambda lesion: -lesion.volume_ml)
