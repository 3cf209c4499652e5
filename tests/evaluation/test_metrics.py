import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from braintumor.bundles import Estimate
from braintumor.evaluation.metrics import figures
from braintumor.evaluation.samples import Sample, areas
from braintumor.taxonomy import CLASSES, NO_TUMOR
from tests.evaluation.by_hand import calibration_error

PROBABILITIES = [f"p_{name}" for name in CLASSES]


def rows(*cells, split="test"):
    """Rows of (dataset, group, label, probabilities)."""
    return pd.DataFrame(
        [
            {"split": split, "dataset": dataset, "group": group, "label": label, "in_training": False}
            | dict(zip(PROBABILITIES, chances, strict=True))
            for dataset, group, label, chances in cells
        ]
    )


def random_rows(count, seed=0, sharpness=2.0):
    """Predictions of a model that is often right, for all datasets and labels."""
    random = np.random.default_rng(seed)
    dataset = random.choice(["masoud", "br35h", "cheng", "navoneel"], count)
    label = random.choice(CLASSES, count).astype(object)
    label[(dataset == "cheng") & (label == NO_TUMOR)] = "glioma"
    logits = random.normal(0, 1, (count, 4)) + sharpness * (label[:, None] == np.array(CLASSES))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label[np.isin(dataset, ["br35h", "navoneel"]) & (label != NO_TUMOR)] = "tumor"
    frame = pd.DataFrame({"split": "test", "dataset": dataset, "label": label, "in_training": False})
    frame["group"] = [f"g{number}" for number in random.integers(0, count // 2, count)]
    return frame.join(pd.DataFrame(chances, columns=PROBABILITIES))


SMALL = rows(
    ("masoud", "a", "glioma", (0.7, 0.1, 0.1, 0.1)),
    ("masoud", "a", "glioma", (0.1, 0.7, 0.1, 0.1)),
    ("masoud", "b", "meningioma", (0.1, 0.7, 0.1, 0.1)),
    ("masoud", "c", "notumor", (0.1, 0.1, 0.1, 0.7)),
    ("masoud", "d", "notumor", (0.3, 0.25, 0.05, 0.4)),
    ("cheng", "e", "pituitary", (0.1, 0.1, 0.3, 0.5)),
    ("br35h", "f", "tumor", (0.2, 0.2, 0.2, 0.4)),
    ("br35h", "g", "notumor", (0.0, 0.0, 0.0, 1.0)),
)


def test_small_table_by_hand():
    found = figures(SMALL, threshold=0.6, resamples=50)
    assert (found.images, found.groups) == (8, 7)
    assert {name: {label: one.images for label, one in of.labels.items()} for name, of in found.datasets.items()} == {
        "masoud": {"glioma": 2, "meningioma": 1, "notumor": 2},
        "cheng": {"pituitary": 1},
        "br35h": {"tumor": 1, "notumor": 1},
    }
    four = found.four_class
    assert four.images == 7
    assert four.accuracy.value == pytest.approx(5 / 7)
    assert four.balanced_accuracy.value == pytest.approx((1 / 2 + 1 + 0 + 1) / 4)
    assert four.confusion_matrix.counts == ((1, 1, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1), (0, 0, 0, 3))
    glioma = four.per_class["glioma"]
    assert (glioma.precision.value, glioma.recall.value, glioma.f1.value) == pytest.approx((1.0, 0.5, 2 / 3))
    assert (glioma.support, glioma.groups) == (2, 1)
    assert four.per_class["pituitary"].precision.value == 0.0
    # Tumors at 0.9, 0.9, 0.9, 0.5 and 0.6; clear rows at 0.3, 0.6 and 0 (a tie with 0.6).
    assert found.detection.roc_auc.value == pytest.approx((3 * 3 + 2 + 2.5) / 15)
    assert found.detection.sensitivity.value == pytest.approx(4 / 5)
    assert found.detection.specificity.value == pytest.approx(2 / 3)
    assert list(found.detection.counts.model_dump().values()) == [4, 1, 2, 1]
    assert found.datasets["cheng"].accuracy.value == 0.0
    assert found.datasets["cheng"].accuracy_given_tumor.value == 1.0
    # The web images: both of br35h and the two clear ones of masoud.
    assert found.web_detection.images == 4
    assert found.web_detection.sensitivity.value == 1.0
    assert found.web_detection.specificity.value == pytest.approx(2 / 3)
    assert found.answered is None


@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_scikit_learn(seed):
    frame = random_rows(400, seed)
    found = figures(frame, threshold=0.4, resamples=10)
    chances = frame[PROBABILITIES].to_numpy()
    known = frame["label"].isin(CLASSES).to_numpy()
    truth, likeliest = frame["label"][known], np.array(CLASSES)[chances[known].argmax(axis=1)]
    four = found.four_class
    assert four.accuracy.value == pytest.approx(reference.accuracy_score(truth, likeliest))
    assert four.balanced_accuracy.value == pytest.approx(reference.balanced_accuracy_score(truth, likeliest))
    assert np.array_equal(four.confusion_matrix.counts, reference.confusion_matrix(truth, likeliest, labels=CLASSES))
    precision, recall, f1, support = reference.precision_recall_fscore_support(truth, likeliest, labels=CLASSES)
    for number, name in enumerate(CLASSES):
        one = four.per_class[name]
        assert (one.precision.value, one.recall.value, one.f1.value, one.support) == pytest.approx(
            (precision[number], recall[number], f1[number], support[number])
        )
    assert four.macro_precision == pytest.approx(precision.mean())
    assert four.macro_recall == pytest.approx(recall.mean())
    assert four.macro_f1.value == pytest.approx(f1.mean())

    is_tumor, p_tumor = (frame["label"] != NO_TUMOR).to_numpy(), 1 - chances[:, 3]
    assert found.detection.roc_auc.value == pytest.approx(reference.roc_auc_score(is_tumor, p_tumor))
    assert found.detection.average_precision == pytest.approx(reference.average_precision_score(is_tumor, p_tumor))
    one_hot = truth.to_numpy()[:, None] == np.array(CLASSES)
    calibration = found.calibration
    assert calibration.nll == pytest.approx(reference.log_loss(one_hot, chances[known]))
    assert calibration.brier == pytest.approx(((chances[known] - one_hot) ** 2).sum(axis=1).mean())
    assert calibration.detection_brier == pytest.approx(reference.brier_score_loss(is_tumor, p_tumor))
    assert calibration.ece.value == pytest.approx(calibration_error(chances[known].max(axis=1), likeliest == truth))
    assert calibration.detection_ece.value == pytest.approx(calibration_error(p_tumor, is_tumor))


def test_auc_in_a_draw_is_the_weighted_one_of_scikit_learn():
    frame = random_rows(120)
    chances = frame[PROBABILITIES].to_numpy().round(1)  # many ties
    sample = Sample.of(frame.assign(**dict(zip(PROBABILITIES, chances.T, strict=True))), resamples=5, seed=0)
    weights = np.concatenate(list(sample.bootstrap.row_weights(np.arange(120))))
    found = areas(sample, sample.p_tumor, sample.is_tumor, sample.everything)
    for draw in range(6):
        expected = reference.roc_auc_score(sample.is_tumor, sample.p_tumor, sample_weight=weights[draw])
        assert found[draw] == pytest.approx(expected)


def test_every_interval_holds_its_value_and_has_width():
    found = figures(random_rows(300), threshold=0.7, resamples=300)
    cheng = found.datasets["cheng"]
    parts = (found.four_class, cheng, found.detection, found.calibration, *cheng.labels.values())
    intervals = [figure for part in parts for _, figure in part if isinstance(figure, Estimate)]
    assert len(intervals) == 10 + 3 * len(cheng.labels)
    for figure in intervals:
        assert figure.low <= figure.value <= figure.high
        assert figure.low < figure.high


def test_all_of_few_groups_is_no_certainty():
    labels = ["glioma"] * 20 + ["notumor"] * 4
    cells = [
        ("masoud", str(n // 2), label, (0.9, 0, 0, 0.1) if label == "glioma" else (0, 0, 0, 1))
        for n, label in enumerate(labels)
    ]
    found = figures(rows(*cells), threshold=0.5, resamples=20).detection
    # Ten groups without a miss: the exact lower bound of 10 of 10.
    assert found.sensitivity.floats == pytest.approx((1.0, 0.6915, 1.0), abs=1e-4)
    none = figures(rows(*cells), threshold=1.0, resamples=20).detection.sensitivity
    assert none.floats == pytest.approx((0.0, 0.0, 0.3085), abs=1e-4)


def test_answered_by_hand():
    found = figures(SMALL.assign(referred=[False, True, False, False, True, True, False, False]), threshold=0.6)
    assert found.answered.images == 5
    assert found.answered.share.value == pytest.approx(5 / 8)
    assert found.answered.accuracy.value == 1.0
    assert found.answered.sensitivity.value == 1.0
    assert found.answered.error.value == 0.0
    assert found.answered.error_of_referred.value == pytest.approx(2 / 3)


@pytest.mark.parametrize("label", ["glioma", "notumor", "tumor"])
def test_one_class_alone_leaves_figures_undefined(label):
    frame = rows(*[("br35h", str(number), label, (0.2, 0.2, 0.2, 0.4)) for number in range(4)])
    found = figures(frame, threshold=0.5, resamples=20)
    assert found.detection.roc_auc == Estimate(value=None)
    assert found.detection.average_precision is None
    assert found.web_detection.specificity.value is None or found.web_detection.sensitivity.value is None


def test_no_rows_give_no_figures():
    found = figures(SMALL.iloc[:0].assign(referred=False), threshold=0.5, resamples=20)
    assert (found.images, found.groups, found.in_training_share) == (0, 0, None)
    assert found.four_class.accuracy.value is None
    assert found.answered.share.value is None


def test_share_seen_in_training():
    frame = SMALL.assign(in_training=[True, True] + [False] * 6)
    assert figures(frame, threshold=0.5, resamples=0).in_training_share == 0.25


def test_repeats_exactly():
    frame = random_rows(100)
    first, again = (figures(frame, threshold=0.5, seed=4, resamples=40) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda frame: frame.drop(columns="group"), {}, "group"),
        (lambda frame: frame.assign(label="cyst"), {}, "cyst"),
        (lambda frame: frame.assign(p_glioma=2.0), {}, "8 rows"),
        (lambda frame: frame.assign(p_glioma=np.nan), {}, "8 rows"),
        (lambda frame: frame.assign(split=["test", *["validation"] * 7]), {}, "2 splits"),
        (lambda frame: frame, {"threshold": 1.5}, "threshold"),
    ],
)
def test_unusable_tables_are_refused(change, options, words):
    with pytest.raises(ValueError, match=words):
        figures(change(SMALL), **{"threshold": 0.5} | options)


@settings(max_examples=20)
@given(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=30), st.floats(0.6, 1))
def test_perfect_predictions_are_perfect(labels, confidence):
    chances = [[confidence if name == label else (1 - confidence) / 3 for name in CLASSES] for label in labels]
    cells = [("masoud", str(n), label, row) for n, (label, row) in enumerate(zip(labels, chances, strict=True))]
    found = figures(rows(*cells), threshold=0.5, resamples=20)
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert getattr(found.four_class, name).value == 1
    for name in ("roc_auc", "sensitivity", "specificity"):
        assert getattr(found.detection, name).value in (1, None)
    assert 0 <= found.calibration.ece.value <= 1


def test_breakdown_by_hand():
    datasets = figures(SMALL, threshold=0.6, resamples=20).datasets
    glioma, clear = datasets["masoud"].labels["glioma"], datasets["masoud"].labels["notumor"]
    assert (glioma.images, glioma.groups, glioma.right.value, glioma.detected.value) == (2, 1, 0.5, 1.0)
    assert (clear.detected.value, clear.answered.value, clear.p_tumor) == pytest.approx((0.5, 1.0, 0.45))
    assert datasets["br35h"].labels["tumor"].right.value is None
