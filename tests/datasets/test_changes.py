import numpy as np
import pytest

from braintumor.datasets import CHANGES, UNCHANGED
from braintumor.scans import phantom, read

HEAD = phantom(160)
BY_NAME = {change.name: change for change in CHANGES}


def shown(name):
    return read(BY_NAME[name].make(HEAD), "scan").pixels[0]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_each_change_makes_a_file_that_is_read_and_is_another_than_before(change):
    data = change.make(HEAD)
    scan = read(data, "scan")
    assert scan.shape[0] == 1
    assert data == change.make(HEAD)
    assert data != UNCHANGED.make(HEAD)


def test_names_are_unique_and_there_are_enough():
    assert len(BY_NAME) == len(CHANGES) >= 39
    assert np.array_equal(read(UNCHANGED.make(HEAD), "scan").pixels[0], HEAD)


@pytest.mark.parametrize(
    ("name", "undo"),
    [
        ("turned 90", lambda pixels: np.rot90(pixels, -1)),
        ("turned 180", lambda pixels: np.rot90(pixels, 2)),
        ("mirrored", np.fliplr),
        ("upside down", np.flipud),
        ("negative", lambda pixels: 255 - pixels),
        ("16-bit", lambda pixels: pixels / 257),
        ("float", lambda pixels: 255 * pixels),
        ("RGB", lambda pixels: pixels),
        ("letterbox", lambda pixels: pixels[:, (pixels.shape[1] - 160) // 2 :][:, :160]),
        ("pair", lambda pixels: pixels[:, :160]),
    ],
)
def test_what_can_be_undone_gives_the_picture_back(name, undo):
    np.testing.assert_allclose(undo(shown(name)), HEAD, atol=0.51)


@pytest.mark.parametrize(("name", "shape"), [("32 px", (32, 32)), ("1024 px", (1024, 1024)), ("crop 60%", (96, 96))])
def test_sizes(name, shape):
    assert shown(name).shape == shape
