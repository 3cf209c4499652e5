import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from braintumor.bundles import load_bundle, sha256_of
from braintumor.cli import main
from braintumor.datasets import DatasetError
from braintumor.errors import InputError
from braintumor.evaluation import expected_calibration_error
from braintumor.evaluation.comparison import HISTORY_COLUMNS, PREDICTION_COLUMNS, against_default, comparison_figures
from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.inference import Predictor
from braintumor.networks import NETWORKS
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR, TUMOR_CLASSES
from braintumor.training import fitting, run
from braintumor.training.comparing import (
    CompareOptions,
    _command,
    _not_trained,
    compare,
    with_thresholds,
)
from braintumor.training.export import export_bundle
from braintumor.training.fitting import FitOptions
from braintumor.training.profiling import device
from braintumor.training.trial import ACROSS, SPLITS, Trial, _asked_again, _of_history, split_rows
from tests.conftest import ROOT, flat, phantom_scan

SHIPPED = ROOT / "models" / "comparison"
HEADLINES = {
    "accuracy",
    "balanced_accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "auc_macro",
    "accuracy_tumor",
    "f1_tumor",
    "auc_tumor",
    "sensitivity",
    "specificity",
    "ece",
    "brier",
    "cheng_accuracy",
    "cheng_dice",
}
FIGURES = HEADLINES | {"images", "groups", "classes", "confusion"}


@pytest.fixture(scope="module")
def short_epochs():
    """Epochs of two batches, so that a run takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "FitOptions", partial(FitOptions, epoch_images=64))
        yield


@pytest.fixture(scope="module")
def options(tiny_bundle, picture_folder, tmp_path_factory):
    work = tmp_path_factory.mktemp("comparison")
    return CompareOptions(
        data=picture_folder,
        runs=work / "runs",
        out=work / "comparison",
        networks=("lenet", "logistic", "efficient_unet", "ensemble"),
        folds=3,
        epochs=1,
        bundle=tiny_bundle,
    )


@pytest.fixture(scope="module")
def compared(options, short_epochs):
    """Three networks on one fold, one of them a bundle, and an ensemble whose members are not there."""
    report, skipped = compare(options)
    return options, report, skipped


def tables(folder):
    report = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    predictions = pd.read_csv(folder / "predictions.csv", dtype={"group": str})
    runs = [{"network": name, **one} for name, facts in report["networks"].items() for one in facts.get("runs", [])]
    return report, with_thresholds(predictions, runs)


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
    cheng = (rows["dataset"] == "cheng").to_numpy()[known]
    one_hot = truth[:, None] == np.array(CLASSES)
    drawn = rows.loc[rows["dataset"] == "cheng", "dice"].dropna()
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
        "ece": expected_calibration_error(chances[known].max(axis=1), likeliest == truth) if known.any() else None,
        "brier": ((chances[known] - one_hot) ** 2).sum(axis=1).mean() if known.any() else None,
        "cheng_accuracy": (truth == likeliest)[cheng].mean() if cheng.any() else None,
        "cheng_dice": drawn.mean() if len(drawn) else None,
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
    plain = {key: value["value"] if key in HEADLINES else value for key, value in found.items() if key != "classes"}
    for name, own in found["classes"].items():
        of_class = {key: value["value"] if isinstance(value, dict) else value for key, value in own.items()}
        plain[name] = of_class if own["images"] else None
    return plain


def check_figures(folder):
    """Every figure of a comparison follows from its predictions; gives how many networks and splits were checked."""
    report, measured = tables(folder)
    checked = 0
    for name, facts in report["networks"].items():
        own = measured[measured["network"] == name]
        for split in SPLITS:
            rows, stated = own[own["split"] == split], facts.get(split)
            assert (stated is None) == rows.empty
            if stated is None:
                continue
            assert set(stated) == FIGURES
            assert flat(values(stated)) == pytest.approx(flat(by_scikit_learn(rows)), abs=1e-6)
            assert flat(comparison_figures(rows)) == pytest.approx(flat(stated), abs=1e-6)
            checked += 1
        ours, default = (
            measured[(measured["network"] == one) & (measured["split"] == "leak_free")]
            for one in (name, report["default"])
        )
        again = None if name == report["default"] or ours.empty else against_default(ours, default)
        assert flat(facts.get("against_default")) == pytest.approx(flat(again), abs=1e-6)
    assert checked == measured.groupby(["network", "split"]).ngroups
    return checked


def test_every_figure_of_a_comparison_follows_from_its_predictions(compared):
    assert check_figures(compared[0].out) == 3


@pytest.mark.skipif(not SHIPPED.is_dir(), reason="no comparison has been run yet: python -m braintumor compare")
def test_every_figure_of_the_shipped_comparison_follows_from_its_predictions():
    assert check_figures(SHIPPED) > 0
    assert set(json.loads((SHIPPED / "comparison.json").read_text(encoding="utf-8"))["networks"]) == set(NETWORKS)


def test_the_bundle_stands_for_the_default_network(compared, tiny_bundle):
    _, report, _ = compared
    card = json.loads((tiny_bundle / "card.json").read_text())
    default, stated = report["networks"]["efficient_unet"], card["metrics"]["test"]
    found = default["leak_free"]
    assert found["accuracy"] == pytest.approx(stated["four_class"]["accuracy"])
    assert found["ece"] == pytest.approx(stated["calibration"]["ece"])
    assert found["brier"]["value"] == pytest.approx(stated["calibration"]["brier"], abs=1e-6)
    assert found["sensitivity"] == pytest.approx(stated["detection"]["sensitivity"])
    assert default["against_default"] is None
    assert default["parameters"] == card["parameters"]
    assert (default["runs"][0]["epochs"], default["runs"][0]["planned_epochs"]) == (1, 1)


def test_a_row_says_what_a_network_took(compared):
    options, report, _ = compared
    row = report["networks"]["lenet"]
    graph = Trial("lenet", "leak_free", 0).folder(options.runs) / "graph.tflite"
    assert row["not_trained"] is None
    assert row["bytes_on_disk"] == graph.stat().st_size
    assert row["latency_ms"] > 0
    assert row["device"] == fitting.device()
    side = row["size"]
    maps = [((side - 4) ** 2, 6 * 25), ((side // 2 - 2 - 4) ** 2, 16 * 25 * 6)]
    dense = (((side // 2 - 2 - 4) // 2) ** 2 * 16 * 120) + 120 * 84 + 84 * 4
    by_hand = 2 * (maps[0][0] * maps[0][1] + maps[1][0] * maps[1][1] + dense)
    # Biases, poolings and activations come on top.
    assert by_hand < row["flops"] < 1.05 * by_hand
    (done,) = row["runs"]
    assert (done["epochs"], done["planned_epochs"], done["ended"]) == (1, NETWORKS["lenet"].epochs, "shortened")
    assert 0 <= done["threshold"] <= 1
    assert row["against_default"]["mcnemar"].keys() == {"only_this_right", "only_default_right", "p"}
    assert row["against_default"]["images"] == row["leak_free"]["images"]


def test_every_network_stands_in_the_report_and_says_why_it_has_no_figures(compared):
    _, report, skipped = compared
    assert list(report["networks"]) == list(NETWORKS)
    missing = {name for name, row in report["networks"].items() if row["not_trained"]}
    assert missing == set(NETWORKS) - {"lenet", "logistic", "efficient_unet"}
    for name in missing:
        assert set(report["networks"][name]) == {"title", "source", "reported", "not_trained"}
    assert skipped.keys() == {"ensemble on leak_free fold 0"}
    assert "vgg16 on leak_free fold 0 and resnet50 on leak_free fold 0" in skipped["ensemble on leak_free fold 0"]
    assert report["networks"]["ensemble"]["not_trained"] == skipped["ensemble on leak_free fold 0"]
    assert report["networks"]["vgg16"]["not_trained"] == _not_trained("vgg16")


def test_tables_hold_the_same_pictures_for_each_network_and_name_none(compared):
    options, _, _ = compared
    predictions = pd.read_csv(options.out / "predictions.csv")
    assert tuple(predictions.columns) == PREDICTION_COLUMNS
    seen = {name: rows[["row", "group", "label"]].values.tolist() for name, rows in predictions.groupby("network")}
    assert seen["lenet"] == seen["logistic"] == seen["efficient_unet"]
    histories = pd.read_csv(options.out / "histories.csv")
    assert tuple(histories.columns) == HISTORY_COLUMNS
    assert histories.groupby("network").size().to_dict() == {"lenet": 1, "logistic": 1, "efficient_unet": 1}
    text = "".join(path.read_text(encoding="utf-8") for path in options.out.iterdir())
    assert str(options.data) not in text
    assert ".png" not in text


def test_a_further_call_trains_only_what_is_missing(compared, tmp_path):
    options, report, _ = compared
    runs = tmp_path / "runs"
    shutil.copytree(options.runs, runs)
    kept = Trial("lenet", "leak_free", 0).folder(runs) / "model.keras"
    before = kept.stat().st_mtime_ns
    again = replace(
        options, runs=runs, out=tmp_path / "out", networks=("lenet", "logistic"), run_folds=(0, 1), bundle=None
    )
    more, skipped = compare(replace(again, networks=("logistic",)))
    assert not skipped
    assert more["protocol"]["folds_run"] == {"efficient_unet": [0], "lenet": [0], "logistic": [0, 1]}
    assert more["networks"]["lenet"]["leak_free"] == report["networks"]["lenet"]["leak_free"]
    assert more["networks"]["logistic"]["leak_free"]["images"] > report["networks"]["logistic"]["leak_free"]["images"]
    assert kept.stat().st_mtime_ns == before
    assert check_figures(tmp_path / "out") == 3
    # Of both folds, only the first has the default's answers.
    assert more["networks"]["logistic"]["against_default"] == report["networks"]["logistic"]["against_default"]


def test_earlier_results_are_kept_where_their_runs_are_gone(compared, tmp_path):
    options, report, _ = compared
    out = tmp_path / "out"
    shutil.copytree(options.out, out)
    asked = replace(options, runs=tmp_path / "no runs", out=out, networks=(), bundle=None)
    again, skipped = compare(asked)
    assert not skipped
    assert {**again, "created": ""} == {**report, "created": "", "networks": again["networks"]}
    for name, row in again["networks"].items():
        reason = "Not trained" if name == "ensemble" else row["not_trained"]
        latency = {"latency_ms": row["latency_ms"]} if "latency_ms" in row else {}
        assert {**row, "not_trained": reason} == {**report["networks"][name], "not_trained": reason, **latency}
        assert not latency or row["latency_ms"] > 0, "measured anew, as the other networks' is"
    for name in ("predictions.csv", "histories.csv"):
        assert (out / name).read_bytes() == (options.out / name).read_bytes()
    more, _ = compare(replace(asked, networks=("logistic",), run_folds=(1,)))
    assert more["protocol"]["folds_run"] == {"efficient_unet": [0], "lenet": [0], "logistic": [0, 1]}
    assert check_figures(out) == 3
    # What is asked for by name is trained, not taken from the file.
    rewritten(out / "comparison.json", lambda kept: kept["networks"]["logistic"].update(device="another machine"))
    anew, _ = compare(replace(asked, networks=("logistic",)))
    assert Trial("logistic", "leak_free", 0).facts(asked.runs)
    assert anew["networks"]["logistic"]["device"] == report["networks"]["logistic"]["device"]


@pytest.mark.parametrize(
    ("change", "folds_run", "words"),
    [
        (lambda report: report["networks"]["logistic"].update(parameters=7), [1], None),
        (lambda report: report["networks"]["lenet"].update(parameters=7), [0, 1], None),
        (lambda report: report["protocol"].update(seed=3), None, "name another folder for --out or delete it"),
        (lambda report: report.update(index_sha256="0"), None, "a comparison on other data"),
        (lambda report: report.pop("networks"), None, "cannot be read .KeyError: 'networks'.; restore its files"),
        (lambda report: report["networks"]["lenet"]["runs"][0].update(fold=2), None, "cannot be read .KeyError"),
    ],
    ids=["network changed", "another network changed", "other folds", "other data", "no networks", "no predictions"],
)
def test_earlier_results_count_only_beside_their_like(change, folds_run, words, compared, tmp_path):
    options, _, _ = compared
    out = tmp_path / "out"
    shutil.copytree(options.out, out)
    rewritten(out / "comparison.json", change)
    asked = replace(
        options, runs=tmp_path / "runs", out=out, networks=("logistic",), run_folds=(1,), epochs=None, bundle=None
    )
    if words:
        with pytest.raises(InputError, match=words):
            compare(asked)
        return
    report, _ = compare(asked)
    assert report["protocol"]["folds_run"]["logistic"] == folds_run
    assert report["protocol"]["folds_run"]["lenet"] == [0]


def test_trials_of_earlier_versions_count_with_what_they_do_not_say(compared, tmp_path):
    options, report, _ = compared
    runs = tmp_path / "runs"
    shutil.copytree(options.runs, runs)
    folder = Trial("lenet", "leak_free", 0).folder(runs)
    rewritten(
        folder / "trial.json",
        lambda facts: [facts.pop(key) for key in ("sensitivity", "doubt_from", "device", "asked_epochs")],
    )
    pd.read_csv(folder / "predictions.csv").drop(columns="dice").to_csv(folder / "predictions.csv", index=False)
    asked = replace(options, runs=runs, out=tmp_path / "out", networks=(), bundle=None)
    again, _ = compare(asked)
    assert again["networks"]["lenet"]["device"] == "not recorded"
    assert again["networks"]["lenet"]["leak_free"] == report["networks"]["lenet"]["leak_free"]
    assert again["command"] == report["command"]
    with pytest.raises(InputError, match="of another seed, sensitivity or task"):
        compare(replace(asked, sensitivity=0.9))


def test_the_report_tells_the_call_of_all_trials_and_not_the_last_one(compared, tmp_path):
    options, report, _ = compared
    again, _ = compare(replace(options, out=tmp_path / "out", networks=(), bundle=None, run_folds=(1,), bfloat16=True))
    call = "python -m braintumor compare --data DIR --networks"
    wanted = [
        f"{call} efficient_unet --folds 3 --run-folds 0 --seed 0 --bundle models/{options.bundle.name}",
        f"{call} lenet --folds 3 --run-folds 0 --seed 0 --epochs 1",
        f"{call} logistic --folds 3 --run-folds 0 --seed 0",
    ]
    assert again["command"] == report["command"] == " && ".join(wanted)


def test_a_stopped_run_can_be_closed_as_it_is(compared, tmp_path, short_epochs):
    options, report, _ = compared
    runs = tmp_path / "runs"
    shutil.copytree(options.runs, runs)
    folder = Trial("lenet", "leak_free", 0).folder(runs)
    (folder / "trial.json").unlink()
    rewritten(folder / "state.json", lambda state: state.update(device="another machine"))
    asked = replace(options, runs=runs, out=tmp_path / "out", networks=("lenet",), bundle=None, close=True)
    closed, skipped = compare(replace(asked, bfloat16=True))
    assert not skipped
    # Both are those of the run, not of the call that closes it.
    assert closed["networks"]["lenet"]["device"] == "another machine"
    assert json.loads((folder / "trial.json").read_text(encoding="utf-8"))["bfloat16"] is False
    assert flat(closed["networks"]["lenet"]["leak_free"]) == pytest.approx(
        flat(report["networks"]["lenet"]["leak_free"])
    )
    unstarted, skipped = compare(replace(asked, networks=("manual_cnn",)))
    assert "nothing to close" in skipped["manual_cnn on leak_free fold 0"]
    assert unstarted["networks"]["manual_cnn"]["not_trained"] == skipped["manual_cnn on leak_free fold 0"]


def rewritten(path, change):
    """Change a JSON file in place."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def signed(bundle, name, **changes):
    """Put the digest of a bundle's file that was changed on its card, with other changes of the card."""
    digest = sha256_of(bundle / name)
    rewritten(bundle / "card.json", lambda card: card.update(changes, sha256={**card["sha256"], name: digest}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"networks": ("resnet-9000",), "bundle": None}, "must be one of efficient_unet"),
        ({"weights": {"vgg": Path("x.h5")}}, "must be one of efficient_unet"),
        ({"run_folds": (0, 3)}, "Fold 3 is not among 3"),
        ({"task": "three"}, "must be one of four_class, binary"),
        ({"task": "binary", "bundle": None, "networks": ()}, "another seed, sensitivity or task"),
        ({"task": "binary", "runs": None}, "was trained for another task"),
        ({"sensitivity": 1.5}, "must be above 0 and at most 1"),
        ({"weights": {"vgg16": ROOT / "models" / "efficient_unet" / "model.keras"}}, "may have seen the test pictures"),
        ({"weights": {"vgg16": Path("nowhere.h5")}}, "nowhere.h5 is not a file"),
        ({"networks": ("lenet",)}, "stands for efficient_unet, which is not among the networks"),
        ({"seed": 1, "bundle": None, "networks": ()}, "other data or folds"),
        ({"seed": 1, "runs": None}, "was trained on other data or another split"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(changes, words, compared, tmp_path):
    options, _, _ = compared
    changes = {key: tmp_path / "runs" if value is None and key == "runs" else value for key, value in changes.items()}
    with pytest.raises(InputError, match=words):
        compare(replace(options, out=tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_a_bundle_of_another_network_stands_for_nothing(compared, tmp_path):
    options, _, _ = compared
    bundle = tmp_path / "other"
    shutil.copytree(options.bundle, bundle)
    rewritten(bundle / "card.json", lambda card: card.update(network="squeezenet"))
    with pytest.raises(
        InputError, match="The bundle other is of squeezenet, not of efficient_unet; leave --bundle away"
    ):
        compare(replace(options, runs=tmp_path / "runs", out=tmp_path / "out", bundle=bundle))


@pytest.mark.parametrize(("sensitivity", "threshold"), [(0.95, 0.51), (0.75, 0.55)])
def test_a_bundle_is_compared_at_the_sensitivity_of_all_whatever_its_own(sensitivity, threshold, compared, tmp_path):
    options, _, _ = compared
    bundle = tmp_path / "other"
    shutil.copytree(options.bundle, bundle)
    rows = pd.read_csv(bundle / "predictions.csv")
    kept = rows[(rows["split"] != "validation") | (rows["label"] == "notumor")]
    tumors = [rows.query("split == 'validation'").iloc[0].to_dict() | {"label": "glioma"} for _ in range(20)]
    stated = pd.DataFrame(tumors).assign(p_notumor=[0.5 - 0.01 * number for number in range(20)])
    pd.concat([kept, stated]).to_csv(bundle / "predictions.csv", index=False)
    signed(bundle, "predictions.csv")
    asked = replace(options, runs=tmp_path / "runs", out=tmp_path / "out", bundle=bundle, sensitivity=sensitivity)
    report, _ = compare(replace(asked, networks=("efficient_unet",), run_folds=(0,)))
    assert report["networks"]["efficient_unet"]["runs"][0]["threshold"] == pytest.approx(threshold)


def test_a_bundle_that_was_trained_in_two_runs_counts_both(compared, tmp_path):
    options, _, _ = compared
    bundle = tmp_path / "two"
    shutil.copytree(options.bundle, bundle)
    once = pd.read_csv(bundle / "history.csv")
    pd.concat([once, once.assign(epoch=2)]).to_csv(bundle / "history.csv", index=False)
    first = {"epochs": 1, "initial_weights": "first.npz", "device": "an abacus"}
    signed(bundle, "history.csv", started_from=first)
    asked = replace(options, runs=tmp_path / "runs", out=tmp_path / "out", bundle=bundle)
    report, _ = compare(replace(asked, networks=("efficient_unet",), run_folds=(0,)))
    row = report["networks"]["efficient_unet"]
    assert (row["initial_weights"], row["device"]) == ("first.npz", f"an abacus and {device()}")
    assert (row["runs"][0]["epochs"], row["runs"][0]["planned_epochs"]) == (2, 2)
    assert row["runs"][0]["seconds"] == pytest.approx(2 * once["seconds"].sum())


def test_other_weights_in_a_file_of_the_same_name_are_another_run(tmp_path):
    path = tmp_path / "w.h5"
    options = CompareOptions(data=tmp_path, runs=tmp_path, out=tmp_path, weights={"vgg16": path}).of(
        Trial("vgg16", "leak_free", 0)
    )
    identities = []
    for content in (b"1", b"2"):
        path.write_bytes(content)
        identities.append(options.weights_identity())
    assert len(set(identities)) == 2
    assert replace(options, weights="imagenet").weights_identity() == "imagenet"
    assert replace(options, weights=None).weights_identity() is None


def published(root, picture_folder, test_share=3):
    """The phantom heads as a published set: their twins lie in both of its parts."""
    for number, path in enumerate(sorted(picture_folder.rglob("*.png"))):
        if path.parent.name != "masks":
            part = "Testing" if number % test_share == 0 else "Training"
            target = root / "masoud" / part / path.parent.name / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return root


def test_the_published_split_is_trained_and_tested_as_it_was_published(picture_folder, tmp_path):
    data = published(tmp_path / "data", picture_folder)
    options = CompareOptions(
        data=data, runs=tmp_path / "runs", out=tmp_path / "out", networks=("logistic",), run_folds=(), published=True
    )
    report, skipped = compare(options)
    assert not skipped
    row = report["networks"]["logistic"]
    assert row["leak_free"] is None
    assert row["published"]["images"] == len(list((data / "masoud" / "Testing").rglob("*.png")))
    assert row["runs"][0]["split"] == "published"
    assert 0.3 < report["protocol"]["published_test_in_training"] <= 1
    assert check_figures(tmp_path / "out") == 1


def test_what_others_publish_across_two_sets_is_measured_with_and_without_what_they_share(
    picture_folder, tmp_path, short_epochs
):
    pictures = sorted(path for path in picture_folder.rglob("*.png") if path.parent.name != "masks")
    for number, path in enumerate(pictures):
        # Of every other test picture a copy is in the training set.
        sets = ["br35h"] if number % 3 else ["navoneel", "br35h"] if number % 2 else ["navoneel"]
        for name in sets:
            target = tmp_path / "data" / name / ("no" if path.parent.name == "notumor" else "yes") / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    options = CompareOptions(
        data=tmp_path / "data",
        runs=tmp_path / "runs",
        out=tmp_path / "out",
        networks=("lenet", "logistic"),
        run_folds=(),
        br35h_to_navoneel=True,
        epochs=1,
    )
    report, skipped = compare(options)
    assert set(skipped) == {f"logistic on {split} fold 0" for split in ACROSS}
    assert "there is none of glioma" in next(iter(skipped.values()))
    row, tests = report["networks"]["lenet"], len(list((tmp_path / "data" / "navoneel").rglob("*.png")))
    for split in ACROSS:
        assert row[split]["images"] == tests
        assert row[split]["accuracy"]["value"] is None
        assert 0 <= row[split]["accuracy_tumor"]["value"] <= 1
    trained_on = {run["split"]: run["images"] for run in row["runs"]}
    assert trained_on["br35h_to_navoneel"] > trained_on["br35h_to_navoneel_leak_free"]
    assert 0 < report["protocol"]["br35h_to_navoneel_test_in_training"] <= 1
    assert check_figures(tmp_path / "out") == 2
    assert report["command"].endswith("--networks lenet --folds 5 --run-folds --seed 0 --br35h-to-navoneel --epochs 1")


def test_a_comparison_of_tumor_or_not_stands_by_itself(picture_folder, tmp_path):
    options = CompareOptions(
        data=picture_folder,
        runs=tmp_path / "runs",
        out=tmp_path / "out",
        networks=("logistic",),
        folds=3,
        task="binary",
    )
    report, skipped = compare(options)
    assert not skipped
    assert report["protocol"]["task"] == "binary"
    found = report["networks"]["logistic"]["leak_free"]
    assert found["accuracy"]["value"] is None
    assert found["accuracy_tumor"]["value"] > 0.5
    assert set(pd.read_csv(tmp_path / "out" / "predictions.csv")["label"]) == {"tumor", "notumor"}
    assert check_figures(tmp_path / "out") == 1


def test_a_compared_network_becomes_a_bundle_that_the_app_can_use(compared, tmp_path):
    options, _, _ = compared
    asked = replace(options, networks=("lenet", "logistic"), bundle=None, out=tmp_path / "out", bundles=tmp_path)
    before = (Trial("lenet", "leak_free", 0).folder(options.runs) / "trial.json").stat().st_mtime_ns
    compare(asked)
    assert (Trial("lenet", "leak_free", 0).folder(options.runs) / "trial.json").stat().st_mtime_ns == before
    predictions = pd.read_csv(options.out / "predictions.csv")
    for name in ("lenet", "logistic"):
        bundle = load_bundle(tmp_path / f"{name}-fold0")
        assert Predictor(bundle).predict([phantom_scan(tumor=True)])[0].bundle == f"{name}-fold0-1.0.0"
        own = pd.read_csv(bundle.folder / "predictions.csv").query("split == 'test'")
        compared_with = predictions[predictions["network"] == name]
        np.testing.assert_allclose(own[list(PROBABILITIES)], compared_with[list(PROBABILITIES)], atol=1e-4)
        export_bundle(bundle, tmp_path / f"{name}.h5")
        assert (tmp_path / f"{name}.h5").stat().st_size > 0
    assert "--network lenet --name lenet-fold0" in load_bundle(tmp_path / "lenet-fold0").card["command"]
    card = tmp_path / "lenet-fold0" / "card.json"
    before = card.stat().st_mtime_ns
    lenet = replace(asked, networks=("lenet",))
    assert not compare(lenet)[1]
    assert card.stat().st_mtime_ns == before, "the same training is left as it is"
    rewritten(card, lambda content: content.update(command="another"))
    for changed, words in (
        (lenet, "lenet-fold0 holds another training; rename it or delete it"),
        (replace(lenet, weights={"lenet": "imagenet"}), "was trained from no weights; say so with --weights"),
    ):
        assert words in compare(changed)[1]["lenet on leak_free fold 0"]
    default = replace(lenet, networks=("efficient_unet",))
    assert "A bundle stands for efficient_unet on leak_free fold 0" in next(iter(compare(default)[1].values()))


@pytest.mark.parametrize(
    ("facts", "weights", "expected"),
    [
        ([{"asked_epochs": 2, "initial_weights": "imagenet"}] * 2, None, ("imagenet", 2)),
        ([{"asked_epochs": 2, "initial_weights": None}] * 2, None, (None, 2)),
        ([{"asked_epochs": 2}, {"asked_epochs": 4}], None, "trained in different ways"),
        ([{"initial_weights": "imagenet"}, {"initial_weights": None}], None, "trained in different ways"),
        ([{"initial_weights": "v.h5"}] * 2, None, "was trained from v.h5"),
        ([{"bundle": "b-1.0.0"}], None, "A bundle stands for"),
    ],
)
def test_the_members_of_an_ensemble_say_how_it_is_trained_again(facts, weights, expected, tmp_path):
    trial = Trial("ensemble", "leak_free", 0)
    options = CompareOptions(data=tmp_path, runs=tmp_path, out=tmp_path, weights={"ensemble": weights}).of(trial)
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            _asked_again(trial, options, facts)
    else:
        found = _asked_again(trial, options, facts)
        assert (found.weights, found.epochs) == expected


def index_of(rows=200, dataset="masoud"):
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(rows)],
            "dataset": dataset,
            "hospital": dataset,
            "published_split": random.choice(["train", "test"], rows, p=[0.8, 0.2]),
            "label": random.choice(CLASSES, rows),
            "picture": [f"p{number}" for number in range(rows)],
            "group": [f"g{number // 2}" for number in range(rows)],
            "mask": "",
        }
    )


def test_published_rows_keep_their_side_and_a_tenth_is_for_validation():
    index = pd.concat([index_of(), index_of(dataset="cheng")], ignore_index=True)
    split = split_rows(index, Trial("lenet", "published", 0), folds=5, seed=0)["split"]
    assert set(split[index["dataset"] == "cheng"]) == {""}
    own = index["dataset"] == "masoud"
    assert (split[own & (index["published_split"] == "test")] == "test").all()
    train = split[own & (index["published_split"] == "train")]
    assert (train == "validation").sum() == round(0.1 * len(train))
    assert set(train) == {"train", "validation"}
    assert split.equals(split_rows(index, Trial("vgg16", "published", 0), folds=3, seed=0)["split"])


def test_leak_free_rows_keep_their_groups_together():
    index = index_of()
    for fold in range(3):
        split = split_rows(index, Trial("lenet", "leak_free", fold), folds=3, seed=0)["split"]
        assert (split.groupby(index["group"]).nunique() == 1).all()


def test_data_without_what_is_asked_for_says_so():
    with pytest.raises(InputError, match="no published split of masoud; leave --published away"):
        split_rows(index_of(dataset="cheng"), Trial("lenet", "published", 0), folds=5, seed=0)
    with pytest.raises(DatasetError, match="too few"):
        split_rows(index_of(4), Trial("lenet", "leak_free", 0), folds=5, seed=0)


def test_the_command_says_how_to_compare_again_and_nothing_of_the_machine(tmp_path, capsys):
    options = CompareOptions(
        data=Path("/somewhere/private"),
        runs=Path("/somewhere/runs"),
        out=Path("/somewhere/models"),
        networks=("lenet", "vgg16"),
        run_folds=(0, 2),
        published=True,
        br35h_to_navoneel=True,
        task="binary",
        epochs=6,
        weights={"vgg16": Path("/somewhere/private/v.h5"), "resnet50": "imagenet"},
        bfloat16=True,
        close=True,
        bundle=Path("/somewhere/models/efficient_unet"),
        bundles=Path("/somewhere/models"),
        sensitivity=0.9,
    )
    assert options.command == (
        "python -m braintumor compare --data DIR --networks lenet vgg16 --folds 5 --run-folds 0 2 --seed 0 --published "
        "--br35h-to-navoneel --task binary --epochs 6 --weights vgg16=v.h5 --weights resnet50=imagenet --bfloat16 "
        "--close --bundle models/efficient_unet --write-bundles --sensitivity 0.9"
    )
    weights = tmp_path / "v.h5"
    weights.write_bytes(b"")
    plain = replace(options, bundle=None, data=tmp_path / "none", weights={"vgg16": weights})
    words = plain.command.replace("DIR", str(plain.data)).replace("v.h5", str(weights)).split()[3:]
    assert main([*words, "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    assert "none is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("losses", "planned", "longest", "ended"),
    [
        ([0.5, 0.4, 0.3], 3, 2, "planned"),
        ([0.5, 0.4, 0.3], 9, 2, "shortened"),
        ([0.3, 0.4, 0.5], 9, 2, "patience"),
        ([0.3, 0.4, 0.5], 9, 3, "shortened"),
        ([0.3, 0.4, 0.5], 3, 2, "planned"),
    ],
)
def test_a_history_says_why_its_run_was_over(losses, planned, longest, ended, tmp_path):
    table = pd.DataFrame({"epoch": range(1, len(losses) + 1), "val_loss": losses, "seconds": 1.0})
    table.to_csv(tmp_path / "history.csv", index=False)
    assert _of_history(tmp_path / "history.csv", planned, longest)["ended"] == ended


def trial_facts(epochs=12, ended="shortened", **more):
    return {"epochs": epochs, "ended": ended, "initial_weights": None, "bfloat16": True, **more}


@pytest.mark.parametrize(
    ("finished", "calls"),
    [
        ({}, [""]),
        (
            {
                ("lenet", "leak_free", 2): trial_facts(),
                ("lenet", "leak_free", 0): trial_facts(),
                ("lenet", "published", 0): trial_facts(),
                ("cnn512", "leak_free", 1): trial_facts(asked_epochs=12, epochs=9),
            },
            [
                "--networks lenet --folds 5 --run-folds 0 2 --seed 0 --published --epochs 12 --bfloat16",
                "--networks cnn512 --folds 5 --run-folds 1 --seed 0 --epochs 12 --bfloat16",
            ],
        ),
        (
            {
                ("lenet", "leak_free", 1): trial_facts(),
                ("lenet", "br35h_to_navoneel", 0): trial_facts(),
                ("cnn512", "leak_free", 1): trial_facts(),
                ("cnn512", "br35h_to_navoneel", 0): trial_facts(),
            },
            [
                "--networks lenet cnn512 --folds 5 --run-folds 1 --seed 0 --br35h-to-navoneel --epochs 12 --bfloat16",
            ],
        ),
        (
            {
                ("vgg16", "leak_free", 0): trial_facts(5, initial_weights="v.h5"),
                ("ensemble", "leak_free", 0): trial_facts(0, "planned"),
                ("resnet50", "leak_free", 0): trial_facts(20, "planned", initial_weights="imagenet"),
            },
            [
                "--networks vgg16 --folds 5 --run-folds 0 --seed 0 --epochs 5 --weights vgg16=v.h5 --bfloat16",
                "--networks resnet50 --folds 5 --run-folds 0 --seed 0 --weights resnet50=imagenet --bfloat16",
                "--networks ensemble --folds 5 --run-folds 0 --seed 0",
            ],
        ),
        (
            {("lenet", "published", 0): trial_facts(9, "patience")},
            ["--networks lenet --folds 5 --run-folds --seed 0 --published --bfloat16"],
        ),
    ],
)
def test_trials_that_were_run_alike_share_a_call(finished, calls, tmp_path, capsys):
    options = CompareOptions(data=tmp_path / "none", runs=tmp_path, out=tmp_path, close=True)
    found = _command(options, {Trial(*key): facts for key, facts in finished.items()}).split(" && ")
    if finished:
        assert found == [f"python -m braintumor compare --data DIR {call}" for call in calls]
    for call in found:
        assert main(call.replace("v.h5", __file__).split()[3:]) == 2
        assert "DIR is not a folder" in capsys.readouterr().err
