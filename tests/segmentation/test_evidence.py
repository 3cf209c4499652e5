import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.scans import Prepared, phantom, place_on_scan, prepare
from braintumor.segmentation import EVIDENCE, evidence, head_share, on_grid

EMPTY = np.zeros((64, 64), np.float32)


def _with(rows, columns, value=0.9):
    found = EMPTY.copy()
    found[rows, columns] = value
    return found


BLOB = _with(slice(20, 28), slice(20, 28))
OTHER = _with(slice(40, 60), slice(40, 60))


@pytest.mark.parametrize(
    ("maps", "scores", "region", "key"),
    [
        ([EMPTY] * 6, [0, 0, 3, 0, 0, 0], (), 2),
        ([EMPTY, BLOB, BLOB, EMPTY, EMPTY, EMPTY], [0, 1, 2, 0, 5, 0], (1, 2), 2),
        # One cell larger in one slice is less than a smaller one that goes on.
        ([BLOB, BLOB, BLOB, BLOB, EMPTY, _with(slice(0, 12), slice(0, 12))], [0, 0, 1, 0, 0, 3], (0, 1, 2, 3), 2),
        ([OTHER, BLOB, EMPTY, BLOB, BLOB, EMPTY], [1, 1, 1, 1, 1, 1], (0,), 0),
        # Below even odds nothing is a region.
        ([_with(slice(0, 9), slice(0, 9), 0.4)] * 6, [0, 1, 0, 0, 0, 0], (), 1),
    ],
)
def test_the_largest_region_joined_over_slices_names_the_slices_and_the_key(maps, scores, region, key):
    found = evidence(scores, np.stack(maps), [0.5] * 6, [True] * 6)
    assert found.slices == region
    assert found.key == key
    assert found.extent == len(region) / 6
    cells = sum((maps[number] >= 0.5).sum() for number in region)
    assert found.volume == pytest.approx(cells / (0.5 * 6 * 64**2))


@pytest.mark.parametrize(
    ("scores", "highest", "lasting", "above"),
    [
        ([-3, -3, 6, -3, -3], 6, -3, 0.2),
        ([-3, 4, 6, 5, -3], 6, 4, 0.6),
        ([1, 1], 1, 1, 0),
        # Of 80 slices or more, two and more are taken together: a single thin one counts for nothing.
        ([-3] * 40 + [9] + [-3] * 41, 3, -3, 1 / 41),
        ([-3] * 40 + [9] * 6 + [-3] * 36, 9, 9, 3 / 41),
    ],
)
def test_scores_that_last_count_beside_the_highest(scores, highest, lasting, above):
    found = evidence(scores, None, [0.5] * len(scores), [True] * len(scores))
    assert (found.highest, found.lasting) == (highest, lasting)
    assert found.above == pytest.approx(above)
    assert (found.volume, found.extent, found.slices) == (0, 0, ())


def test_empty_slices_are_left_out_and_keep_their_numbers():
    scores, maps = [9, -1, 2, 1, 0, 9], np.stack([BLOB, EMPTY, BLOB, BLOB, EMPTY, BLOB])
    found = evidence(scores, maps, [0.5] * 6, [False, True, True, True, True, False])
    assert found.slices == (2, 3)
    assert (found.highest, found.key, found.extent) == (2, 2, 0.5)
    assert np.isfinite(found.figures).all()
    assert len(found.figures) == len(EVIDENCE)


def test_a_stack_of_empty_slices_is_refused():
    with pytest.raises(ValueError, match="every slice is empty"):
        evidence([1, 2], None, [0, 0], [False, False])


@settings(max_examples=30)
@given(st.integers(-30, 60), st.integers(-30, 60), st.integers(40, 160), st.sampled_from([(96, 96), (128, 80)]))
def test_the_coarse_grid_agrees_with_the_map_laid_on_the_scan(top, left, side, shape):
    tumor_map = np.zeros((32, 32), np.float32)
    tumor_map[10:20, 6:24] = 1
    square = Prepared(np.zeros((64, 64), np.uint8), top, left, side)
    laid = place_on_scan(tumor_map, square, shape)
    found = on_grid(tumor_map, square, shape)
    assert found.shape == (64, 64)
    assert found.mean() == pytest.approx(laid.mean(), abs=0.02)


def test_the_head_covers_its_share_of_the_slice():
    picture = phantom(96).astype(np.float32)
    wide = np.zeros((96, 192), np.float32)
    wide[:, 48:144] = picture
    alone, beside = (head_share(prepare(one, 64), one.shape) for one in (picture, wide))
    assert 0.3 < alone < 0.9
    assert beside == pytest.approx(alone / 2, rel=0.05)
