import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import Metrics, read_card
from braintumor.dashboard.bundle_tables import OUTCOMES
from braintumor.evaluation import foreign_figures, pixel_bins, rates_at, score_masks
from braintumor.taxonomy import CLASSES, NO_TUMOR
from tests.bundles.made_card import THRESHOLD, made_card, measured, put_card
from tests.evaluation.test_hospitals import ROWS
from tests.pages.guest import drawn, opened, texts

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


def disk(row, column, radius, side=48):
    rows, columns = np.ogrid[:side, :side]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def segmentation(count=40, seed=0):
    """Scores of real masks: tumors on the left, outlines near them, elsewhere, or nowhere."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        tumor = disk(*random.integers(14, 30, 2), random.integers(3, 9))
        shift, radius = random.integers(-4, 5), random.integers(0, 10)
        found = np.roll(tumor & disk(22, 22, 18), shift, axis=1) if number % 4 else disk(40, 40, radius % 3)
        dataset, label = ("br35h", "tumor") if number % 5 == 0 else ("cheng", CLASSES[number % 3])
        path, group = f"{dataset}/{label}/{number}.jpg", f"{dataset}-{number // 3}"
        facts = {"split": "test", "dataset": dataset, "group": group, "label": label, "path": path}
        rows.append(facts | score_masks(found, tumor))
    return pd.DataFrame(rows)


def add_map(folder, seed=0, split="test"):
    """Make a bundle one of a network that locates tumors."""
    segmentation().assign(split=split).to_csv(folder / "segmentation.csv", index=False)
    stated = np.random.default_rng(seed).beta(0.3, 3, (30, 30))
    bins = pixel_bins(stated, stated > 0.5).assign(dataset="cheng", split="test")
    bins.to_csv(folder / "map_bins.csv", index=False)
    rows = pd.read_csv(folder / "predictions.csv")
    mirrored = rows[rows["split"] == "test"].assign(split="mirrored_test")
    pd.concat([rows, mirrored]).to_csv(folder / "predictions.csv", index=False)
    history = pd.read_csv(folder / "history.csv")
    history.assign(val_dice=0.1 * history["epoch"]).to_csv(folder / "history.csv", index=False)
    return measured(folder)


def write_bundle(folder, name="Tiny net", rows=80, epochs=6, **changes):
    folder.mkdir(parents=True)
    epoch = np.arange(1, epochs + 1)
    history = pd.DataFrame({"epoch": epoch, "loss": 1.4 / epoch, "accuracy": 1 - 0.6 / epoch})
    history = history.assign(
        val_loss=1.5 / epoch**0.8, val_accuracy=1 - 0.65 / epoch**0.8, learning_rate=1e-3, seconds=2.0
    )
    history.to_csv(folder / "history.csv", index=False)
    predictions(rows).to_csv(folder / "predictions.csv", index=False)
    return measured(folder, name=name, **changes)


@pytest.fixture
def models(guest_app, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("BRAINTUMOR_MODEL", "second")
    return tmp_path


def metric(page, label):
    return next(element for element in page.metric if element.label == label)


def test_shows_the_figures_of_the_card(models):
    metrics = read_card(write_bundle(models / "second")).metrics
    page = opened("training_metrics.py")
    accuracy = metrics.test.four_class.accuracy
    shown = metric(page, "Accuracy")
    assert shown.value == f"{100 * accuracy.value:.1f}%"
    assert shown.delta == f"{100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}"
    table = page.table[0].value
    assert list(table.columns) == ["Leak-free test", PUBLISHED]
    for column, report in zip(table.columns, (metrics.test, metrics.published_test), strict=True):
        text = "{:.3f} ({:.3f} to {:.3f})".format(*report.detection.roc_auc.floats)
        assert table.loc["Tumor or not: ROC AUC", column] == text.replace(" ", "\u00a0")
    assert "Tiny net" in page.selectbox[0].options
    assert "network squeezenet" in texts(page)
    assert "tumor score calibrated × 0.750 − 0.125 · temperature of the kinds 1.375" in texts(page)


def test_published_test_is_called_inflated_with_the_accuracy_of_both_parts(models):
    folder = write_bundle(models / "second")
    rows = pd.read_csv(folder / "predictions.csv")
    # Some of those it has not seen are made wrong, so that the two accuracies differ.
    rows.loc[rows.index[-8:], [f"p_{name}" for name in CLASSES]] = 0.7, 0.1, 0.1, 0.1
    rows.to_csv(folder / "predictions.csv", index=False)
    measured(folder)
    rows = rows.query("split == 'published_test' and label != 'tumor'")
    right = np.array(CLASSES)[rows[[f"p_{name}" for name in CLASSES]].to_numpy().argmax(axis=1)] == rows["label"]
    seen, unseen = right[rows["in_training"]], right[~rows["in_training"]]
    assert unseen.mean() < seen.mean()
    warning = " ".join(element.value for element in opened("training_metrics.py").warning)
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
    measured(folder)
    assert "do not trust these figures" in texts(opened("training_metrics.py"))


def test_threshold_starts_at_the_operating_point_and_moves_the_rates(models):
    folder = write_bundle(models / "second")
    page = opened("training_metrics.py")
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
    page = opened("training_metrics.py")
    before = page.dataframe[0].value
    page = page.button_group[0].set_value("published_test").run()
    assert not page.exception
    assert not before.equals(page.dataframe[0].value)
    assert "Everything below is about images of which many were trained on" in texts(page)


def test_all_bundles_are_offered_and_the_default_one_is_open(models):
    write_bundle(models / "first", "Alpha")
    write_bundle(models / "second", "Beta")
    write_bundle(models / "third", "Beta")
    page = opened("training_metrics.py")
    assert page.selectbox[0].options == ["Alpha", "Beta (second)", "Beta (third)"]
    assert page.selectbox[0].value == models / "second"


def test_no_bundle_says_what_to_do(models):
    page = opened("training_metrics.py")
    assert "no trained model yet" in page.info[0].value
    assert "BRAINTUMOR_MODELS_DIR" in page.info[0].value


@pytest.mark.parametrize("name", ["history.csv", "predictions.csv"])
def test_a_missing_table_is_named_and_the_rest_is_shown(models, name):
    folder = write_bundle(models / "second")
    (folder / name).unlink()
    page = opened("training_metrics.py")
    assert f"{name} is missing" in texts(page)
    assert len(page.get("plotly_chart")) > 0


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\0\0"])
@pytest.mark.parametrize("name", ["history.csv", "predictions.csv"])
def test_a_broken_table_is_one_sentence(models, name, content):
    folder = write_bundle(models / "second")
    (folder / name).write_text(content)
    assert name in " ".join(element.value for element in opened("training_metrics.py").warning)


def test_a_broken_card_is_one_sentence(models):
    folder = write_bundle(models / "second")
    (folder / "card.json").write_text("{")
    assert "The card of second cannot be read" in opened("training_metrics.py").error[0].value


def test_a_model_without_a_map_says_so_in_one_sentence(models):
    write_bundle(models / "second")
    page = opened("training_metrics.py")
    assert "no outlines to measure" in texts(page)
    assert "Where is the tumor?" not in [element.value for element in page.header]
    assert [toggle.label for toggle in page.toggle] == ["Show shares of each true class"]


def test_outlines_are_those_of_the_card(models):
    folder = add_map(write_bundle(models / "second"))
    page = opened("training_metrics.py")
    assert "Where is the tumor?" in [element.value for element in page.header]
    expected = read_card(folder).metrics.test.segmentation
    shown = {
        label: [element for element in page.metric if element.label == label]
        for label in ("Mean Dice", "Lesions found")
    }
    # Datasets come by name, as in the figures.
    for number, found in enumerate(expected.datasets.values()):
        assert shown["Mean Dice"][number].value == f"{found.dice.value:.3f}"
        assert shown["Mean Dice"][number].delta == f"{found.dice.low:.3f} to {found.dice.high:.3f}"
        assert shown["Lesions found"][number].value == f"{100 * found.lesion_sensitivity:.1f}%"
    table = page.dataframe[0].value
    assert table.index.tolist() == [
        "Tumor, kind unknown, Br35H",
        "All, Cheng",
        *(f"{title}, Cheng" for title in ("Glioma", "Meningioma", "Pituitary tumor")),
    ]
    assert table["Images"].tolist()[:2] == [found.images for found in expected.datasets.values()]


def test_cases_are_told_in_words(models):
    folder = add_map(write_bundle(models / "second"))
    rows = pd.read_csv(folder / "segmentation.csv")
    page = opened("training_metrics.py")
    counts = next(element.value for element in page.table if "Outlined well" in element.value.index)
    assert counts.index.tolist() == list(OUTCOMES)
    assert counts[["Br35H", "Cheng"]].sum().sum() == len(rows)
    worst, best = page.dataframe[1].value, page.dataframe[2].value
    assert (len(worst), len(best)) == (10, 5)
    assert worst["Dice"].tolist() == rows["dice"].nsmallest(10).tolist()
    assert best["Dice"].tolist() == rows["dice"].nlargest(5).tolist()
    assert set(worst["Picture"]) <= set(rows["path"])
    assert all(said.split(",")[0] in OUTCOMES for said in [*worst["What happened"], *best["What happened"]])


def test_iou_can_be_looked_at_instead(models):
    add_map(write_bundle(models / "second"))
    page = opened("training_metrics.py")
    before = len(page.get("plotly_chart"))
    page = next(toggle for toggle in page.toggle if "IoU" in toggle.label).set_value(True).run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == before


def test_the_same_slices_without_their_tumor_have_their_own_figures(models):
    folder = add_map(write_bundle(models / "second"))
    detection = read_card(folder).metrics.mirrored_test.detection
    page = opened("training_metrics.py")
    assert "The same slices without their tumor" in [element.value for element in page.header]
    # The last one: the headline figures show a ROC AUC, too.
    area = [element for element in page.metric if element.label == "ROC AUC"][-1]
    assert area.value == f"{detection.roc_auc.value:.3f}"
    assert area.delta == f"{detection.roc_auc.low:.3f} to {detection.roc_auc.high:.3f}"
    assert f"{detection.tumors:,} test slices with a tumor" in texts(page)


def test_a_map_adds_its_charts(models):
    folder = write_bundle(models / "second")
    before = len(opened("training_metrics.py").get("plotly_chart"))
    add_map(folder)
    # Two of overlap, one of distance, one of the map, one of learning.
    assert len(opened("training_metrics.py").get("plotly_chart")) == before + 5


@pytest.mark.parametrize("content", [None, "", "a,b\n1,2\n"])
@pytest.mark.parametrize("name", ["segmentation.csv", "map_bins.csv"])
def test_a_map_without_its_table_is_one_sentence_and_the_rest_is_shown(models, name, content):
    folder = add_map(write_bundle(models / "second"))
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    page = opened("training_metrics.py")
    assert name in " ".join(element.value for element in page.warning)
    assert "How did it learn?" in [element.value for element in page.header]
    assert "Mean Dice" in [element.label for element in page.metric]


def test_test_pictures_without_outlines_are_said_to_have_none(models):
    add_map(write_bundle(models / "second"), split="validation")
    page = opened("training_metrics.py")
    assert "has an outline drawn by hand" in " ".join(element.value for element in page.info)
    assert page.header[0].value == "How good is it?"


def test_the_slider_says_what_the_operating_point_was_chosen_for(models):
    write_bundle(models / "second")
    page = opened("training_metrics.py")
    assert page.slider[0].value == THRESHOLD
    assert "operating point, 0.437, chosen to find at least 90% of the tumors of Br35H and Cheng each" in texts(page)


def test_referral_is_measured_by_the_errors_it_withholds(models):
    folder = write_bundle(models / "second")
    rows = pd.read_csv(folder / "predictions.csv").query("split == 'test' and label != 'tumor'")
    wrong = np.array(CLASSES)[rows[[f"p_{name}" for name in CLASSES]].to_numpy().argmax(axis=1)] != rows["label"]
    page = opened("training_metrics.py")
    for label, chosen in (("Wrong if answered", ~rows["referred"]), ("Wrong if referred", rows["referred"])):
        assert metric(page, label).value == f"{100 * wrong[chosen].mean():.1f}%"
    reasons = page.table[1].value
    assert reasons["Images"].sum() == pd.read_csv(folder / "predictions.csv").query("split == 'test'")["referred"].sum()


OTHERS = "Does it notice what is not a brain MRI?"


def test_other_pictures_are_shown_where_the_model_was_tried_on_some(models):
    folder = write_bundle(models / "second")
    assert OTHERS not in [element.value for element in opened("training_metrics.py").header]
    rows = [("noise", 5.0, True), ("noise", 6.0, True), ("text", 4.0, True), ("text", 1.0, False)]
    pd.DataFrame(rows, columns=["kind", "distance", "referred"]).to_csv(folder / "foreign.csv", index=False)
    predictions = pd.read_csv(folder / "predictions.csv")
    predictions.assign(distance=2.0).to_csv(folder / "predictions.csv", index=False)
    measured(folder)
    page = opened("training_metrics.py")
    assert OTHERS in [element.value for element in page.header]
    assert metric(page, "Foreign referred").value == "75.0%"
    table = next(element.value for element in page.table if "noise" in element.value.index)
    assert table.loc["text"].tolist() == [2, "50.0%", "0.500"]


def test_other_pictures_without_scans_beside_them_are_dashes(models):
    folder = write_bundle(models / "second")
    noise = pd.DataFrame({"kind": ["noise"], "distance": [5.0], "referred": [True]})
    noise.to_csv(folder / "foreign.csv", index=False)
    found = foreign_figures(noise.iloc[:0].assign(dataset=""), noise, 1.0)
    put_card(folder, made_card(metrics=Metrics(foreign=found)))
    page = opened("training_metrics.py")
    shown = {element.label: element.value for element in page.metric}
    assert (shown["Foreign referred"], shown["Real referred"]) == ("100.0%", "–")
    (table,) = [element.value for element in page.table if "noise" in element.value.index]
    assert table.loc["noise"].tolist() == [1, "100.0%", "–"]


def test_a_model_of_tumor_or_not_is_measured_by_that_alone(models):
    folder = write_bundle(models / "second")
    rows = pd.read_csv(folder / "predictions.csv")
    kinds = [f"p_{name}" for name in CLASSES[:3]]
    rows[kinds] = np.repeat(rows[kinds].sum(axis=1).to_numpy()[:, None] / 3, 3, axis=1)
    rows["label"] = rows["label"].where(rows["label"] == NO_TUMOR, "tumor")
    rows.to_csv(folder / "predictions.csv", index=False)
    measured(folder, kinds=False)
    page = opened("training_metrics.py")
    said, labels = texts(page), [element.label for element in page.metric]
    assert said.count("tells only tumor or not") == 2
    assert "temperature of the kinds" not in said
    assert not {"Accuracy", "Wrong if answered", "Wrong if referred", "Ratio"} & set(labels)
    answered = rows[(rows["split"] == "test") & ~rows["referred"]]
    expected = rates_at(1 - answered["p_notumor"], answered["label"] == "tumor", THRESHOLD)
    # The card of all scans comes first, that of the answered ones next.
    shown = [element.value for element in page.metric if element.label == "Sensitivity"][1]
    assert shown == f"{100 * expected['sensitivity']:.1f}%"
    reasons = next(element.value for element in page.table if element.value.index.name == "Reason")
    assert list(reasons.columns) == ["Images", "Of all"]
    titles = [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in page.get("plotly_chart")]
    assert any(title.startswith("Reliability of P(tumor)") for title in titles)
    assert not [title for title in titles if title.startswith(("Reliability (", "Risk and", "Truth and"))]


def heatmap_report(folder, **methods):
    """A report on heatmaps for the weights of a bundle."""
    (folder / "model.keras").write_bytes(b"weights")
    inside = {"value": 0.5, "low": 0.4, "high": 0.6}
    measured = dict.fromkeys(("inside", "pointing", "deletion", "insertion", "randomized_correlation"), inside)
    return {
        "model_sha256": hashlib.sha256(b"weights").hexdigest(),
        "images": 12,
        "groups": 4,
        "methods": {name: measured | {"seconds": seconds} for name, seconds in methods.items()},
        "curves": {name: {"deletion": [1, 0], "insertion": [0, 1]} for name in methods},
        "share": [0, 1],
        "chance": {"inside": 0.03},
    }


def test_the_name_of_a_heatmap_is_shown_and_never_run(models):
    folder = write_bundle(models / "second")
    report = heatmap_report(folder, **{"<b>x</b> [y](http://z)": 0.1})
    (folder / "heatmaps.json").write_text(json.dumps(report))
    page = opened("training_metrics.py")
    (name,) = next(element.value for element in page.table if "Points at it" in element.value).index
    assert not re.search(r"(?<!\\)[<>\[\]():]", name)
    specs = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    curves = [spec for spec in specs if spec["layout"]["title"]["text"] in ("Deletion", "Insertion")]
    assert len(curves) == 2
    assert all(spec["data"][0]["name"] == "&lt;b&gt;x&lt;/b&gt; [y](http://z)" for spec in curves)


@pytest.mark.parametrize("same_model", [True, False])
def test_heatmaps_are_shown_of_the_same_weights_only(models, same_model):
    folder = write_bundle(models / "second")
    (folder / "heatmaps.json").write_text(json.dumps(heatmap_report(folder, gradcam=0.1, random=0.0)))
    if not same_model:
        (folder / "model.keras").write_bytes(b"others")
    page = opened("training_metrics.py")
    said = texts(page)
    assert ("python -m braintumor heatmaps" in said) is not same_model
    assert ("12 held-out pictures" in said) is same_model
    shown = [element.value for element in page.table if "Grad-CAM" in element.value.index]
    assert bool(shown) is same_model
    if same_model:
        assert shown[0].loc["Grad-CAM", "Inside the tumor"] == "50.0% (40.0 to 60.0)".replace(" ", "\u00a0")
        assert shown[0].index[1].endswith("(floor)")


def test_a_hospital_that_was_held_out_comes_before_figures_at_home(models):
    folder = write_bundle(models / "second")
    placed = ROWS[ROWS["split"] == "hospital_test"].assign(height=[0.0, 0.2, 0.25, 1.0, 0.5, 0.75], lesion=[0.02] * 6)
    rows = pd.concat([pd.read_csv(folder / "predictions.csv"), placed], ignore_index=True)
    rows.fillna({"hospital": "", "sequence": ""}).to_csv(folder / "predictions.csv", index=False)
    found = read_card(measured(folder)).metrics.hospital_test.hospitals["FG"][""]
    page = opened("training_metrics.py")
    assert page.metric[0].value == f"{found.roc_auc.value:.3f}"
    assert metric(page, "Missed").value == f"{100 * found.cleared_tumors.value:.1f}%"
    headers = [header.value for header in page.header]
    assert headers.index("At a hospital it has never seen") < headers.index("How good is it?")
    titles = {trace["name"] for chart in drawn(page) for trace in chart["data"] if "name" in trace}
    assert {"ROC AUC × 100", "Tumor-free called a tumor", "Tumors answered with no tumor"} <= titles
