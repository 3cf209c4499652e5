import numpy as np
import pytest
from PIL import Image, ImageDraw

from braintumor.training.marks import MARKS, mark

SIDE = 96
GRAY = np.full((SIDE, SIDE), 60, np.uint8)


@pytest.mark.parametrize("number", range(len(MARKS)))
def test_every_mark_shows_and_leaves_most_of_the_picture_as_it_is(number):
    changed = []
    for seed in range(10):
        image = Image.fromarray(GRAY)
        MARKS[number](ImageDraw.Draw(image), SIDE, 200, np.random.default_rng(seed))
        drawn = np.asarray(image)
        assert drawn.min() == 60
        changed.append((drawn != 60).mean())
    assert np.median(changed) > 0.003
    assert max(changed) < 0.25


def test_marks_differ_from_draw_to_draw_and_are_the_same_for_the_same_seed():
    made = [mark(GRAY, np.random.default_rng(seed)) for seed in (0, 0, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert len({picture.tobytes() for picture in made}) == 3
    assert all(picture.dtype == np.uint8 and picture.shape == GRAY.shape for picture in made)
