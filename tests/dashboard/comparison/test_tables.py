import json
import math

import numpy as np
import pandas as pd
import pytest

from braintumor.dashboard.comparison import (
    ComparisonError,
    comparison_stamp,
    interval_table,
    overview,
    read_comparison,
    same_pictures,
)
from braintumor.evaluation import figures
from braintumor.evaluation.comparison import known_answers
from braintumor.evaluation.comparison_schema import LEAK_FREE
from braintumor.evaluation.samples import right_answers
from braintumor.taxonomy import CLASSES
from tests.dashboard.made_comparison import ACROSS, PUBLISHED, SHARPNESS, THRESHOLD, write_comparison


def changed(folder, change):
    """Change the report of a comparison in place."""
    path = folder / "comparison.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    change(report)
    path.write_text(json.dumps(report), encoding="utf-8")


def test_no_comparison_is_none(tmp_path):
    assert read_comparison(tmp_path / "comparison") is None
    assert comparison_stamp(tmp_path / "comparison") == (0.0, 0.0, 0.0)


def test_reads_everything(tmp_path):
    write_comparison(tmp_path)
    found = read_comparison(tmp_path / "comparison")
    assert found.problems == ()
    assert list(found.trained) == list(SHARPNESS)
    assert list(found.report.networks) == [*SHARPNESS, "vgg16"]
    assert (found.report.published, found.report.across) == (PUBLISHED, ACROSS)
    assert found.split_title(ACROSS[0]) == "Br35H to Navoneel (inflated)"
    assert found.title("squeeze_unet") == "SqueezeNet U-Net (default)"
    assert found.report.networks["lenet"].folds == [0, 1]
    assert len(found.rows("lenet", LEAK_FREE)) == 160
    assert found.rows("vgg16", LEAK_FREE) is None
    assert found.history("lenet", LEAK_FREE, 1)["epoch"].tolist() == [1, 2, 3, 4]
    assert found.history("logistic", LEAK_FREE, 0) is None
    assert all(comparison_stamp(tmp_path / "comparison"))


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("accuracy", ("four_class", "accuracy")),
        ("balanced_accuracy", ("four_class", "balanced_accuracy")),
        ("f1_macro", ("four_class", "macro_f1")),
        ("auc_tumor", ("detection", "roc_auc")),
        ("ece", ("calibration", "ece")),
        ("cheng_accuracy", ("datasets", "cheng", "accuracy")),
    ],
)
def test_drawn_figures_are_those_of_the_predictions(tmp_path, key, path):
    folder = write_comparison(tmp_path)
    rows = pd.read_csv(folder / "predictions.csv")
    drawn = interval_table(read_comparison(tmp_path / "comparison"), key).set_index(["network", "split"])["value"]
    for name in SHARPNESS:
        for split, title in ((LEAK_FREE, "Leak-free folds"), (PUBLISHED, "Published split (inflated)")):
            own = rows[(rows["network"] == name) & (rows["split"] == split)].assign(in_training=False)
            found = figures(own, threshold=THRESHOLD, resamples=0).model_dump()
            for step in path:
                # Masoud's set has no scan of Cheng's.
                found = found.get(step, {})
            expected = math.nan if found.get("value") is None else found["value"]
            assert drawn[name, title] == pytest.approx(expected, abs=1e-4, nan_ok=True)


def test_best_leak_free_network_comes_first(tmp_path):
    found = read_comparison(write_comparison(tmp_path))
    for key, figure in found.figures.items():
        table = interval_table(found, key)
        values = table.query("split == 'Leak-free folds'")["value"].dropna().tolist()
        assert values == sorted(values, reverse=not figure.less_is_better)
        assert len(table) == 2 * len(SHARPNESS)


def test_network_without_leak_free_figures_comes_last(tmp_path):
    folder = write_comparison(tmp_path)
    changed(folder, lambda report: report["networks"]["squeeze_unet"]["figures"].pop(LEAK_FREE))
    assert interval_table(read_comparison(tmp_path / "comparison"), "accuracy")["network"].iloc[-1] == "squeeze_unet"


def test_overview_tells_costs_and_differences(tmp_path):
    write_comparison(tmp_path)
    table = overview(read_comparison(tmp_path / "comparison")).set_index("network")
    assert table.loc["lenet", "difference"] == pytest.approx(
        table.loc["lenet", "accuracy"] - table.loc["squeeze_unet", "accuracy"]
    )
    assert (
        table.loc["lenet", "difference_low"] < table.loc["lenet", "difference"] < table.loc["lenet", "difference_high"]
    )
    assert 0 <= table.loc["lenet", "p"] < 0.05
    assert np.isnan(table.loc["squeeze_unet", "difference"])
    assert table.loc["lenet", "epochs"] == "3 to 4 of 9, no more gain"
    assert table.loc["lenet", "minutes"] == 1.5
    assert table.loc["lenet", "folds"] == 2
    assert table["parameters"].tolist() == [1000, 2000, 3000]
    keys = read_comparison(tmp_path / "comparison").figures
    assert {"cheng_accuracy", "cheng_dice"} < set(keys)
    assert {f"{key}{end}" for key in keys for end in ("", "_low", "_high")} <= set(table)


@pytest.mark.parametrize(
    ("runs", "said", "label"),
    [
        ([], "", "LeNet-5"),
        ([{"epochs": 0, "planned_epochs": 0, "ended": "planned"}], "", "LeNet-5"),
        ([{"epochs": 30, "planned_epochs": 30, "ended": "planned"}], "30 of 30", "LeNet-5"),
        ([{"epochs": 22, "planned_epochs": 30, "ended": "patience"}], "22 of 30, no more gain", "LeNet-5"),
        ([{"epochs": 8, "planned_epochs": 40, "ended": "shortened"}], "8 of 40, cut short", "LeNet-5, 8 of 40 epochs"),
        (
            [
                {"epochs": 8, "planned_epochs": 40, "ended": "shortened"},
                {"epochs": 12, "planned_epochs": 40, "ended": "patience"},
            ],
            "8 to 12 of 40, cut short",
            "LeNet-5, 8 to 12 of 40 epochs",
        ),
    ],
)
def test_epochs_say_how_a_training_ended(tmp_path, runs, said, label):
    folder = write_comparison(tmp_path)
    inflated = {"split": PUBLISHED, "fold": 0, "epochs": 1, "planned_epochs": 30, "ended": "shortened"}
    told = [*({"split": LEAK_FREE, "fold": fold, **run} for fold, run in enumerate(runs)), inflated]

    def retold(report):
        first = report["networks"]["lenet"]["runs"][0]
        report["networks"]["lenet"]["runs"] = [{**first, **run} for run in told]

    changed(folder, retold)
    found = read_comparison(tmp_path / "comparison")
    assert overview(found).set_index("network").loc["lenet", "epochs"] == said
    label = f"{label}, 1 of 30 epochs on the published split"
    assert found.label("lenet") == label
    assert label in set(interval_table(found, "accuracy")["title"])


def test_texts_of_the_overview_run_in_no_spreadsheet(tmp_path):
    folder = write_comparison(tmp_path)
    changed(folder, lambda report: report["networks"]["lenet"].update(device="=1+1"))
    assert overview(read_comparison(tmp_path / "comparison")).set_index("network").loc["lenet", "device"] == "'=1+1"


def test_same_pictures_by_hand(tmp_path):
    folder = write_comparison(tmp_path)
    rows = pd.read_csv(folder / "predictions.csv").query("network == 'lenet'")
    clean, leaking = (rows[rows["split"] == split].set_index("row") for split in (LEAK_FREE, PUBLISHED))
    shared = [row for row in leaking.index if leaking["label"][row] in CLASSES]
    found = (
        same_pictures(read_comparison(tmp_path / "comparison"), LEAK_FREE, PUBLISHED).set_index("network").loc["lenet"]
    )
    assert found["images"] == len(shared)
    expected = [right_answers(part.loc[shared]).mean() for part in (clean, leaking)]
    assert [found["clean"], found["leaking"]] == pytest.approx(expected)
    assert found["gap"] == pytest.approx(expected[1] - expected[0])
    assert found["gap_low"] < found["gap"] < found["gap_high"]


def test_pictures_of_tumors_of_unknown_kind_are_right_by_tumor_or_not(tmp_path):
    folder = write_comparison(tmp_path)
    rows = pd.read_csv(folder / "predictions.csv")
    leaking, clean = ACROSS
    found = same_pictures(read_comparison(tmp_path / "comparison"), clean, leaking)
    (network,) = found["network"]
    assert network == "lenet"
    for key, split in (("clean", clean), ("leaking", leaking)):
        own = rows[rows["split"] == split]
        called = own["p_notumor"] <= 0.5
        assert found[key].item() == pytest.approx((called == (own["label"] == "tumor")).mean())
        confidence = known_answers(own)["confidence"]
        assert confidence.tolist() == pytest.approx(np.maximum(own["p_notumor"], 1 - own["p_notumor"]).tolist())


def test_networks_without_shared_pictures_have_no_pair(tmp_path):
    folder = write_comparison(tmp_path)
    rows = pd.read_csv(folder / "predictions.csv").query("split == 'leak_free' or network == 'lenet'")
    rows.to_csv(folder / "predictions.csv", index=False)
    assert same_pictures(read_comparison(tmp_path / "comparison"), LEAK_FREE, PUBLISHED)["network"].tolist() == [
        "lenet"
    ]


@pytest.mark.parametrize(
    ("split", "figure", "said"),
    [
        (LEAK_FREE, "accuracy", "LeNet-5 (leak-free folds)"),
        (ACROSS[0], "accuracy_tumor", "LeNet-5 (br35h to navoneel (inflated))"),
    ],
)
def test_figures_that_the_predictions_do_not_bear_out_are_told(tmp_path, split, figure, said):
    folder = write_comparison(tmp_path)
    changed(folder, lambda report: report["networks"]["lenet"]["figures"][split][figure].update(value=0.5))
    (problem,) = read_comparison(tmp_path / "comparison").problems
    assert said in problem
    assert "do not trust" in problem


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("predictions.csv", None, "missing"),
        ("predictions.csv", "", "cannot be read"),
        ("predictions.csv", "a,b\n1,2\n", "lacks the column"),
        ("histories.csv", None, "missing"),
        ("histories.csv", "a\n1\n", "lacks the column"),
    ],
)
def test_a_missing_or_broken_table_is_told(tmp_path, name, content, said):
    folder = write_comparison(tmp_path)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content, encoding="utf-8")
    (problem,) = read_comparison(tmp_path / "comparison").problems
    assert name in problem
    assert said in problem


def test_probabilities_that_are_none_are_told(tmp_path):
    folder = write_comparison(tmp_path)
    rows = pd.read_csv(folder / "predictions.csv").assign(p_glioma=7)
    rows.to_csv(folder / "predictions.csv", index=False)
    found = read_comparison(tmp_path / "comparison")
    assert found.predictions is None
    assert "sum to 1" in found.problems[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report.pop("networks"),
        lambda report: report.pop("protocol"),
        lambda report: report["networks"].update(lenet=3),
        lambda report: report["networks"]["lenet"]["figures"].update(leak_free={"accuracy": 0.9}),
        lambda report: report["networks"]["lenet"]["figures"]["leak_free"].update(confusion=[[1]]),
        lambda report: report["networks"]["lenet"]["figures"]["leak_free"].pop("classes"),
        lambda report: report["networks"]["lenet"].update(runs=[{"split": "leak_free"}]),
    ],
)
def test_a_report_of_another_shape_is_one_sentence(tmp_path, change):
    changed(write_comparison(tmp_path), change)
    with pytest.raises(ComparisonError, match="braintumor compare"):
        read_comparison(tmp_path / "comparison")


@pytest.mark.parametrize("text", ["", "{", "[]", "\0"])
def test_a_report_that_is_no_json_object_is_one_sentence(tmp_path, text):
    (write_comparison(tmp_path) / "comparison.json").write_text(text, encoding="utf-8")
    with pytest.raises(ComparisonError, match="cannot be used"):
        read_comparison(tmp_path / "comparison")
