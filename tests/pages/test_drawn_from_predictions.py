"""What the training-metrics page draws of the shipped model, recomputed from its predictions by scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from braintumor.evaluation.reliability import BINS
from braintumor.taxonomy import CLASSES, NO_TUMOR
from tests.conftest import SHIPPED
from tests.pages.guest import decoded, drawn, opened

PROBABILITIES = [f"p_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(SHIPPED / "predictions.csv").query("split == 'test'").reset_index(drop=True)


@pytest.fixture
def charts(guest_app):
    return {spec["layout"]["title"]["text"]: spec["data"] for spec in drawn(opened("training_metrics.py"))}


def titled(charts, start):
    (found,) = (traces for title, traces in charts.items() if title == start or title.startswith(f"{start} ("))
    return found


def questions(rows):
    """Truth and score of each class against the rest, where it is known, and of tumor or not."""
    known = rows[rows["label"].isin(CLASSES)]
    told = [(known["label"] == name, known[f"p_{name}"]) for name in CLASSES]
    return [*told, (rows["label"] != NO_TUMOR, 1 - rows[f"p_{NO_TUMOR}"])]


def curves(traces):
    """Points of the curves among the traces: the dotted diagonal has two."""
    points = [(decoded(trace["x"]), decoded(trace["y"])) for trace in traces]
    return [(np.array(x), np.array(y)) for x, y in points if len(x) > 2]


def test_the_page_draws_what_the_predictions_say(charts, rows):
    known = rows[rows["label"].isin(CLASSES)]
    answered = np.array(CLASSES)[known[PROBABILITIES].to_numpy().argmax(axis=1)]

    counts = decoded(titled(charts, "Truth and answer")[0]["customdata"])
    assert counts == confusion_matrix(known["label"], answered, labels=list(CLASSES)).tolist()

    areas = [np.trapezoid(y, x) for x, y in curves(titled(charts, "ROC curves"))]
    assert sorted(areas) == pytest.approx(sorted(roc_auc_score(*asked) for asked in questions(rows)), abs=1e-6)

    areas = [-np.sum(np.diff(x) * y[:-1]) for x, y in curves(titled(charts, "Precision and recall"))]
    expected = [average_precision_score(*asked) for asked in questions(rows)]
    assert sorted(areas) == pytest.approx(sorted(expected), abs=2e-3)

    share, stated = calibration_curve(answered == known["label"], known[PROBABILITIES].max(axis=1), n_bins=BINS)
    bars = titled(charts, "Reliability")[0]
    assert decoded(bars["y"]) == pytest.approx(share.tolist(), abs=1e-6)
    assert [float(row[0]) for row in decoded(bars["customdata"])] == pytest.approx(stated.tolist(), abs=1e-6)

    error = titled(charts, "Risk and coverage")[0]
    assert decoded(error["y"])[-1] == pytest.approx(100 * np.mean(answered != known["label"]))

    distances = next(trace for trace in titled(charts, "Distance from the training scans") if "Real" in trace["name"])
    assert sorted(decoded(distances["x"])) == pytest.approx(sorted(rows["distance"]), abs=1e-6)


def test_the_page_draws_the_history(charts):
    history = pd.read_csv(SHIPPED / "history.csv")
    for title, columns in (("Loss", ("loss", "val_loss")), ("Accuracy", ("accuracy", "val_accuracy"))):
        shown = [decoded(trace["y"]) for trace in charts[f"{title} by epoch"]]
        for column in columns:
            assert any(line == pytest.approx(history[column].tolist()) for line in shown)
