import numpy as np
import pytest

from braintumor.decision import CopyDetector, small_square
from braintumor.decision.copies import SIDE
from braintumor.scans import phantom

HEADS = np.stack([small_square(phantom(128, tumor=bool(seed % 2), seed=seed)) for seed in range(40)])
LEARNED, OTHERS = HEADS[:24], HEADS[24:]


def _shifted(squares, pixels):
    return np.roll(squares, pixels, axis=(1, 2))


@pytest.fixture(scope="module")
def detector():
    changed = np.concatenate([_shifted(LEARNED, pixels) for pixels in (-1, 1)])
    fitted = CopyDetector.fit(LEARNED, changed, np.tile(np.arange(len(LEARNED)), 2))
    return fitted.with_limit(OTHERS, 0.001)


def test_other_pictures_are_no_copies(detector):
    assert not detector.is_copy(OTHERS).any()


@pytest.mark.parametrize("turn", range(8))
def test_a_learned_picture_is_known_however_it_is_turned_and_mirrored(detector, turn):
    turned = np.rot90(LEARNED, turn % 4, axes=(1, 2))
    turned = turned if turn < 4 else turned[:, :, ::-1]
    assert (detector.distance(np.ascontiguousarray(turned)) <= 2).all()
    assert detector.is_copy(np.ascontiguousarray(turned)).all()


def test_a_learned_picture_is_known_when_its_rim_is_cut_off(detector):
    cropped = np.stack([small_square(square[3:, 3:]) for square in LEARNED])
    assert detector.is_copy(cropped).mean() > 0.9


def test_a_flat_picture_is_a_copy_of_none(detector):
    assert not detector.is_copy(np.full((1, SIDE, SIDE), 7, np.uint8)).any()


def test_before_a_limit_is_set_nothing_is_a_copy():
    fitted = CopyDetector.fit(LEARNED, _shifted(LEARNED, 1), np.arange(len(LEARNED)))
    assert not fitted.is_copy(LEARNED).any()


def test_what_is_saved_comes_back(detector, tmp_path):
    path = tmp_path / "copies.npz"
    detector.save(path)
    again = CopyDetector.load(path)
    assert again.limit == detector.limit
    assert np.array_equal(again.distance(HEADS), detector.distance(HEADS))


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "copies.npz"
    np.savez(path, mean=np.zeros(3))
    with pytest.raises(ValueError, match=r"copies\.npz"):
        CopyDetector.load(path)
