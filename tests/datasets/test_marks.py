import numpy as np
import pytest

from braintumor.datasets import draw_marks
from braintumor.datasets.marks import _KINDS, _cover
from braintumor.scans import phantom

HEAD = phantom(160)


@pytest.mark.parametrize("kind", sorted(set(_KINDS), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_each_kind_covers_some_of_a_picture_and_leaves_the_rest(kind):
    covers = [_cover(kind, HEAD.shape, np.random.default_rng(seed)) for seed in range(6)]
    shares = [float(cover.mean()) for cover in covers]
    assert all(cover.shape == HEAD.shape and cover.min() >= 0 and cover.max() <= 1 for cover in covers)
    assert max(shares) > 5e-4
    assert max(shares) < 0.6


def test_marks_change_a_picture_where_they_are_seen_and_hardly_elsewhere():
    for seed in range(8):
        marked = draw_marks(HEAD, np.random.default_rng(seed))
        change = np.abs(marked.picture.astype(int) - HEAD)
        assert (change[marked.seen] >= 9).all()
        assert (change[~marked.seen] <= 10).all()


def test_marks_are_the_same_for_the_same_seed_alone():
    first, again, other = (draw_marks(HEAD, np.random.default_rng(seed)).picture for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
