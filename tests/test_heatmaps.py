import keras
import numpy as np
import pytest

from braintumor.heatmaps import CellGrid, scaled_map
from braintumor.networks import NETWORKS, build
from tests.networks.cells import make_even


@pytest.mark.parametrize(("values", "expected"), [([0, 1, 4], [0, 0.25, 1]), ([0, 0, 0], [0, 0, 0])])
def test_maps_are_scaled_to_their_highest(values, expected):
    np.testing.assert_allclose(scaled_map(np.array(values, np.float32)), expected)


@pytest.mark.parametrize(
    ("size", "first", "step", "cells"), [(192, 15.5, 16, 11), (192, 8, 16, 12), (64, 15.5, 16, 3), (48, 4, 8, 6)]
)
def test_a_hot_cell_lands_where_its_center_is(size, first, step, cells):
    for cell in range(cells):
        values = np.zeros((cells, cells), np.float32)
        values[cell, cells // 2] = 1
        square = CellGrid(size, first, step).to_square(values)
        assert square.shape == (size, size)
        assert square.max() <= 1
        expected = np.array([first + step * cell, first + step * (cells // 2)])
        if min(expected) > 2 * step and max(expected) < size - 2 * step:
            weights = square / square.sum()
            rows, columns = np.mgrid[0:size, 0:size] + 0.5
            assert [(weights * rows).sum(), (weights * columns).sum()] == pytest.approx(expected, abs=0.5)
        else:
            hottest = np.array(np.unravel_index(square.argmax(), square.shape)) + 0.5
            assert (np.abs(hottest - expected) <= step).all()


def test_an_even_map_stays_even_to_the_edges():
    square = CellGrid(192, 15.5, 16).to_square(np.full((11, 11), 0.7, np.float32))
    np.testing.assert_allclose(square, 0.7, atol=1e-6)


@pytest.mark.parametrize("step", [0, -1])
def test_a_grid_needs_a_step(step):
    with pytest.raises(ValueError, match="above 0"):
        CellGrid(192, 15.5, step)


# Cells that see more than the whole picture: see tests/networks/test_imagenet.py and test_efficientnet_lite.py.
FARSIGHTED = ("resnet50", "efficient_unet")


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name].feature_map and name not in FARSIGHTED])
def test_the_registered_grid_is_where_the_cells_of_the_network_look(name):
    """The centroid of a cell's receptive field, found by moving a bright line over a network of even weights."""
    network = NETWORKS[name]
    model = build(name, size=network.size)
    features = keras.Model(model.input, model.get_layer("features").output)
    make_even(features)
    thickness, middle = 4, features.output.shape[1] // 2
    pictures = np.zeros((network.size // thickness, network.size, network.size, 1), np.float32)
    for number, picture in enumerate(pictures):
        picture[number * thickness : (number + 1) * thickness] = 255
    answer = features.predict(pictures, batch_size=8, verbose=0)[:, middle, middle, 0]
    seen = answer - answer.min()
    center = (seen * (np.arange(len(pictures)) + 0.5) * thickness).sum() / seen.sum()
    assert center == pytest.approx(network.first + network.step * middle, abs=1)
