import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from braintumor.evaluation.agreement import Pair, agreement
from braintumor.taxonomy import CLASSES, NO_TUMOR

NOTHING = {"value": None, "low": None, "high": None}


def pairs_of(*rows):
    return [Pair(str(number), model, reader) for number, (model, reader) in enumerate(rows)]


def test_kappa_is_that_of_scikit_learn():
    chance = np.random.default_rng(3)
    model = chance.choice(CLASSES, 300)
    reader = np.where(chance.random(300) < 0.7, model, chance.choice(CLASSES, 300))
    found = agreement([Pair(str(number // 3), *pair) for number, pair in enumerate(zip(model, reader, strict=True))])
    assert found.kappa_type["value"] == pytest.approx(cohen_kappa_score(model, reader))
    assert found.kappa_detection["value"] == pytest.approx(cohen_kappa_score(model == NO_TUMOR, reader == NO_TUMOR))
    assert found.kappa_type["low"] < found.kappa_type["value"] < found.kappa_type["high"]
    assert (found.scans, found.patients) == (300, 100)


def test_sensitivity_and_specificity_have_the_reader_as_reference():
    found = agreement(
        pairs_of(
            *[("glioma", "meningioma")] * 3,
            *[(NO_TUMOR, "glioma")],
            *[(NO_TUMOR, NO_TUMOR)] * 4,
            *[("pituitary", NO_TUMOR)],
        )
    )
    assert found.sensitivity["value"] == pytest.approx(3 / 4)
    assert found.specificity["value"] == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("rows", "kappa", "sensitivity"),
    [
        ([], NOTHING, NOTHING),
        ([("glioma", "glioma")] * 5, NOTHING, {"value": 1.0}),
        ([(NO_TUMOR, NO_TUMOR)] * 5, NOTHING, NOTHING),
    ],
)
def test_what_is_undefined_is_none(rows, kappa, sensitivity):
    found = agreement(pairs_of(*rows))
    assert found.kappa_detection == kappa
    assert found.sensitivity["value"] == sensitivity["value"]


def test_what_each_draw_repeats_does_not_pass_for_certainty():
    found = agreement([Pair("one", model, "glioma") for model in ("glioma", NO_TUMOR, "pituitary")])
    assert found.sensitivity == {"value": pytest.approx(2 / 3), "low": None, "high": None}
    found = agreement(pairs_of(*[("glioma", "glioma"), (NO_TUMOR, NO_TUMOR)] * 3))
    assert found.kappa_detection == {"value": 1.0, "low": None, "high": None}
    # Clopper and Pearson of 3 in 3.
    assert found.sensitivity == {"value": 1.0, "low": pytest.approx(0.292, abs=0.001), "high": 1.0}
