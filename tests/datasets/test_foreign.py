import numpy as np
import pytest

from braintumor.datasets import DatasetError, foreign, foreign_pictures

FEW = 5
KINDS = list(foreign_pictures(count=0))


@pytest.fixture(scope="module")
def pictures():
    return foreign_pictures(seed=3, count=FEW)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_gray_pictures_that_differ(kind, pictures):
    made = pictures[kind]
    assert len(made) == FEW
    for picture in made:
        assert picture.dtype == np.uint8
        assert picture.ndim == 2
        assert min(picture.shape) >= 16
        assert max(picture.shape) < 400
        # A picture of one gray is blank; any other has something on it.
        assert (np.ptp(picture) == 0) == (kind == "plain grey")
    assert len({(picture.shape, picture.tobytes()) for picture in made}) == FEW


def test_no_two_kinds_make_the_same_picture(pictures):
    made = [picture.tobytes() for of_kind in pictures.values() for picture in of_kind]
    assert len(set(made)) == len(made)


def test_the_seed_decides(pictures):
    again, other = foreign_pictures(seed=3, count=2), foreign_pictures(seed=4, count=2)
    for kind in KINDS:
        assert [one.tolist() for one in again[kind]] == [one.tolist() for one in pictures[kind][:2]]
    alike = [kind for kind in KINDS if again[kind][0].tolist() == other[kind][0].tolist()]
    assert not alike


def test_there_are_kinds_of_every_sort():
    assert {"uniform noise", "plain grey", "photograph", "text page", "body MRI", "head CT", "ultrasound"} <= set(KINDS)


def test_without_a_package_that_has_pictures_it_says_what_to_install(monkeypatch):
    foreign._read.cache_clear()

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(foreign, "files", missing)
    with pytest.raises(DatasetError, match=r"pip install -r requirements/train.txt"):
        foreign_pictures(count=1)
