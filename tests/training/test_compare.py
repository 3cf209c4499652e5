import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from braintumor.bundles import load_bundle, read_card
from braintumor.bundles.schema import StartedFrom, Training
from braintumor.errors import InputError
from braintumor.evaluation.comparison import (
    HISTORY_COLUMNS,
    PREDICTION_COLUMNS,
    against_default,
    comparison_figures,
)
from braintumor.inference import Predictor
from braintumor.networks import NETWORKS
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR, PROBABILITIES, TUMOR_CLASSES
from braintumor.training import comparison
from braintumor.training.compare import compare
from braintumor.training.comparison import _short, _training
from braintumor.training.costs import device
from braintumor.training.options import CompareOptions
from tests.bundles.made_card import made_card, rewrite
from tests.conftest import ROOT, flat, phantom_scan, shorten_epochs
from tests.conftest import SHIPPED as ANSWERING
from tests.evaluation.by_hand import calibration_error

SHIPPED = ROOT / "results" / "comparison"
FOUR_DIGITS = 2e-3
"""How far a figure may be from that of predictions with four digits: a bin's edge may part them another way."""


@pytest.fixture(scope="module", autouse=True)
def short_and_exact():
    """Epochs of two batches, so that a run takes seconds, and predictions as they were measured."""
    with pytest.MonkeyPatch.context() as patch:
        shorten_epochs(patch)
        patch.setattr(comparison, "_DIGITS", 17)
        yield


@pytest.fixture(scope="module")
def options(tiny_bundle, picture_folder, tmp_path_factory):
    work = tmp_path_factory.mktemp("comparison")
    return CompareOptions(
        data=picture_folder,
        runs=work / "runs",
        out=work / "comparison",
        networks=("efficient_unet", "lenet", "logistic"),
        folds=3,
        epochs=1,
        bundles=(tiny_bundle,),
    )


@pytest.fixture(scope="module")
def compared(options):
    """Three networks on one fold, one of them trained before."""
    report, skipped = compare(options)
    assert not skipped
    return report


def by_scikit_learn(rows):
    """The figures of a network on a split, each by another's code."""
    chances = rows[list(PROBABILITIES)].to_numpy()
    known = rows["label"].isin(CLASSES).to_numpy()
    # Where no tumor has a kind, tumor-free pictures have nothing to be told from.
    known = known & (rows["label"].isin(TUMOR_CLASSES).any() or not (rows["label"] == ANY_TUMOR).any())
    truth, likeliest = rows["label"].to_numpy(str)[known], np.array(CLASSES)[chances[known].argmax(axis=1)]
    occurring = [name for name in CLASSES if name in truth]
    precision, recall, f1, support = (
        reference.precision_recall_fscore_support(truth, likeliest, labels=CLASSES, zero_division=0)
        if known.any()
        else np.zeros((4, len(CLASSES)))
    )
    counts = np.array([support[CLASSES.index(name)] > 0 for name in CLASSES])
    auc = {
        name: reference.roc_auc_score(truth == name, chances[known][:, CLASSES.index(name)])
        for name in occurring
        if len(occurring) > 1
    }
    tumor, p_tumor = (rows["label"] != NO_TUMOR).to_numpy(), 1 - chances[:, 3]
    called = p_tumor >= rows["threshold"].to_numpy()
    one_hot = truth[:, None] == np.array(CLASSES)
    figures = {
        "images": len(rows),
        "groups": rows["group"].nunique(),
        "accuracy": reference.accuracy_score(truth, likeliest) if known.any() else None,
        "balanced_accuracy": recall[counts].mean() if known.any() else None,
        "precision_macro": precision[counts].mean() if known.any() else None,
        "recall_macro": recall[counts].mean() if known.any() else None,
        "f1_macro": f1[counts].mean() if known.any() else None,
        "auc_macro": np.mean(list(auc.values())) if auc else None,
        "accuracy_tumor": reference.accuracy_score(tumor, p_tumor >= 0.5),
        "f1_tumor": reference.f1_score(tumor, p_tumor >= 0.5),
        "auc_tumor": reference.roc_auc_score(tumor, p_tumor) if 0 < tumor.sum() < len(tumor) else None,
        "sensitivity": called[tumor].mean() if tumor.any() else None,
        "specificity": (~called[~tumor]).mean() if (~tumor).any() else None,
        "ece": calibration_error(chances[known].max(axis=1), likeliest == truth) if known.any() else None,
        "brier": ((chances[known] - one_hot) ** 2).sum(axis=1).mean() if known.any() else None,
        "confusion": reference.confusion_matrix(truth, likeliest, labels=CLASSES).tolist()
        if known.any()
        else np.zeros((4, 4)).tolist(),
    }
    for number, name in enumerate(CLASSES):
        own = dict(zip(("precision", "recall", "f1"), (precision[number], recall[number], f1[number]), strict=True))
        figures[name] = {**own, "auc": auc.get(name), "images": int(support[number])} if support[number] else None
    return figures


def values(found):
    """The values of figures as ``by_scikit_learn`` has them, without their intervals."""
    plain = {key: value["value"] if isinstance(value, dict) else value for key, value in found.items() if key in KEYS}
    for name, own in found["classes"].items():
        of_class = {key: value["value"] if isinstance(value, dict) else value for key, value in own.items()}
        plain[name] = of_class if own["images"] else None
    return plain


KEYS = (
    {"images", "groups", "confusion", "ece", "brier", "sensitivity", "specificity"}
    | {
        f"{name}_{of}"
        for name, of in [("accuracy", "tumor"), ("f1", "tumor"), ("auc", "tumor")]
        + [(name, "macro") for name in ("precision", "recall", "f1", "auc")]
    }
    | {"accuracy", "balanced_accuracy"}
)


def check_figures(folder, tolerance=1e-6):
    """Every figure of a comparison follows from its predictions; gives how many networks and splits were checked."""
    report = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    predictions = pd.read_csv(folder / "predictions.csv", dtype={"group": str})
    keys = ["network", "split", "fold"]
    runs = [{"network": name, **one} for name, row in report["networks"].items() for one in row.get("runs", [])]
    thresholds = pd.DataFrame(runs)[[*keys, "threshold"]]
    measured = predictions.merge(thresholds, on=keys, validate="many_to_one")
    checked = 0
    for name, row in report["networks"].items():
        own = measured[measured["network"] == name]
        assert set(row.get("figures", {})) == set(own["split"])
        for split, stated in row.get("figures", {}).items():
            rows = own[own["split"] == split]
            assert flat(values(stated)) == pytest.approx(flat(by_scikit_learn(rows)), abs=tolerance)
            assert flat(comparison_figures(rows, stated["datasets"])) == pytest.approx(flat(stated), abs=tolerance)
            checked += 1
        ours, default = (
            measured[(measured["network"] == one) & (measured["split"] == "leak_free")]
            for one in (name, report["default"])
        )
        again = None if name == report["default"] or ours.empty else against_default(ours, default)
        assert flat(row.get("against_default")) == pytest.approx(flat(again), abs=tolerance)
    assert checked == measured.groupby(["network", "split"]).ngroups
    return checked


def test_every_figure_follows_from_the_predictions(compared, options):
    assert check_figures(options.out) == 3


def test_every_figure_of_the_shipped_comparison_follows_from_its_predictions():
    assert check_figures(SHIPPED, FOUR_DIGITS) > 20
    assert set(json.loads((SHIPPED / "comparison.json").read_text(encoding="utf-8"))["networks"]) <= set(NETWORKS)


def test_figures_of_a_bundle_are_those_of_its_card(compared, options, tiny_bundle):
    for name, folder in (("efficient_unet", tiny_bundle), ("lenet", options.models / "lenet-fold0")):
        card = read_card(folder)
        found, stated = compared.networks[name].figures["leak_free"], card.metrics.test
        assert flat(found.accuracy) == pytest.approx(flat(stated.four_class.accuracy.model_dump()))
        assert flat(found.ece) == pytest.approx(flat(stated.calibration.ece.model_dump()))
        assert found.brier["value"] == pytest.approx(stated.calibration.brier)
        assert flat(found.sensitivity) == pytest.approx(flat(stated.detection.sensitivity.model_dump()))
        (told,) = compared.networks[name].runs
        assert told.threshold == card.operating_point.threshold
        assert told.command == card.command
        assert told.images == sum(counts["train"] for data in card.data.values() for counts in data.images.values())
    assert compared.networks["efficient_unet"].against_default is None


def test_a_compared_network_is_a_bundle_that_the_app_can_use(compared, options):
    for name in ("lenet-fold0", "logistic-fold0"):
        bundle = load_bundle(options.models / name)
        assert Predictor(bundle).predict([phantom_scan(tumor=True)])[0].bundle == f"{name}-1.0.0"


def test_a_row_says_what_a_network_took(compared, options):
    row = compared.networks["lenet"]
    assert row.bytes_on_disk == (options.models / "lenet-fold0" / "graph.tflite").stat().st_size
    assert row.latency_ms > 0
    assert row.device == row.measured_on == device()
    side = row.size
    maps = [((side - 4) ** 2, 6 * 25), ((side // 2 - 2 - 4) ** 2, 16 * 25 * 6)]
    dense = (((side // 2 - 2 - 4) // 2) ** 2 * 16 * 120) + 120 * 84 + 84 * 4
    by_hand = 2 * (maps[0][0] * maps[0][1] + maps[1][0] * maps[1][1] + dense)
    # Biases, poolings and activations come on top.
    assert by_hand < row.flops < 1.05 * by_hand
    (done,) = row.runs
    assert (done.epochs, done.planned_epochs, done.ended) == (1, NETWORKS["lenet"].epochs, "shortened")
    assert row.against_default.images == row.figures["leak_free"].images


def test_every_network_stands_in_the_report_and_the_tables_name_no_picture(compared, options):
    assert list(compared.networks) == list(NETWORKS)
    missing = {name for name, row in compared.networks.items() if row.not_trained}
    assert missing == set(NETWORKS) - set(options.networks)
    predictions, histories = (pd.read_csv(options.out / f"{name}.csv") for name in ("predictions", "histories"))
    assert tuple(predictions.columns) == PREDICTION_COLUMNS
    assert tuple(histories.columns) == HISTORY_COLUMNS
    seen = [rows[["row", "group", "label"]].values.tolist() for _, rows in predictions.groupby("network")]
    assert seen[0] == seen[1] == seen[2]
    assert histories.groupby("network").size().to_dict() == dict.fromkeys(options.networks, 1)
    text = "".join(path.read_text(encoding="utf-8") for path in options.out.iterdir())
    assert str(options.data) not in text
    assert ".png" not in text


def test_a_further_call_trains_what_is_missing_and_keeps_what_has_no_bundle(compared, options, tmp_path):
    out = shutil.copytree(options.out, tmp_path / "out")
    asked = replace(options, runs=tmp_path / "runs", out=out, networks=("logistic",), run_folds=(1,), bundles=())
    report, _ = compare(asked)
    assert [path.name for path in asked.models.iterdir()] == ["logistic-fold1"]
    assert report.networks["logistic"].folds == [0, 1]
    assert check_figures(out) == 3
    for name in ("efficient_unet", "lenet"):
        assert report.networks[name] == compared.networks[name]
    # Of both folds, only the first has the default's answers.
    assert report.networks["logistic"].against_default == compared.networks["logistic"].against_default
    card = asked.models / "logistic-fold1" / "card.json"
    before = card.stat().st_mtime_ns
    assert not compare(asked)[1]
    assert card.stat().st_mtime_ns == before
    assert "holds another training" in compare(replace(asked, epochs=3))[1]["logistic-fold1"]


def rewritten(path, change):
    """Change a JSON file in place."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda report: report["protocol"].update(seed=3), "name another folder for --out or delete it"),
        (lambda report: report.update(index_sha256="0"), "a comparison on other data"),
        (lambda report: report.pop("networks"), "cannot be read .ValidationError"),
        (lambda report: report["networks"]["lenet"]["runs"][0].update(fold=2), "cannot be read .KeyError"),
    ],
    ids=["other folds", "other data", "no networks", "no predictions"],
)
def test_earlier_results_count_only_beside_their_like(change, words, compared, options, tmp_path):
    out = shutil.copytree(options.out, tmp_path / "out")
    rewritten(out / "comparison.json", change)
    with pytest.raises(InputError, match=words):
        compare(replace(options, runs=tmp_path / "runs", out=out, networks=(), bundles=()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"networks": ("resnet-9000",)}, "must be one of efficient_unet"),
        ({"weights": ("vgg=x.h5",)}, "must be one of efficient_unet"),
        ({"run_folds": (0, 3)}, "Fold 3 is not among 3"),
        ({"task": "three"}, "must be one of four_class, binary"),
        ({"task": "binary"}, "is of another task or seed"),
        ({"sensitivity": 1.5}, "must be above 0 and at most 1"),
        ({"weights": ("vgg16.h5",)}, "name no network"),
        ({"weights": (f"vgg16={ANSWERING / 'model.keras'}",)}, "may have seen the test pictures"),
        ({"weights": ("vgg16=nowhere.h5",)}, "nowhere.h5 is not a file"),
        ({"seed": 1}, "is of another task or seed"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(changes, words, compared, options, tmp_path):
    with pytest.raises(InputError, match=words):
        compare(replace(options, out=tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_a_bundle_of_other_data_is_refused(options, tiny_bundle, tmp_path):
    bundle = shutil.copytree(tiny_bundle, tmp_path / "other")
    rewrite(bundle, {"split.index_sha256": "0"})
    with pytest.raises(InputError, match="was trained on other data"):
        compare(replace(options, runs=tmp_path / "runs", out=tmp_path / "out", networks=(), bundles=(bundle,)))


def as_published(root, picture_folder):
    """The phantom heads as a set that was published in two parts, in which most heads have a twin in the other one."""
    for number, path in enumerate(sorted(picture_folder.rglob("*.png"))):
        if path.parent.name != "masks":
            part = "Training" if number % 3 else "Testing"
            target = root / "masoud" / part / path.parent.name / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return root


@pytest.mark.parametrize("task", ["four_class", "binary"])
def test_others_splits_are_trained_and_tested_as_they_are_published(task, picture_folder, tmp_path):
    data = as_published(tmp_path / "data", picture_folder)
    options = CompareOptions(
        data=data,
        runs=tmp_path / "runs",
        out=tmp_path / "out",
        networks=("logistic",),
        train_on=("masoud",),
        as_published=True,
        task=task,
    )
    report, skipped = compare(options)
    assert not skipped
    figures = report.networks["logistic"].figures["masoud-published"]
    assert figures.images == len(list((data / "masoud" / "Testing").rglob("*.png")))
    assert 0.3 < report.splits["masoud-published"].test_in_training < 1
    assert (figures.accuracy["value"] is None) == (task == "binary")
    assert figures.accuracy_tumor["value"] > 0.5
    assert check_figures(tmp_path / "out") == 1


def test_networks_that_cannot_be_trained_are_told_and_the_others_go_on(picture_folder, tmp_path):
    """A test on another set than was trained on, of which no kind of tumor is known."""
    for path in picture_folder.rglob("*.png"):
        label = {"notumor": "no", "masks": ""}.get(path.parent.name, "yes")
        dataset = "navoneel" if int(path.stem) % 3 else "br35h"
        target = tmp_path / "data" / dataset / label / path.name
        # Every third picture is of the set that is trained on, half of its heads without a twin in the other set.
        if label and (dataset == "br35h" or int(path.stem) // 2 % 4 < 2):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    options = CompareOptions(
        data=tmp_path / "data",
        runs=tmp_path / "runs",
        out=tmp_path / "out",
        networks=("lenet", "logistic"),
        epochs=1,
        train_on=("br35h",),
        test_on=("navoneel",),
    )
    report, skipped = compare(options)
    assert "there is none of glioma" in skipped["logistic-br35h-to-navoneel"]
    assert report.networks["logistic"].not_trained == skipped["logistic-br35h-to-navoneel"]
    assert report.splits["br35h-to-navoneel"].test_in_training == 0
    assert report.networks["lenet"].figures["br35h-to-navoneel"].accuracy["value"] is None
    assert check_figures(tmp_path / "out") == 1


def test_four_digits_are_kept_but_where_they_would_change_the_answer(monkeypatch):
    monkeypatch.setattr(comparison, "_DIGITS", 4)
    rows = [[0.40001, 0.40003, 0.1, 0.09996], [0.123456, 0.0000123456, 0.5, 0.376531654]]
    table = pd.DataFrame(rows, columns=list(PROBABILITIES)).assign(dice=[0.87654, np.nan], row=[1, 2])
    found = _short(table)
    assert found[[*PROBABILITIES]].to_numpy().tolist() == [rows[0], [0.1235, 0.00001235, 0.5, 0.3765]]
    assert list(found["row"]) == [1, 2]


def told(losses, asked, longest, **card):
    """What is said of the training of a network that has 30 epochs by itself."""
    options = {"lenet": {"epochs": asked, "patience": longest}}
    training = Training(device="a laptop", software={}, options=options)
    card = made_card(network="lenet", training=training, **card)
    history = pd.DataFrame({"epoch": range(1, len(losses) + 1), "val_loss": losses, "seconds": 1.0})
    return _training(card, history)


FALLING, RISING = list(np.linspace(0.9, 0.3, 30)), list(np.linspace(0.3, 0.9, 30))


@pytest.mark.parametrize(
    ("losses", "asked", "longest", "planned", "ended"),
    [
        (FALLING, 30, 20, 30, "planned"),
        (FALLING[:12], 12, 20, 30, "shortened"),
        (RISING[:21], 30, 20, 30, "patience"),
        (RISING[:20], 30, 20, 30, "shortened"),
        (FALLING, 60, 30, 60, "shortened"),
    ],
)
def test_a_training_says_why_it_was_over(losses, asked, longest, planned, ended):
    found = told(losses, asked, longest)
    assert (found["epochs"], found["planned_epochs"], found["ended"]) == (len(losses), planned, ended)


def test_a_training_in_two_runs_counts_both():
    earlier = StartedFrom(
        name="a", version="1", epochs=10, initial_weights="first.npz", device="an abacus", commands=()
    )
    found = told(FALLING, 30, 20, initial_weights="model.keras", started_from=earlier)
    assert (found["planned_epochs"], found["initial_weights"]) == (40, "first.npz")
    assert found["device"] == "an abacus and a laptop"
