import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from braintumor import settings
from braintumor.dashboard import gate
from braintumor.evaluation import figures, rates_at
from braintumor.taxonomy import CLASSES, NO_TUMOR

PAGE = Path(__file__).parents[2] / "pages" / "training_metrics.py"
THRESHOLD = 0.437
PUBLISHED = "Published test (inflated)"


def predictions(rows, seed=0):
    """A test split that no training group touches, and a published one that mostly does and looks better."""
    random = np.random.default_rng(seed)
    tables = []
    for split, sharpness in (("test", 2.2), ("published_test", 4.5)):
        dataset = random.choice(["masoud", "br35h", "cheng", "navoneel"], rows, p=[0.5, 0.2, 0.2, 0.1])
        label = random.choice(CLASSES, rows).astype(object)
        label[(dataset == "cheng") & (label == NO_TUMOR)] = "glioma"
        logits = random.normal(0, 1, (rows, 4)) + sharpness * (label[:, None] == np.array(CLASSES))
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        label[np.isin(dataset, ["br35h", "navoneel"]) & (label != NO_TUMOR)] = "tumor"
        table = pd.DataFrame({"split": split, "dataset": dataset, "label": label})
        table["group"] = [f"{split}-{number}" for number in random.integers(0, rows // 2, rows)]
        table["in_training"] = False if split == "test" else np.arange(rows) < 0.75 * rows
        table["referred"] = chances.max(axis=1) < 0.45
        tables.append(table.join(pd.DataFrame(chances, columns=[f"p_{name}" for name in CLASSES])))
    return pd.concat(tables, ignore_index=True)


def write_bundle(folder, name="Tiny net", rows=80, epochs=6, **changes):
    folder.mkdir(parents=True)
    card = {
        "name": name,
        "version": "1.2.0",
        "created": "2025-01-02",
        "network": "squeezenet",
        "calibration": {"temperature": 1.375},
        "operating_point": {"threshold": THRESHOLD},
        "metrics": {},
    } | changes
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    epoch = np.arange(1, epochs + 1)
    history = pd.DataFrame({"epoch": epoch, "loss": 1.4 / epoch, "accuracy": 1 - 0.6 / epoch})
    history = history.assign(
        val_loss=1.5 / epoch**0.8, val_accuracy=1 - 0.65 / epoch**0.8, learning_rate=1e-3, seconds=2.0
    )
    history.to_csv(folder / "history.csv", index=False)
    predictions(rows).to_csv(folder / "predictions.csv", index=False)
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("BRAINTUMOR_MODEL", "second")
    monkeypatch.setenv("BRAINTUMOR_DEMO", "1")
    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(tmp_path / "data"))
    settings.load.cache_clear()
    yield tmp_path
    settings.load.cache_clear()


def opened():
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.session_state[gate.GUEST] = True
    page.run()
    assert not page.exception
    return page


def texts(page):
    kinds = (page.markdown, page.caption, page.warning, page.info, page.error)
    return " ".join(element.value for kind in kinds for element in kind)


def metric(page, label):
    return next(element for element in page.metric if element.label == label)


def test_shows_the_figures_of_the_files(models):
    folder = write_bundle(models / "second")
    page = opened()
    rows = pd.read_csv(folder / "predictions.csv")
    expected = {
        split: figures(rows[rows["split"] == split], threshold=THRESHOLD) for split in ("test", "published_test")
    }
    accuracy = expected["test"]["four_class"]["accuracy"]
    shown = metric(page, "Accuracy")
    assert shown.value == f"{100 * accuracy['value']:.1f}%"
    assert shown.delta == f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}"
    table = page.table[0].value
    assert list(table.columns) == ["Leak-free test", PUBLISHED]
    for column, split in zip(table.columns, expected, strict=True):
        auc = expected[split]["detection"]["roc_auc"]
        text = f"{auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})"
        assert table.loc["Tumor or not: ROC AUC", column] == text.replace(" ", "\u00a0")
    assert "Tiny net" in page.selectbox[0].options
    assert "network squeezenet" in texts(page)
    assert "calibration temperature 1.375" in texts(page)


def test_published_test_is_called_inflated_with_the_accuracy_of_both_parts(models):
    folder = write_bundle(models / "second")
    rows = pd.read_csv(folder / "predictions.csv")
    # Some of those it has not seen are made wrong, so that the two accuracies differ.
    rows.loc[rows.index[-8:], [f"p_{name}" for name in CLASSES]] = 0.7, 0.1, 0.1, 0.1
    rows.to_csv(folder / "predictions.csv", index=False)
    rows = rows.query("split == 'published_test' and label != 'tumor'")
    right = np.array(CLASSES)[rows[[f"p_{name}" for name in CLASSES]].to_numpy().argmax(axis=1)] == rows["label"]
    seen, unseen = right[rows["in_training"]], right[~rows["in_training"]]
    assert unseen.mean() < seen.mean()
    warning = " ".join(element.value for element in opened().warning)
    assert "figures of the published test are inflated" in warning
    assert "75% of these 80 images were themselves in this model's training set" in warning
    assert (
        f"Of those it gets {100 * seen.mean():.1f}% right, of the {len(unseen)} others {100 * unseen.mean():.1f}%."
        in warning
    )


def test_a_leak_in_the_clean_split_is_called_out(models):
    folder = write_bundle(models / "second")
    rows = pd.read_csv(folder / "predictions.csv")
    rows.loc[:7, "in_training"] = True
    rows.to_csv(folder / "predictions.csv", index=False)
    assert "do not trust these figures" in texts(opened())


def test_threshold_starts_at_the_operating_point_and_moves_the_rates(models):
    folder = write_bundle(models / "second")
    page = opened()
    rows = pd.read_csv(folder / "predictions.csv").query("split == 'test'")
    p_tumor, is_tumor = 1 - rows["p_notumor"], rows["label"] != NO_TUMOR
    slider = page.slider[0]
    assert slider.value == THRESHOLD
    for threshold in (THRESHOLD, 0.9):
        page = slider.set_value(threshold).run()
        assert not page.exception
        expected = rates_at(p_tumor, is_tumor, threshold)
        names = {"Sensitivity": "sensitivity", "Specificity": "specificity", "PPV": "ppv", "NPV": "npv"}
        for label, name in names.items():
            # The last one: the headline figures show a sensitivity, too.
            shown = [element.value for element in page.metric if element.label == label][-1]
            assert shown == f"{100 * expected[name]:.1f}%"
        slider = page.slider[0]


def test_the_other_split_can_be_looked_at(models):
    write_bundle(models / "second")
    page = opened()
    before = page.dataframe[0].value
    page = page.button_group[0].set_value("published_test").run()
    assert not page.exception
    assert not before.equals(page.dataframe[0].value)
    assert "Everything below is about images of which many were trained on" in texts(page)


def test_all_bundles_are_offered_and_the_default_one_is_open(models):
    write_bundle(models / "first", "Alpha")
    write_bundle(models / "second", "Beta")
    write_bundle(models / "third", "Beta")
    page = opened()
    assert page.selectbox[0].options == ["Alpha", "Beta (second)", "Beta (third)"]
    assert page.selectbox[0].value == models / "second"


def test_no_bundle_says_what_to_do(models):
    page = opened()
    assert "no trained model yet" in page.info[0].value
    assert "BRAINTUMOR_MODELS_DIR" in page.info[0].value


@pytest.mark.parametrize("name", ["history.csv", "predictions.csv"])
def test_a_missing_table_is_named_and_the_rest_is_shown(models, name):
    folder = write_bundle(models / "second")
    (folder / name).unlink()
    page = opened()
    assert f"{name} is missing" in texts(page)
    assert len(page.get("plotly_chart")) > 0


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\0\0"])
@pytest.mark.parametrize("name", ["history.csv", "predictions.csv"])
def test_a_broken_table_is_one_sentence(models, name, content):
    folder = write_bundle(models / "second")
    (folder / name).write_text(content)
    assert name in " ".join(element.value for element in opened().warning)


def test_a_broken_card_is_one_sentence(models):
    folder = write_bundle(models / "second")
    (folder / "card.json").write_text("{")
    assert "The card of second cannot be read" in opened().error[0].value


def test_a_card_without_operating_point_starts_at_one_half(models):
    write_bundle(models / "second", operating_point=None)
    page = opened()
    assert page.slider[0].value == 0.5
    assert "names no operating point" in texts(page)
