import numpy as np
import pytest
from PIL import Image

from braintumor.datasets import load_pictures
from braintumor.datasets.pictures import map_pictures
from braintumor.scans import phantom, prepare


@pytest.fixture
def folder(tmp_path):
    for number in range(9):
        Image.fromarray(phantom(40 + number, seed=number)).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    return tmp_path


def test_rows_come_in_the_order_given(folder):
    order = [5, 0, 8, 2, 2, 7]
    pictures, failed = load_pictures(folder, [f"{number}.png" for number in order], 24)
    assert failed == {}
    assert (pictures.shape, pictures.dtype) == ((6, 24, 24), np.uint8)
    for row, number in enumerate(order):
        expected = prepare(phantom(40 + number, seed=number).astype(np.float32), 24).image
        np.testing.assert_array_equal(pictures[row], expected)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bad.png", "This file is not a picture that can be read."),
        ("empty.png", "This file is empty."),
        ("missing.png", "No such file"),
        (".", "Is a directory"),
    ],
)
def test_unreadable_row_is_zero_and_reported(folder, name, reason):
    pictures, failed = load_pictures(folder, ["1.png", name, "2.png"], 24)
    assert list(failed) == [name]
    assert reason in failed[name]
    assert not pictures[1].any()
    assert pictures[0].any()
    assert pictures[2].any()


def test_no_pictures_give_an_empty_array(folder):
    pictures, failed = load_pictures(folder, [], 24)
    assert (pictures.shape, failed) == ((0, 24, 24), {})


def test_any_work_fills_its_own_shape(folder):
    values, failed = map_pictures(
        folder, ["3.png", "bad.png"], lambda scan: np.array([scan.shape[1], scan.pixels.max()]), (2,), np.float64
    )
    assert values.tolist() == [[43, phantom(43, seed=3).max()], [0, 0]]
    assert list(failed) == ["bad.png"]


def test_failure_of_the_work_itself_is_not_hidden(folder):
    def work(scan):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        map_pictures(folder, ["1.png"], work, (1,), np.float64)
