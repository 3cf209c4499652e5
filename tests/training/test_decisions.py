from dataclasses import astuple, replace

import numpy as np
import pytest
from scipy.stats import lognorm

from braintumor.decision import Typicality, fit_calibration
from braintumor.evaluation.segmentation import dice
from braintumor.taxonomy import NO_TUMOR
from braintumor.training.decisions import calibrated, decide, mask_on_square, probability_table, without_tumor
from braintumor.training.outputs import run_graph
from braintumor.training.sampling import allowed_classes
from tests.training.glass import glass_data, glass_graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return glass_graph(tmp_path_factory.mktemp("graph"))


def _rows(split, dataset="a", *, tumors=6, clear=6, label="glioma", outlined=True, **options):
    """Rows of tumors that the map sees at 0.9 if not told otherwise, and of heads without one."""
    options = {"tumor": 0.9, **options}
    return [(split, dataset, label, outlined, options)] * tumors + [(split, dataset, NO_TUMOR, False, {})] * clear


TRAIN = _rows("train")


def test_many_pictures_run_as_they_do_one_by_one(graph):
    data = glass_data(_rows("train", tumors=20, clear=17))
    together = run_graph(graph, data)
    assert len(together.logits) == 37
    assert together.cam is None
    for row in (0, 19, 31, 32, 36):
        alone = graph.run(data.pictures[row : row + 1])
        for name in ("logits", "features", "tumor_map"):
            np.testing.assert_allclose(getattr(together, name)[row], getattr(alone, name)[0], rtol=1e-4, atol=1e-5)


def test_no_pictures_give_outputs_without_rows(graph):
    nothing = run_graph(graph, glass_data(TRAIN).chosen(np.zeros(12, bool)))
    assert nothing.logits.shape == (0, 4)
    assert nothing.tumor_map.shape == (0, 24, 24)
    assert nothing.features.shape[0] == 0


def test_slices_lose_their_tumor_where_the_other_half_can_take_its_place():
    data = glass_data(
        [
            ("test", "a", NO_TUMOR, False, {}),
            ("test", "a", "glioma", True, {"tumor": 0.9}),
            ("test", "a", "glioma", True, {"tumor": 0.9, "column": 0.5}),
            ("test", "b", "tumor", False, {"tumor": 0.9}),
            ("test", "b", "tumor", True, {"tumor": 0.9, "column": 0.7}),
        ]
    )
    cleared = without_tumor(data)
    assert cleared.index["made_from"].tolist() == [1, 4]
    assert cleared.index["label"].tolist() == [NO_TUMOR] * 2
    assert cleared.index["outline"].tolist() == [-1, -1]
    for column in ("dataset", "group", "picture", "split"):
        assert cleared.index[column].tolist() == data.index[column].iloc[[1, 4]].tolist()
    for row, made_from in enumerate((1, 4)):
        assert not cleared.outline(row).any()
        assert cleared.pictures[row].max() < 100, "nothing in the head itself is brighter"
        half = slice(26, None) if made_from == 1 else slice(None, 22)
        np.testing.assert_array_equal(cleared.pictures[row, :, half], data.pictures[made_from, :, half])


@pytest.mark.parametrize(
    "rows",
    [[("test", "a", NO_TUMOR, False, {})], [("test", "a", "tumor", False, {"tumor": 0.9})]],
    ids=["no tumor", "no outline"],
)
def test_without_outlines_nothing_is_made(rows):
    cleared = without_tumor(glass_data(rows))
    assert cleared.pictures.shape == (0, 48, 48)
    assert len(cleared.index) == 0


@pytest.mark.parametrize(("faint", "drawn"), [(0.1, False), (0.6, True)])
def test_a_mask_lies_over_the_square_where_the_map_is_worth_drawing(faint, drawn):
    tumor_map = np.zeros((24, 24), np.float32)
    tumor_map[4:8, 10:16] = 1.0
    tumor_map[12:18, 2:8] = faint
    mask = mask_on_square(tumor_map, 96)
    wanted = np.kron(tumor_map > (0 if drawn else faint), np.ones((4, 4), bool))
    assert mask.shape == (96, 96)
    assert dice(mask, wanted) > 0.85


def test_the_calibration_is_that_of_the_validation_rows_alone(graph):
    data = glass_data(TRAIN + _rows("validation", tumors=10, tumor=0.7) + _rows("test", tumors=10, tumor=0.2))
    part = data.distinct("validation")
    output, allowed = run_graph(graph, part), allowed_classes(part.index["label"]) > 0
    found = decide(graph, data).calibration
    assert found == calibrated(output, part)
    assert replace(found, map_temperature=1.0) == fit_calibration(output.logits, allowed)


def test_the_threshold_finds_the_tumors_of_every_dataset_with_enough_of_them(graph):
    chances = {"a": (0.9, 25), "b": (0.2, 25), "c": (0.05, 5)}
    rows = TRAIN + _rows("validation", tumors=0, clear=60)
    # Heads without a tumor in which the map sees more than in the tumors of b.
    rows += _rows("validation", tumors=30, clear=0, label=NO_TUMOR, outlined=False, tumor=0.3)
    for dataset, (chance, tumors) in chances.items():
        rows += _rows("validation", dataset, tumors=tumors, clear=0, tumor=chance)
    data = glass_data(rows)
    decisions = decide(graph, data)
    part = data.distinct("validation")
    table = probability_table(part.index, run_graph(graph, part).logits, decisions.calibration)
    found = (1 - table["p_notumor"] >= decisions.threshold)[table["label"] != NO_TUMOR]
    sensitivity = found.groupby(table["dataset"]).mean()
    assert decisions.datasets == ["a", "b"]
    assert sensitivity["a"] >= 0.95
    assert sensitivity["b"] >= 0.95
    assert 0 < decisions.threshold < 1


def test_a_higher_sensitivity_is_met_by_a_lower_threshold(graph):
    rows = [row for tumor in np.linspace(0.55, 0.99, 40) for row in _rows("validation", tumors=1, clear=1, tumor=tumor)]
    found = {share: decide(graph, glass_data(TRAIN + rows), share).threshold for share in (0.5, 0.9, 1.0)}
    assert found[0.5] > found[0.9] > found[1.0]


@pytest.mark.parametrize(("tumors", "low", "high"), [(30, 0.9, 1.0), (19, 0.5, 0.5)])
def test_all_from_the_least_band_up_to_the_threshold_is_referred(graph, tumors, low, high):
    decisions = decide(graph, glass_data(TRAIN + _rows("validation", tumors=tumors, clear=30, tumor=0.999)))
    assert low <= decisions.threshold <= high
    assert decisions.referral.tumor_low <= 1 / 3
    assert decisions.referral.tumor_high >= max(2 / 3, decisions.threshold)
    assert decisions.doubt_from == decisions.referral.tumor_low
    assert decisions.referral.distance_limit == decisions.typicality.limit


def test_typicality_is_that_of_training_features_with_the_limit_of_validation(graph):
    data = glass_data(_rows("train", tumors=15, clear=15) + _rows("validation", tumors=9, clear=10))
    decisions = decide(graph, data)
    train, validation = (run_graph(graph, data.distinct(name)).features for name in ("train", "validation"))
    expected = Typicality.fit(train, components=512, power=0.5)
    np.testing.assert_allclose(decisions.typicality.distance(validation), expected.distance(validation))
    assert decisions.typicality.limit == np.sort(expected.distance(validation))[-1]


@pytest.mark.parametrize(("odd", "decides"), [(10, "b"), (9, "a")], ids=["enough scans", "too few"])
def test_typicality_goes_as_far_as_the_scans_of_each_dataset_that_has_enough(graph, odd, decides):
    usual = _rows("validation", tumors=15, clear=85)
    others = _rows("validation", "b", tumors=odd, clear=10, tumor=0.999, radius=0.3, halo=0.6)
    data = glass_data(_rows("train", tumors=15, clear=15) + usual + others)
    decisions, validation = decide(graph, data), data.distinct("validation")
    distance = decisions.typicality.distance(run_graph(graph, validation).features)
    reached = {
        name: lognorm.ppf(0.97, np.log(distance[rows]).std(ddof=1), scale=np.exp(np.log(distance[rows]).mean()))
        for name, rows in validation.index.groupby("dataset").indices.items()
    }
    assert reached["b"] > reached["a"]
    assert decisions.typicality.limit == pytest.approx(reached[decides])


def test_the_map_is_calibrated_where_outlines_are_known(graph):
    data = glass_data(TRAIN + _rows("validation", tumors=20, clear=20, tumor=0.8, halo=0.4))
    validation = data.distinct("validation")
    output = run_graph(graph, validation)
    found = calibrated(output, validation).map_temperature
    # Every cell at 0.8 is tumor and none at 0.4, so it could be surer.
    assert 0.2 <= found < 1
    unknown = glass_data(TRAIN + _rows("validation", tumors=20, clear=0, outlined=False)).distinct("validation")
    assert calibrated(run_graph(graph, unknown), unknown).map_temperature == 1
    mapless = replace(output, tumor_map=None)
    assert calibrated(mapless, validation).map_temperature == 1


def test_copies_count_once(graph):
    rows = TRAIN + _rows("validation", tumors=10, clear=10) + _rows("validation", "b", tumors=4, clear=4, tumor=0.2)
    data = glass_data(rows)
    copies = data.with_more(data.chosen((data.index["dataset"] == "b").to_numpy()))
    _same(decide(graph, copies), decide(graph, data))


def test_nothing_is_chosen_by_what_the_test_split_holds(graph):
    rows = TRAIN + _rows("validation", halo=0.35)
    plain = glass_data(rows + _rows("test"))
    other = glass_data(rows + _rows("test", tumors=9, label="pituitary", tumor=0.3, radius=0.2))
    blank = replace(plain, pictures=plain.pictures * (plain.index["split"] != "test").to_numpy()[:, None, None])
    for data in (other, blank):
        _same(decide(graph, data), decide(graph, plain))


def _same(found, wanted):
    assert replace(found, typicality=None) == replace(wanted, typicality=None)
    for one, other in zip(astuple(found.typicality), astuple(wanted.typicality), strict=True):
        np.testing.assert_array_equal(one, other)
