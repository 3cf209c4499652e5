"""Lesions of two scans, from outlines that were cut anew to what is claimed of each."""

import numpy as np
import pytest

from braintumor.evaluation import ChangeError
from braintumor.registration import Match, Outline, align, match
from braintumor.reports.follow_up import Outlined, Quantity, lesion_changes
from braintumor.segmentation import Lesion, lesions, regions
from tests.registration.made_heads import any_motion, ball, head, scan

ERROR = ChangeError(2.25, 0.9, 500)
LESIONS = (Lesion(8.0, 30.0, 20.0, 3, 12), Lesion(2.0, 16.0, 12.0, 1, 4), Lesion(0.5, 9.0, 8.0, 20, 21))


def test_each_lesion_is_compared_with_its_own():
    before = Outlined(10.5, LESIONS, "a")
    grown = Outlined(36.0, (Lesion(28.0, 44.0, 32.0, 2, 13), Lesion(8.0, 30.0, 20.0, 3, 12)), "a")
    matches = [Match((1,), (2,)), Match((2,), (1,)), Match((3,), ()), Match((), (9,))]
    found = lesion_changes(matches, before, grown, ERROR)
    assert [(one.changes[0].before, one.changes[0].now) for one in found[:2]] == [(8.0, 8.0), (2.0, 28.0)]
    assert [one.changes[0].is_beyond_error for one in found[:2]] == [False, True]
    assert [(one.before is None, one.now is None, one.changes) for one in found[2:]] == [(False, True, ())]


def test_lesions_that_flowed_together_are_compared_by_their_sum():
    (found,) = lesion_changes(
        [Match((1, 2), (1,))],
        Outlined(10.5, LESIONS, "a"),
        Outlined(11.0, (Lesion(11.0, 32.0, 24.0, 1, 12),), "a"),
        ERROR,
    )
    assert (found.changes[0].before, found.changes[0].now) == (10.0, 11.0)
    assert [change.quantity for change in found.changes][:2] == [Quantity.VOLUME, Quantity.LONGEST]


@pytest.mark.parametrize("models", [("a", "b"), ("a", None), (None, None)])
def test_of_outlines_by_others_no_change_is_claimed(models):
    before, now = (Outlined(volume, LESIONS, model) for volume, model in zip((10.5, 90.0), models, strict=True))
    (found,) = lesion_changes([Match((1,), (1,))], before, now, ERROR)
    assert {change.is_beyond_error for change in found.changes} == {None}


def test_copies_of_one_head_that_were_sliced_anew_claim_no_growth_of_any_lesion():
    """Each copy is moved, cut into other slices, laid on the first, and its lesions matched; outlines are right."""
    random = np.random.default_rng(12)
    masks = [_drawn(random) for _ in range(2)]
    claimed, alone = [], 0
    for mask in (masks[number % 2] for number in range(3)):
        true = any_motion(random, random.uniform(0, 12), random.uniform(0, 12))
        (now, now_mask), (before, before_mask) = (_cut(mask, moved, random) for moved in (None, true))
        found = align(now, before)
        assert found.is_trusted
        earlier, later = (_numbered(mask, part) for mask, part in ((before_mask, before), (now_mask, now)))
        matches = match(earlier[0], later[0], found.matrix)
        for one in lesion_changes(matches, earlier[1], later[1], ERROR):
            alone += one.before is None or one.now is None
            claimed += [change.is_beyond_error for change in one.changes]
    assert len(claimed) >= 40
    assert np.mean(claimed) <= 0.05
    assert alone <= 1


def _drawn(random):
    """Draw four lesions of 4 to 18 mm into the brain, each in a part of its own."""
    middles = [(x, y, 5 * (x + y) / 50) for x in (-25, 25) for y in (-35, 30)]
    return sum(ball(np.array(middle) + random.uniform(-5, 5, 3), random.uniform(4, 18, 3)) for middle in middles) > 0


def _cut(mask, moved, random):
    """Scan a head with its lesions, and its outline, into slices of any thickness; the same for both."""
    spacing = tuple(random.uniform((3, 1.5, 1.5), (6, 2, 2)))
    at = int(random.integers(2**31))
    marked = np.where(mask, 950, head()).astype(np.float32)
    scanned = scan(marked, spacing, moved, 40, np.random.default_rng(at))
    outlined = scan(mask.astype(np.float32), spacing, moved, 0, np.random.default_rng(at))
    return scanned, outlined.pixels > 0.5


def _numbered(mask, scanned):
    spacing = tuple(np.linalg.norm(scanned.affine[:3, :3], axis=0))
    found = regions(mask)
    measured = tuple(lesions(mask, spacing, 30, found))
    return Outline(found, scanned.affine), Outlined(sum(one.volume_ml for one in measured), measured, "a")
