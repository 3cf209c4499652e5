import hashlib

import numpy as np
import pytest

from braintumor import settings
from braintumor.dashboard import answers
from braintumor.inference import Predictor
from braintumor.scans import PixelBudget, StoredFile, gather, phantom
from tests.conftest import SHIPPED, png_bytes


def test_limits_are_those_of_the_settings_in_force(monkeypatch):
    for most in (4, 7):
        monkeypatch.setenv("BRAINTUMOR_MAX_FILES", str(most))
        settings.load.cache_clear()
        assert answers.limits().max_files == most
    settings.load.cache_clear()


def test_an_answer_has_the_picture_the_unit_and_whether_it_is_the_sample():
    predictor = Predictor.load(SHIPPED)
    files = [answers.phantom_png(), png_bytes(phantom(96, seed=4))]
    units = list(
        gather([StoredFile(f"{number}.png", lambda data=data: data, str(number)) for number, data in enumerate(files)])
    )
    sample, other = (
        answers.answer_scan(unit.read(answers.limits(), PixelBudget(10**9)), unit, predictor) for unit in units
    )
    assert (sample.synthetic, other.synthetic) == (True, False)
    assert (sample.key, other.unit) == ("0", units[1])
    assert other.picture.dtype == np.uint8
    assert other.prediction.sha256 == hashlib.sha256(files[1]).hexdigest()


@pytest.mark.parametrize(
    ("count", "own", "most", "numbers"),
    [
        (24, 5, 160, list(range(24))),
        (160, 0, 160, list(range(160))),
        (10, 4, 5, [0, 2, 4, 6, 8]),
        (10, 5, 3, [1, 5, 9]),
        (11, 7, 4, [1, 4, 7, 10]),
        (2, 1, 2, [0, 1]),
        (1, 0, 160, []),
        (24, 5, 1, []),
        (24, 5, 0, []),
    ],
)
def test_slices_are_kept_evenly_and_the_one_that_answers_among_them(count, own, most, numbers):
    assert list(answers._spread(count, own, most)) == numbers


@pytest.mark.parametrize("count", [3, 100, 1023])
@pytest.mark.parametrize("most", [2, 7, 160])
def test_no_more_slices_are_kept_than_there_is_room_for(count, most):
    for own in range(0, count, 13):
        numbers = answers._spread(count, own, most)
        assert len(numbers) <= most
        assert own in numbers
