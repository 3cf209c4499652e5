import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from braintumor.evaluation import foreign_figures


def foreign(**distances):
    rows = [(kind, value, value > 2) for kind, values in distances.items() for value in values]
    return pd.DataFrame(rows, columns=["kind", "distance", "referred"])


def distances_of(distances, datasets=None):
    names = list(datasets or "a" * len(distances))
    return pd.DataFrame({"dataset": names, "distance": np.asarray(distances, float)})


def test_foreign_figures_by_hand():
    real = distances_of([1.0, 1.5, 2.0, 2.5], "aabb")
    found = foreign_figures(real, foreign(noise=[3.0, np.inf], page=[1.5, 0.5]), 2.0)
    assert (found.real_referred, found.foreign_referred) == (0.25, 0.5)
    assert found.real_referred_by_dataset == {"a": 0.0, "b": 0.5}
    assert {name: one.model_dump() for name, one in found.kinds.items()} == {
        "noise": {"images": 2, "referred": 1.0, "auroc": 1.0},
        # One lies as far as the second of four, the other nearer than all.
        "page": {"images": 2, "referred": 0.0, "auroc": 1.5 / 8},
    }
    assert found.auroc == (1 + 1 + 1.5 / 4 + 0) / 4


def test_the_area_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    real, made = random.integers(0, 20, 200) / 10, random.integers(5, 30, 90) / 10
    found = foreign_figures(distances_of(real), foreign(kind=made), 1.0)
    expected = roc_auc_score(np.repeat([0, 1], [200, 90]), np.concatenate([real, made]))
    assert found.auroc == pytest.approx(expected)


@pytest.mark.parametrize(
    ("real", "table", "expected"),
    [
        ([], foreign(noise=[3.0]), (None, None, 1.0)),
        ([1.0], foreign(), (None, 1.0, None)),
    ],
    ids=["no scans", "no pictures"],
)
def test_figures_of_nothing_are_undefined(real, table, expected):
    found = foreign_figures(distances_of(real), table, 0.5)
    assert (found.auroc, found.real_referred, found.foreign_referred) == expected


def test_without_a_limit_no_scan_is_referred():
    assert foreign_figures(distances_of([9.0]), foreign(noise=[3.0]), None).real_referred == 0
