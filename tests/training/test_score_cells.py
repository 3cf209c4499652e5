import keras
import numpy as np
import pytest

from braintumor.networks.layers import HIGHEST_CELLS, TopMean
from braintumor.taxonomy import NO_TUMOR
from braintumor.training.score_cells import CELLS, choose_cells
from tests.training.glass import build_glass, glass_data

SMALL, WIDE = 0.03, 0.15


def _tumors(count=8, **disc):
    return [("validation", "a", "glioma", False, disc)] * count


def _clear(count=8, **disc):
    return [("validation", "a", NO_TUMOR, False, disc)] * count


@pytest.mark.parametrize(
    ("rows", "possible"),
    [
        (_tumors(tumor=0.9, radius=WIDE) + _clear(tumor=0.999, radius=SMALL), CELLS[3:]),
        (_tumors(tumor=0.999, radius=SMALL) + _clear(tumor=0.9, radius=WIDE), CELLS[:2]),
        (_tumors(tumor=0.9, radius=WIDE), (HIGHEST_CELLS,)),
        (_clear(tumor=0.999, radius=SMALL), (HIGHEST_CELLS,)),
    ],
    ids=["small false alarms", "small tumors", "tumors alone", "no tumor"],
)
def test_as_many_cells_count_as_tell_tumors_best(rows, possible):
    model, data = build_glass(), glass_data(rows)
    found = choose_cells(model, data)
    assert found in possible
    assert model.get_layer("score").cells == found
    score = keras.Model(model.input, model.get_layer("score").output)
    expected = TopMean(found)(keras.Model(model.input, model.output["map"])(data.pictures[..., None]))
    np.testing.assert_allclose(score(data.pictures[..., None]), expected, rtol=1e-5)


def test_the_chosen_cells_are_saved_with_the_network(tmp_path):
    model = build_glass()
    found = choose_cells(model, glass_data(_tumors(tumor=0.9, radius=WIDE) + _clear(tumor=0.999, radius=SMALL)))
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").get_layer("score").cells == found != HIGHEST_CELLS


def test_a_network_without_a_map_has_no_cells_to_choose():
    assert choose_cells(build_glass("squeezenet"), glass_data(_tumors() + _clear())) is None
