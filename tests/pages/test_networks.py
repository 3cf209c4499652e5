import json

import pandas as pd
import pytest

from braintumor.dashboard.comparison import read_comparison
from braintumor.evaluation import figures
from tests.dashboard.made_comparison import ACROSS, PUBLISHED, SHARPNESS, THRESHOLD, write_comparison
from tests.pages.guest import decoded, drawn, opened, texts

HEADERS = [
    "How good is each?",
    "How much of it is leakage?",
    "All figures",
    "Look closer",
    "What their authors reported",
    "Not trained",
    "Take the numbers with you",
]


@pytest.fixture
def results(guest_app, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_RESULTS_DIR", str(tmp_path / "results"))
    return tmp_path / "results"


def chart(page, title):
    return next(one for one in drawn(page) if one["layout"]["title"]["text"].startswith(title))


def test_without_a_comparison_it_names_the_command(results):
    page = opened("networks.py")
    assert "python -m braintumor compare" in page.info[0].value
    assert not page.header


def test_shows_the_figures_of_the_predictions(results):
    folder = write_comparison(results)
    page = opened("networks.py")
    assert [header.value for header in page.header] == HEADERS
    assert not page.warning
    rows = pd.read_csv(folder / "predictions.csv")
    table = page.dataframe[0].value
    for title, name in (("SqueezeNet U-Net (default)", "squeeze_unet"), ("LeNet-5", "lenet")):
        own = rows[rows["network"] == name].assign(in_training=False)
        clean, leaking = (
            figures(own[own["split"] == split], threshold=THRESHOLD, resamples=0) for split in ("leak_free", PUBLISHED)
        )
        shown = table.loc[title]
        assert shown["Accuracy"] == pytest.approx(100 * clean.four_class.accuracy.value, abs=0.01)
        assert shown["Published (inflated)"] == pytest.approx(100 * leaking.four_class.accuracy.value, abs=0.01)
        assert shown["ROC AUC, tumor or not"] == pytest.approx(clean.detection.roc_auc.value, abs=1e-4)
        assert shown["Calibration error (ECE)"] == pytest.approx(clean.calibration.ece.value, abs=1e-3)
        assert shown["Sensitivity"] == pytest.approx(100 * clean.detection.sensitivity.value, abs=0.01)
    confusion = chart(page, "Truth and answer")["data"][0]["customdata"]
    own = rows.query("network == 'squeeze_unet' and split == 'leak_free'").assign(in_training=False)
    expected = figures(own, threshold=THRESHOLD, resamples=0).four_class.confusion_matrix.counts
    assert decoded(confusion) == [list(row) for row in expected]


def test_says_how_many_folds_were_run_and_what_is_inflated(results):
    write_comparison(results)
    said = texts(opened("networks.py"))
    assert "2 of 5 folds were run" in said
    assert "75.0% of Masoud's test images have a copy in the training set" in said
    assert ":orange-badge[Inflated]" in said
    assert "on the published split (inflated)" in said


@pytest.mark.parametrize(("figure", "times"), [("accuracy", 1), ("sensitivity", 2), ("specificity", 2)])
def test_says_at_which_threshold_sensitivity_is_taken(figure, times, results):
    write_comparison(results)
    page = opened("networks.py")
    page.selectbox(key="figure").select(figure).run()
    assert texts(page).count("that finds 90.0% of the tumors of each dataset on validation") == times


def test_costs_say_on_what_they_were_measured(results):
    write_comparison(results)
    page = opened("networks.py")
    assert r"Latency on A \*small\* CPU, one image at a time." in texts(page)
    costs = page.dataframe[1].value
    assert set(costs["Trained on"]) == {"CPU"}
    # Of the two leak-free folds, of a minute and two, and not of the published split.
    assert set(costs["Training"]) == {1.5}


def test_fewer_folds_of_a_network_are_told(results):
    folder = write_comparison(results)
    report = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    runs = report["networks"]["lenet"]["runs"]
    report["networks"]["lenet"]["runs"] = [run for run in runs if (run["split"], run["fold"]) != ("leak_free", 0)]
    (folder / "comparison.json").write_text(json.dumps(report), encoding="utf-8")
    assert r"(fewer of some: LeNet\-5: 1)" in texts(opened("networks.py"))


def test_a_network_that_was_not_trained_has_its_reason_and_no_figure(results):
    write_comparison(results)
    page = opened("networks.py")
    assert r"**VGG16**: It starts from ImageNet weights, and there is no connection\." in texts(page)
    assert "VGG16" not in page.dataframe[0].value.index
    assert page.multiselect[0].options == ["SqueezeNet U-Net (default)", "LeNet-5", "Logistic regression"]


def test_any_figure_can_be_drawn(results):
    figures = read_comparison(write_comparison(results)).figures
    page = opened("networks.py")
    assert page.selectbox[0].options == [about.title for about in figures.values()]
    for key in ("Sensitivity", "Brier score"):
        page = page.selectbox[0].select(key).run()
        assert not page.exception
        assert drawn(page)[0]["layout"]["title"]["text"].startswith(key)


def test_what_was_published_across_two_sets_stands_beside_the_same_without_leaks(results):
    folder = write_comparison(results)
    page = opened("networks.py")
    said = texts(page)
    assert "98.0% of the test images have a copy in the training set" in said
    assert "over four classes" in said
    table = next(one.value for one in page.table if "As published (inflated)" in one.value)
    assert list(table.index) == [r"LeNet\-5"]
    rows = pd.read_csv(folder / "predictions.csv")
    rows = rows[rows["split"] == ACROSS[0]]
    right = ((rows["p_notumor"] <= 0.5) == (rows["label"] == "tumor")).mean()
    assert table["As published (inflated)"].item().startswith(f"{right:.1%}")
    names = {trace.get("name") for trace in chart(page, "Accuracy, tumor or not")["data"]}
    assert {"No copy in training", "Copies in training (inflated)"} <= names


def test_two_networks_stand_side_by_side(results):
    write_comparison(results)
    page = opened("networks.py")
    alone = len(drawn(page))
    page = page.multiselect[0].set_value(["lenet", "logistic"]).run()
    assert not page.exception
    # The logistic regression has no epochs, and so neither of the two curves.
    assert len(drawn(page)) == alone + 3
    assert "no curve of its epochs" in texts(page)
    page = page.multiselect[0].set_value([]).run()
    assert "Choose a network" in texts(page)


def test_another_fold_and_split_can_be_looked_at(results):
    write_comparison(results)
    page = opened("networks.py")
    before = chart(page, "Loss by epoch")
    folds = next(one for one in page.button_group if one.label == "Fold of the loss")
    page = folds.set_value(1).run()
    assert not page.exception
    assert chart(page, "Loss by epoch") != before
    images = next(one for one in page.button_group if one.label == "Images")
    page = images.set_value(PUBLISHED).run()
    assert not page.exception
    assert "Everything below is about images of which copies were trained on" in texts(page)


@pytest.mark.parametrize("name", ["predictions.csv", "histories.csv"])
def test_a_missing_table_is_one_sentence_and_the_rest_is_shown(results, name):
    (write_comparison(results) / name).unlink()
    page = opened("networks.py")
    assert f"{name} is missing" in texts(page)
    assert len(drawn(page)) > 1


def test_a_broken_report_is_one_sentence(results):
    (write_comparison(results) / "comparison.json").write_text("{", encoding="utf-8")
    page = opened("networks.py")
    assert "cannot be used" in page.error[0].value
    assert not page.header


def test_texts_of_the_file_are_shown_as_they_are(results):
    folder = write_comparison(results)
    report = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    report["networks"]["vgg16"]["not_trained"] = "**No** [link](https://example.org) <b>"
    (folder / "comparison.json").write_text(json.dumps(report), encoding="utf-8")
    assert r"\*\*No\*\* \[link\]\(https\:\/\/example\.org\) \<b\>" in texts(opened("networks.py"))


def test_every_trained_network_is_in_the_chart(results):
    write_comparison(results)
    notes = drawn(opened("networks.py"))[0]["layout"]["annotations"]
    assert len(notes) == len(SHARPNESS)
