import numpy as np
import pytest
from PIL import Image

from braintumor.datasets import load_outlines, load_pictures
from braintumor.datasets.pictures import map_pictures
from braintumor.scans import phantom, prepare, prepare_outline
from tests.conftest import phantom_outline


@pytest.fixture
def folder(tmp_path):
    for number in range(9):
        Image.fromarray(phantom(40 + number, seed=number)).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.png").write_bytes(b"\x00no picture")
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
        folder, ["3.png", "bad.png", "1.png"], lambda scan, row: np.array([scan.shape[1], row]), (2,), np.float64
    )
    assert values.tolist() == [[43, 0], [0, 0], [41, 2]]
    assert list(failed) == ["bad.png"]


def test_failure_of_the_work_itself_is_not_hidden(folder):
    def work(scan, row):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        map_pictures(folder, ["1.png"], work, (1,), np.float64)


@pytest.fixture
def masked(folder):
    for number in (2, 5):
        mask = phantom_outline(40 + number, number).astype(np.uint8) * 255
        Image.fromarray(mask).save(folder / f"mask{number}.png")
    Image.fromarray(np.zeros((45, 45), np.uint8)).save(folder / "empty_mask.png")
    return folder


def test_outlines_are_cut_as_their_pictures_are(masked):
    paths, masks = ["5.png", "2.png", "5.png"], ["mask5.png", "mask2.png", "empty_mask.png"]
    outlines, failed = load_outlines(masked, paths, masks, 24)
    assert failed == {}
    assert (outlines.shape, outlines.dtype) == ((3, 24, 24), np.uint8)
    for row, number in enumerate((5, 2)):
        prepared = prepare(phantom(40 + number, seed=number).astype(np.float32), 24)
        mask = phantom_outline(40 + number, number).astype(np.float32)
        np.testing.assert_array_equal(outlines[row], prepare_outline(mask, prepared, 24))
        assert outlines[row].max() == 255
    assert not outlines[2].any()


@pytest.mark.parametrize(
    ("path", "mask", "reason"),
    [
        ("5.png", "mask2.png", "The mask mask2.png has another size than its picture."),
        ("5.png", "missing.png", "No such file"),
        ("5.png", "bad.png", "not a picture that can be read"),
        ("bad.png", "mask5.png", "not a picture that can be read"),
    ],
)
def test_an_outline_that_cannot_be_cut_is_named_by_its_picture(masked, path, mask, reason):
    outlines, failed = load_outlines(masked, ["2.png", path], ["mask2.png", mask], 24)
    assert list(failed) == [path]
    assert reason in failed[path]
    assert outlines[0].any()
    assert not outlines[1].any()


def test_no_masks_give_an_empty_array(folder):
    outlines, failed = load_outlines(folder, [], [], 24)
    assert (outlines.shape, failed) == ((0, 24, 24), {})
