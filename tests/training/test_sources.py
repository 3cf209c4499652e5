from dataclasses import replace

import numpy as np
import pytest

from braintumor.datasets import foreign_pictures
from braintumor.decision import predictive_limits
from braintumor.taxonomy import NO_TUMOR
from braintumor.training.decisions import LEAST_BAND, calibrated, decide
from braintumor.training.outputs import run_graph
from braintumor.training.sources import FOREIGN_SEED, foreign_data, left_out_margins
from tests.training.glass import ROWS, glass_data, glass_graph


def _features(count, shift, seed):
    return np.random.default_rng(seed).normal(shift, 1, (count, 12)).astype(np.float32)


OTHERS = np.random.default_rng(5).normal(0, 1, (200, 12)).astype(np.float32) * 5


def test_the_margin_is_what_the_oddest_source_needs_when_it_is_left_out():
    plain = np.concatenate([_features(40, 0, 1), _features(40, 0, 2)])
    even = left_out_margins(plain, np.repeat(["a", "b"], 40), OTHERS)
    odd = left_out_margins(np.concatenate([plain, _features(40, 4, 3)]), np.repeat(["a", "b", "c"], 40), OTHERS)
    assert odd[0] > even[0]
    assert odd[1] > 1.5 * even[1]
    # One that is not asked has no say.
    names = np.repeat(["a", "b", "c"], 40)
    unasked = left_out_margins(np.concatenate([plain, _features(40, 4, 3)]), names, OTHERS, {"a", "b"})
    assert unasked[1] < 1.3 * even[1]
    # A source of a few scans has no tail to go by.
    few = left_out_margins(np.concatenate([plain, _features(5, 4, 3)]), np.repeat(["a", "b", "c"], [40, 40, 5]), OTHERS)
    assert few[1] < 1.3 * even[1]


def test_foreign_pictures_of_learning_are_not_those_that_are_measured():
    learned, measured = foreign_data(32, FOREIGN_SEED), foreign_data(32)
    assert list(learned.index["kind"]) == list(measured.index["kind"])
    assert set(learned.index["kind"]) == set(foreign_pictures(count=1))
    assert (learned.pictures != measured.pictures).any(axis=(1, 2)).mean() > 0.9


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """What is decided with a hospital held out to choose on."""
    rows = [(split, "a" if number % 2 else "b", *rest) for number, (split, _, *rest) in enumerate(ROWS * 5)]
    rows += [("hospital_validation", "lgg", "notumor", False, {})] * 25
    # Elsewhere the map sees less of tumors, and as much in some heads without one.
    rows += [("hospital_validation", "lgg", "glioma", False, {"tumor": 0.7})] * 25
    rows += [("hospital_validation", "lgg", "notumor", False, {"tumor": 0.7})] * 5
    data = glass_data(rows)
    hospital = data.index["dataset"].where(data.index["dataset"] != "lgg", "X")
    data = type(data)(data.pictures, data.outlines, data.index.assign(hospital=hospital, sequence=""))
    graph = glass_graph(tmp_path_factory.mktemp("graph"))
    return decide(graph, data), data, graph


def test_with_hospitals_held_out_scans_are_told_from_other_pictures(decided):
    decisions, *_ = decided
    assert decisions.typicality.limit == 1
    assert len(decisions.typicality.weights) > 0
    assert decisions.referral.distance_limit == 1


def test_with_hospitals_held_out_p_of_tumor_is_calibrated_and_answered_as_they_need(decided):
    decisions, data, graph = decided
    home, elsewhere = data.distinct("validation"), data.distinct("hospital_validation")
    at_home = calibrated(run_graph(graph, home), home)
    found = decisions.calibration
    assert (found.slope, found.shift) != (at_home.slope, at_home.shift)
    assert replace(found, slope=at_home.slope, shift=at_home.shift) == at_home
    chances = 1 - found.apply(run_graph(graph, elsewhere).logits)[:, -1]
    low, high = predictive_limits(chances, elsewhere.index["label"] != NO_TUMOR)
    assert decisions.referral.tumor_low <= low
    assert high > LEAST_BAND[1]
    assert decisions.referral.tumor_high >= high
