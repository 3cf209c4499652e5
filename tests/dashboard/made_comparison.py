"""A comparison of made-up networks, its figures computed from their predictions as the command does."""

import json
from functools import cache

import numpy as np
import pandas as pd

from braintumor.evaluation.comparison import against_default, comparison_figures
from braintumor.taxonomy import CLASSES, NO_TUMOR, PROBABILITIES

SHARPNESS = {"squeeze_unet": 2.6, "lenet": 1.2, "logistic": 0.6}
PUBLISHED = "masoud-published"
ACROSS = ("br35h-to-navoneel-published", "br35h-to-navoneel")
THRESHOLD = 0.4
PLANNED = 9
TITLES = {"squeeze_unet": "SqueezeNet U-Net", "lenet": "LeNet-5", "logistic": "Logistic regression", "vgg16": "VGG16"}


def predictions(count=160, seed=0):
    """Answers of each network on two of five folds, and on a published split of which half the rows are among them."""
    random = np.random.default_rng(seed)
    dataset = random.choice(["masoud", "br35h", "cheng"], count, p=[0.6, 0.2, 0.2])
    kind = random.choice(CLASSES, count).astype(object)
    kind[(dataset == "cheng") & (kind == NO_TUMOR)] = "glioma"
    label = np.where((dataset == "br35h") & (kind != NO_TUMOR), "tumor", kind)
    facts = pd.DataFrame({"row": np.arange(count), "dataset": dataset, "label": label})
    facts["group"] = [f"g{number}" for number in random.integers(0, count // 3, count)]
    facts["fold"] = np.arange(count) % 2
    facts["dice"] = np.where(dataset == "cheng", random.uniform(0, 1, count), np.nan)
    tables = []
    for name, sharpness in SHARPNESS.items():
        for split, extra in (("leak_free", 0.0), (PUBLISHED, 2.0)):
            logits = random.normal(0, 1, (count, 4)) + (sharpness + extra) * (kind[:, None] == np.array(CLASSES))
            chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            table = facts.join(pd.DataFrame(chances, columns=list(PROBABILITIES))).assign(network=name, split=split)
            tables.append(table if split == "leak_free" else table[table["dataset"] == "masoud"].assign(fold=0))
    return pd.concat([*tables, *_across(random, count)], ignore_index=True)


def _across(random, start, count=60):
    """Answers of one network for tumor or not, after training on another set with copies of the test and without."""
    label = random.choice(["tumor", NO_TUMOR], count)
    facts = pd.DataFrame({"row": start + np.arange(count), "dataset": "navoneel", "label": label, "fold": 0})
    facts["group"] = [f"n{number // 2}" for number in range(count)]
    for split, sharpness in zip(ACROSS, (4.0, 0.8), strict=True):
        odds = random.normal(0, 1, count) + sharpness * np.where(label == NO_TUMOR, -1, 1)
        p_tumor = 1 / (1 + np.exp(-odds))
        kinds = dict.fromkeys(PROBABILITIES[:3], p_tumor / 3)
        yield facts.assign(**kinds, p_notumor=1 - p_tumor, network="lenet", split=split)


def split(train_on, test_on, as_published, share):
    said = {"train_on": train_on, "test_on": test_on, "as_published": as_published}
    return {**said, "test_in_training": share}


def report(rows):
    """What ``comparison.json`` says of such predictions; one more network was not trained."""
    networks = {}
    rows = rows.assign(threshold=THRESHOLD)
    default = rows[(rows["network"] == "squeeze_unet") & (rows["split"] == "leak_free")]
    for number, name in enumerate(SHARPNESS):
        own = rows[rows["network"] == name]
        run = {"planned_epochs": PLANNED, "best_epoch": 2, "images": 300, "threshold": THRESHOLD, "ended": "patience"}
        run |= {"device": "CPU", "command": "python -m braintumor train"}
        runs = [
            {"split": "leak_free", "fold": fold, "epochs": 3 + fold, "seconds": 60 * (fold + 1), **run}
            for fold in (0, 1)
        ]
        others = [split for split in own["split"].unique() if split != "leak_free"]
        runs += [{"split": split, "fold": 0, "epochs": 3, "seconds": 30, **run} for split in others]
        networks[name] = {
            "title": TITLES[name],
            "source": "Somebody 2020",
            "reported": "90% on the data of its authors." if name == "lenet" else "",
            "not_trained": None,
            "size": 64,
            "parameters": 1000 * (number + 1),
            "flops": 2.5e9,
            "bytes_on_disk": 4_000_000,
            "latency_ms": 3.25,
            "measured_on": "A *small* CPU",
            "initial_weights": "none",
            "device": "CPU",
            "runs": runs,
            "figures": {
                split: comparison_figures(own[own["split"] == split], ("cheng",), resamples=60)
                for split in own["split"].unique()
            },
            "against_default": None
            if name == "squeeze_unet"
            else against_default(own[own["split"] == "leak_free"], default, resamples=60),
        }
    networks["vgg16"] = {
        "title": TITLES["vgg16"],
        "source": "Others 2014",
        "reported": "",
        "not_trained": "It starts from ImageNet weights, and there is no connection.",
    }
    return {
        "created": "2025-01-02",
        "index_sha256": "0",
        "default": "squeeze_unet",
        "protocol": {"folds": 5, "seed": 0, "sensitivity": 0.9, "task": "four_class"},
        "splits": {
            "leak_free": split([], [], False, 0.0),
            PUBLISHED: split(["masoud"], [], True, 0.75),
            ACROSS[0]: split(["br35h"], ["navoneel"], True, 0.98),
            ACROSS[1]: split(["br35h"], ["navoneel"], False, 0.0),
        },
        "networks": networks,
    }


def histories():
    """Epochs of every run; ``logistic`` has none."""
    tables = []
    for name in ("squeeze_unet", "lenet"):
        for split, fold in (("leak_free", 0), ("leak_free", 1), (PUBLISHED, 0)):
            epoch = np.arange(1, 4 + (fold == 1))
            table = pd.DataFrame({"epoch": epoch, "loss": 1.4 / epoch, "accuracy": 1 - 0.6 / epoch})
            table = table.assign(val_loss=1.5 / epoch + fold, val_accuracy=1 - 0.7 / epoch, seconds=2.0)
            tables.append(table.assign(network=name, split=split, fold=fold))
    return pd.concat(tables, ignore_index=True)


@cache
def _files(count):
    rows = predictions(count)
    return {
        "predictions.csv": rows.to_csv(index=False, float_format="%.5f"),
        "histories.csv": histories().to_csv(index=False),
        "comparison.json": json.dumps(report(rows)),
    }


def write_comparison(results, count=160):
    """Write the three files among the results, and give their folder."""
    folder = results / "comparison"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _files(count).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
