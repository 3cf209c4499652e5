import math
import os

import numpy as np
import pandas as pd
import pytest

from braintumor.bundles import BundleError, read_card
from braintumor.dashboard.bundle_tables import (
    OUTCOMES,
    bundle_folders,
    bundle_stamp,
    bundle_tables,
    extreme_cases,
    headline_table,
    outcome_counts,
    outcomes,
    segmentation_table,
    training_overlap,
)
from braintumor.evaluation import pixel_bins, score_masks, segmentation_figures
from braintumor.model_cards import HEADLINES, bounds
from braintumor.taxonomy import CLASSES
from tests.bundles.made_card import made_card, measured

ROWS = "split,dataset,group,label,in_training,referred,p_glioma,p_meningioma,p_pituitary,p_notumor\n"
GOOD = ROWS + "test,masoud,a,glioma,False,False,0.7,0.1,0.1,0.1\ntest,masoud,b,notumor,False,True,0.1,0.1,0.1,0.7\n"
MIRRORED = GOOD.replace("test,", "mirrored_test,").removeprefix(ROWS)
SIDE = 40


def block(top, left, height, width):
    """A mask with one filled rectangle; a height of 0 leaves it empty."""
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


TUMOR = block(10, 10, 10, 10)
FOUND = {
    "Outlined well": block(10, 11, 10, 10),
    "Only part found": block(10, 10, 10, 4),
    "Outline too large": block(6, 6, 18, 18),
    "Mostly beside it": block(10, 16, 10, 10),
    "Found elsewhere": block(30, 30, 5, 5),
    "Missed entirely": block(0, 0, 0, 0),
}


def scored(*found, dataset="cheng", label="glioma", split="test"):
    facts = {"split": split, "dataset": dataset, "label": label}
    return pd.DataFrame(
        [
            {**facts, "group": f"{dataset}-{number}", "path": f"{dataset}/{label}/{number}.jpg"}
            | score_masks(mask, TUMOR)
            for number, mask in enumerate(found)
        ]
    )


def segmentation():
    kinds = scored(*FOUND.values()), scored(TUMOR, label="pituitary")
    return pd.concat([*kinds, scored(TUMOR, TUMOR, dataset="br35h", label="tumor")], ignore_index=True)


def map_bins():
    sure = np.where(TUMOR, 0.9, 0.05)
    return pixel_bins(sure, TUMOR).assign(dataset="cheng", split="test")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "net"
    made.mkdir()
    (made / "history.csv").write_text("epoch,loss,accuracy,val_loss,val_accuracy\n1,0.9,0.5,1.0,0.4\n")
    (made / "predictions.csv").write_text(GOOD)
    return measured(made, name="Net")


@pytest.fixture
def locating(folder):
    """A bundle of a network with a map."""
    (folder / "predictions.csv").write_text(GOOD + MIRRORED)
    segmentation().to_csv(folder / "segmentation.csv", index=False)
    map_bins().to_csv(folder / "map_bins.csv", index=False)
    return measured(folder, name="Net")


def test_reads_everything(folder):
    found = bundle_tables(folder)
    assert found.problems == ()
    assert found.card == read_card(folder)
    assert len(found.split("test")) == 2
    assert found.split("published_test") is None
    assert found.segmentation is None
    assert found.map_bins is None


def test_reads_the_tables_of_a_map(locating):
    found = bundle_tables(locating)
    assert found.problems == ()
    assert len(found.outlined("test")) == len(segmentation())
    assert found.outlined("validation") is None
    assert len(found.cells("test")) == len(map_bins())


def test_without_a_map_its_files_are_left_alone(folder):
    (folder / "segmentation.csv").write_text("")
    found = bundle_tables(folder)
    assert (found.segmentation, found.problems) == (None, ())


def test_a_missing_table_is_a_problem_and_the_card_is_read(folder):
    (folder / "predictions.csv").unlink()
    found = bundle_tables(folder)
    assert "predictions.csv is missing" in found.problems[0]
    assert found.card.metrics.test.images == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("history.csv", "epoch,loss\n1,2\n", "lacks the column accuracy, val_loss, val_accuracy"),
        ("history.csv", "", "cannot be read"),
        ("predictions.csv", "split\ntest\n", "lack the column"),
        ("predictions.csv", GOOD.replace("glioma,False", "cyst,False"), "'cyst'"),
        ("predictions.csv", ROWS + "test,masoud,a,glioma,False,False,x,0.1,0.1,0.1\n", "cannot be used"),
    ],
)
def test_a_broken_table_is_a_problem_and_not_an_error(folder, name, content, words):
    (folder / name).write_text(content)
    found = bundle_tables(folder)
    assert len(found.problems) == 1
    assert name in found.problems[0]
    assert words in found.problems[0]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("segmentation.csv", lambda table: table.drop(columns=["path", "dice"]), "lacks the column path, dice"),
        ("segmentation.csv", lambda table: table.assign(dice=1.5), "dice has values"),
        ("segmentation.csv", lambda table: table.assign(iou="x"), "cannot be used"),
        ("segmentation.csv", lambda table: table.assign(lesions=np.nan), "a score is missing"),
        ("segmentation.csv", lambda table: table.assign(label="cyst"), "'cyst'"),
        ("map_bins.csv", lambda table: table.drop(columns="pixels"), "lacks the column pixels"),
        ("map_bins.csv", lambda table: table.assign(pixels="many"), "cannot be used"),
        ("map_bins.csv", lambda table: table[table["bin"] != 3], "without a gap"),
        ("segmentation.csv", None, "is missing"),
        ("map_bins.csv", None, "is missing"),
    ],
)
def test_a_broken_table_of_a_map_is_a_problem_and_the_rest_is_read(locating, name, change, words):
    path = locating / name
    table = pd.read_csv(path)
    path.unlink()
    if change is not None:
        change(table).to_csv(path, index=False)
    found = bundle_tables(locating)
    assert len(found.problems) == 1
    assert name in found.problems[0]
    assert words in found.problems[0]
    assert (found.segmentation is None) == (name == "segmentation.csv")
    assert (found.map_bins is None) == (name == "map_bins.csv")


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_broken_card_is_an_error(folder, content):
    (folder / "card.json").write_text(content)
    with pytest.raises(BundleError, match="net"):
        bundle_tables(folder)
    assert bundle_folders(folder.parent) == {folder: "net"}


@pytest.mark.parametrize("name", ["card.json", "history.csv", "predictions.csv", "segmentation.csv", "map_bins.csv"])
def test_stamp_changes_with_any_file(locating, name):
    before = bundle_stamp(locating)
    os.utime(locating / name, (1, 1))
    changed = bundle_stamp(locating)
    (locating / name).unlink()
    assert len({before, changed, bundle_stamp(locating)}) == 3


def test_there_are_no_bundles_in_no_folder(tmp_path):
    assert bundle_folders(tmp_path / "nowhere") == {}


def test_headlines_leave_out_what_no_split_has(locating):
    metrics = read_card(locating).metrics
    found = headline_table(metrics, ["test", "published_test"])
    assert "Tumor or not: ROC AUC" in found["figure"].tolist()
    assert "Accuracy, Cheng scans" not in found["figure"].tolist()
    assert found["split"].unique().tolist() == ["Leak-free test", "Published test (inflated)"]
    assert found.loc[found["split"] != "Leak-free test", "value"].isna().all()


def seen(*rows):
    """Figures of a published test: (label, likeliest class, in_training)."""
    columns = {"label": [row[0] for row in rows], "in_training": [row[2] for row in rows]}
    chances = {f"p_{name}": [0.97 if row[1] == name else 0.01 for row in rows] for name in CLASSES}
    groups = [str(number) for number in range(len(rows))]
    table = pd.DataFrame({"split": "published_test", "dataset": "masoud", "group": groups, **columns, **chances})
    return made_card(table).metrics.published_test


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [
                ("glioma", "glioma", True),
                ("notumor", "notumor", True),
                ("pituitary", "pituitary", True),
                ("glioma", "meningioma", False),
                ("notumor", "notumor", False),
                ("tumor", "glioma", False),
            ],
            "50% of these 6 images were themselves in this model's training set. "
            "Of those it gets 100.0% right, of the 2 others 50.0%.",
        ),
        (
            [("tumor", "glioma", True), ("tumor", "glioma", False)],
            "50% of these 2 images were themselves in this model's training set.",
        ),
        ([("glioma", "glioma", False)], "0% of these 1 images were themselves in this model's training set."),
    ],
)
def test_overlap_says_what_was_trained_on_and_what_that_does(rows, said):
    assert training_overlap(seen(*rows)) == said


@pytest.mark.parametrize(
    ("title", "of"),
    [
        ("Dice, Cheng scans", lambda metrics: metrics.test.segmentation.datasets["cheng"].dice.value),
        ("Dice, Cheng scans: median", lambda metrics: metrics.test.segmentation.datasets["cheng"].dice_median),
        ("Dice, Br35H", lambda metrics: metrics.test.segmentation.datasets["br35h"].dice.value),
        ("Accuracy, Cheng scans", lambda metrics: math.nan),
        ("Share answered, not referred", lambda metrics: metrics.test.answered.share.value),
        ("Same slices without their tumor: ROC AUC", lambda metrics: metrics.mirrored_test.detection.roc_auc.value),
    ],
)
def test_headlines_are_figures_of_the_card(locating, title, of):
    metrics = read_card(locating).metrics
    (headline,) = [headline for headline in HEADLINES if headline.title == title]
    assert bounds(metrics, "test", headline)[0] == pytest.approx(of(metrics), nan_ok=True)
    assert math.isnan(bounds(metrics, "published_test", headline)[0])


def test_segmentation_table_has_a_row_a_dataset_and_one_for_each_of_several_labels():
    table = segmentation_table(segmentation_figures(segmentation(), resamples=20))
    assert list(zip(table["dataset"], table["label"].fillna("all"), strict=True)) == [
        ("br35h", "tumor"),
        ("cheng", "all"),
        ("cheng", "glioma"),
        ("cheng", "pituitary"),
    ]
    assert table["images"].tolist() == [2, 7, 6, 1]
    assert table["dice"][1] == pytest.approx(segmentation().query("dataset == 'cheng'")["dice"].mean())
    assert table["low"][1] <= table["dice"][1] <= table["high"][1]
    # One group says nothing about the next.
    assert math.isnan(table["low"][3])


@pytest.mark.parametrize(("outcome", "found"), FOUND.items())
def test_outcomes_are_told_from_the_scores_alone(outcome, found):
    assert outcomes(scored(found)).tolist() == [outcome]


def test_outcomes_are_counted_by_dataset_in_order():
    counts = outcome_counts(segmentation())
    assert counts.index.tolist() == list(OUTCOMES)
    assert counts.columns.tolist() == ["br35h", "cheng", "share"]
    assert counts["cheng"].tolist() == [2, 1, 1, 1, 1, 1]
    assert counts["br35h"].tolist() == [2, 0, 0, 0, 0, 0]
    assert counts["share"].sum() == pytest.approx(1)


def test_extreme_cases_are_the_best_and_the_worst_without_overlap():
    rows = segmentation()
    best, worst = extreme_cases(rows, best=4, worst=3)
    assert best["dice"].is_monotonic_decreasing
    assert worst["dice"].is_monotonic_increasing
    assert best["dice"].min() >= rows["dice"].nlargest(4).min()
    assert worst["dice"].max() <= rows["dice"].nsmallest(3).max()
    few_best, few_worst = extreme_cases(rows.head(3))
    assert len(few_best) + len(few_worst) == 3


@pytest.mark.parametrize(
    ("extra", "words"),
    [((), "Outlined well"), ((0,), "Outlined well, 1 false region"), ((0, 4), "Outlined well, 2 false regions")],
)
def test_cases_tell_of_false_regions(extra, words):
    found = TUMOR.copy()
    for row in extra:
        found[row, 30:32] = True
    best, _ = extreme_cases(scored(found))
    assert best["outcome"].tolist() == [words]
