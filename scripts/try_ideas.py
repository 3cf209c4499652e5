"""Train small copies of the network, each with one idea changed, and write what it moved to ``docs/ideas.json``."""

import argparse
import json
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Called by its path, Python would look for modules beside this file only.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from braintumor.bundles import HISTORY_FILE, KERAS_FILE, Bundle, load_bundle
from braintumor.datasets import at_home
from braintumor.decision import tumor_score
from braintumor.evaluation.metrics import from_web
from braintumor.evaluation.segmentation import dice
from braintumor.networks import build
from braintumor.networks.answering import RegionPooling, TopMean
from braintumor.networks.registry import FEATURE_LAYER
from braintumor.networks.unet import Mirrored
from braintumor.scans import prepare, read
from braintumor.taxonomy import CLASSES, NO_TUMOR, TUMOR_CLASSES
from braintumor.training import Counterfactuals, FitOptions, Sampling, fit
from braintumor.training.counterfactuals import Example, mirror_axis, mirrored_half
from braintumor.training.experiment import (
    ExperimentData,
    index_digest,
    labelled_index,
    prepare_pictures,
    split_index,
)
from braintumor.training.export import inference_model, without_optimizer
from braintumor.training.recipes import RECIPES, SCANNERS
from braintumor.training.run import unfreeze
from scripts.write_figures import SHIPPED

SIZE = 128
OUT = Path(__file__).parent.parent / "docs" / "ideas.json"
START = "map_lighter"
"""The idea that others are measured against: SqueezeNet U-Net, learning from its map, score and kind alone."""

_PLAIN = Sampling(by_source=False, outlined_copies=False)


@dataclass(frozen=True)
class Idea:
    """One thing done differently.

    ``says`` names it in a document, ``settings`` are other arguments for layers of the network. ``rest_weight`` is that
    of ``FitOptions``. With ``flip_of`` the network of that other idea is asked about each picture and its mirror image,
    and the mean of both counts.
    """

    says: str
    sampling: Sampling = _PLAIN
    network: str = "squeeze_unet"
    settings: dict[type, dict[str, Any]] = field(default_factory=dict)
    outline_weight: float = 1.0
    rest_weight: float = 0.0
    weights: bool = True
    unfrozen: bool = False
    smoothing: float = 0.03
    flip_of: str | None = None
    bfloat16: bool = True


def _with(**chances: float) -> Sampling:
    return replace(_PLAIN, counterfactuals=Counterfactuals(**chances))


_ALL = Sampling(
    SCANNERS,
    Counterfactuals(mirror_half=0.5, mirror_patch=0.25, graft=0.25),
    by_source=True,
    outlined_copies=False,
)
IDEAS: dict[str, Idea] = {
    "classifier": Idea("Plain classifier, no map", network="squeezenet"),
    "outline_weight_3": Idea("Map loss counted three times", outline_weight=3.0),
    "scanner": Idea("Bias field, stronger gamma, coarser pixels, JPEG", replace(_PLAIN, augmentation=SCANNERS)),
    "by_source": Idea("Draw evenly over source and label", replace(_PLAIN, by_source=True)),
    "outlined_copies": Idea(
        "Tumors drawn from outlined copies of their pictures alone", replace(_PLAIN, outlined_copies=True)
    ),
    "mirror_half": Idea("Tumor's half replaced by the mirrored other half", _with(mirror_half=0.6)),
    "mirror_patch": Idea("Tumor covered by the mirrored tissue of the other side", _with(mirror_patch=0.5)),
    "erase": Idea("Tumor covered by other tissue of its slice", _with(erase=0.5)),
    "erase_patchwork": Idea(
        "The same, with healthy places covered too, so that covering is no sign", _with(erase=0.5, patchwork=0.4)
    ),
    "patch": Idea("Windows of Cheng slices beside the tumor", _with(patch=0.25)),
    "graft": Idea("Tumors blended into tumor-free pictures of other sources", _with(graft=0.3)),
    "kind_whole": Idea("Kind from the whole slice", settings={RegionPooling: {"region": False}}),
    "kind_region": Idea("Kind from the located region", settings={RegionPooling: {"whole": False}}),
    "score_maximum": Idea("Score from the highest cell", settings={TopMean: {"cells": 1}}),
    "score_200": Idea("Score from the 200 highest cells", settings={TopMean: {"cells": 200}}),
    "scratch": Idea("No ImageNet weights", weights=False),
    "all": Idea("Scanner, both mirrors, grafts, drawn by source and label", _ALL),
    "all_outlined": Idea("The same from outlined copies alone", replace(_ALL, outlined_copies=True)),
    "untied": Idea("Recipe of the first run of version 1", RECIPES["untied"], outline_weight=2.0),
    "regrafted": Idea("Recipe of its second run, on its own", RECIPES["regrafted"], outline_weight=2.0),
    "emptied": Idea(
        "The same with most outlined tumors covered",
        replace(
            RECIPES["regrafted"], counterfactuals=replace(RECIPES["regrafted"].counterfactuals, erase=0.7, regraft=0.3)
        ),
        outline_weight=2.0,
    ),
    "flip_averaging": Idea(
        "The same network, averaged with the mirrored picture at test time",
        RECIPES["regrafted"],
        outline_weight=2.0,
        flip_of="regrafted",
    ),
    START: Idea(
        "Map, score and kind with SqueezeNet U-Net, the network of version 2: the start that each idea below is "
        "measured against"
    ),
    "one_side": Idea(
        "Lighter decoder, kind from the region, recipe of version 2",
        RECIPES["warped"],
        outline_weight=2.0,
        settings={Mirrored: {"turned": False}},
    ),
    "both_sides": Idea("The same, comparing both sides of the head: version 2", RECIPES["warped"], outline_weight=2.0),
    "efficient": Idea(
        "EfficientNet-Lite0 as encoder, its first blocks kept as they are", network="efficient_unet", bfloat16=False
    ),
    "efficient_warped": Idea(
        "The same with the recipe of versions 2 to 4, and its map counted twice",
        RECIPES["warped"],
        network="efficient_unet",
        outline_weight=2.0,
        bfloat16=False,
    ),
    "efficient_varied": Idea(
        "The same with the recipe of version 5, whose pictures are changed further",
        RECIPES["varied"],
        network="efficient_unet",
        outline_weight=2.0,
        bfloat16=False,
    ),
    "efficient_unfrozen": Idea(
        "The same, its first blocks trained too: version 5",
        RECIPES["varied"],
        network="efficient_unet",
        outline_weight=2.0,
        unfrozen=True,
        bfloat16=False,
    ),
    "rest": Idea(
        "SqueezeNet U-Net as version 2, counting the slice beside its tumor as one without",
        RECIPES["warped"],
        outline_weight=2.0,
        rest_weight=0.5,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--volumes", type=Path, help="folder of NAME_t1.nii.gz and NAME_mask.nii.gz to look at")
    parser.add_argument("--runs", type=Path, default=Path("runs/ideas"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--bundle", type=Path, help="measure this model of the same split too")
    parser.add_argument("ideas", nargs="*", help="default: all, or none beside a bundle")
    options = parser.parse_args()
    listed = labelled_index(options.data)
    # Ideas are compared on the folds, which institutions have no part in.
    index = split_index(listed[at_home(listed)].reset_index(drop=True), folds=5, fold=0, seed=0)
    names = options.ideas or ([] if options.bundle else list(IDEAS))
    if names:
        data = prepare_pictures(options.data, index, SIZE, options.runs)
        for name in names:
            _keep(name, _try(name, IDEAS[name], data, options))
    if options.bundle:
        _keep(SHIPPED, _shipped(load_bundle(options.bundle), index, options))


def _keep(name: str, row: dict[str, Any]) -> None:
    kept = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    kept[name] = row
    # What is no idea any more was measured with an earlier network, whose lines it is the start of.
    earlier = [name for name in kept if name not in (*IDEAS, SHIPPED)]
    ordered = {key: kept[key] for key in (*earlier, *IDEAS, SHIPPED) if key in kept}
    OUT.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
    print(name, json.dumps(row["measured"]), flush=True)


def _try(name: str, idea: Idea, data: ExperimentData, options: argparse.Namespace) -> dict[str, Any]:
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16" if idea.bfloat16 else "float32")
    model = build(idea.network, size=SIZE, weights=options.weights if idea.weights else None)
    if idea.settings:
        model = _changed(model, idea.settings)
    if idea.unfrozen:
        unfreeze(model)
    keras.config.set_dtype_policy("float32")
    fitting = FitOptions(
        epochs=options.epochs,
        epoch_images=3200,
        outline_weight=idea.outline_weight,
        rest_weight=idea.rest_weight,
        smoothing=idea.smoothing,
        sampling=idea.sampling,
    )
    started = time.perf_counter()
    run = idea.flip_of or name
    best = fit(model, data.part("train"), data.distinct("validation"), options.runs / run, fitting, run)
    seconds = time.perf_counter() - started
    runner = inference_model(without_optimizer(best))
    last = int(best.get_layer(FEATURE_LAYER).output.shape[-1])
    about = {"says": idea.says, "against": START, "epochs": options.epochs, "seconds": round(seconds)}
    return about | _measured(_flipping(runner) if idea.flip_of else runner, data, last, options)


def _shipped(bundle: Bundle, index: pd.DataFrame, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a finished model as the ideas are, at its own size; refuses one that may have seen the pictures."""
    if bundle.card.split.index_sha256 != index_digest(index):
        raise SystemExit(f"{bundle.name} was trained on another split; name one of folds 5, fold 0, seed 0.")
    data = prepare_pictures(options.data, index, bundle.size, options.runs)
    model = keras.saving.load_model(bundle.folder / KERAS_FILE, compile=False)
    history = pd.read_csv(bundle.folder / HISTORY_FILE)
    last_ones = "the last ones " if bundle.card.started_from else ""
    about = {
        "says": f"The model as it ships, version {bundle.card.version}: {len(history)} epochs, {last_ones}at "
        f"{bundle.size} × {bundle.size} pixels",
        "against": SHIPPED,
        "epochs": len(history),
        "seconds": round(float(history["seconds"].sum())),
    }
    last = int(model.get_layer(FEATURE_LAYER).output.shape[-1])
    return about | _measured(inference_model(model), data, last, options)


def _measured(runner: keras.Model, data: ExperimentData, last: int, options: argparse.Namespace) -> dict[str, Any]:
    size = data.pictures.shape[1]
    measured = measure(runner, data, _slices(options.volumes, size) if options.volumes else None, last)
    return {
        "size": size,
        "images": len(data.distinct("validation").index),
        "groups": int(data.part("validation").index["group"].nunique()),
        "measured": {key: None if value is None else round(value, 4) for key, value in measured.items()},
    }


def _changed(model: keras.Model, settings: dict[type, dict[str, Any]]) -> keras.Model:
    def clone(layer: keras.Layer) -> keras.Layer:
        return layer.__class__.from_config({**layer.get_config(), **settings.get(type(layer), {})})

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def _flipping(runner: keras.Model) -> keras.Model:
    """Average a network's outputs for a picture with those for its mirror image."""
    flip = keras.layers.Lambda(lambda x: x[:, :, ::-1])
    straight, mirrored = runner(runner.input), runner(flip(runner.input))
    outputs = {
        name: (straight[name] + (flip(value) if name == "map" else value)) / 2 for name, value in mirrored.items()
    }
    return keras.Model(runner.input, outputs)


def measure(
    runner: keras.Model,
    data: ExperimentData,
    volumes: tuple[NDArray[np.uint8], NDArray[np.bool_]] | None,
    last: int,
) -> dict[str, float | None]:
    """Measure a network on the validation groups: outlines, detection, kinds, and how much of the source it keeps.

    ``last`` is the number of channels of the last feature map, whose means stand last in the network's features.
    """
    part = data.distinct("validation")
    found = _run(runner, part.pictures)
    index, score = part.index, tumor_score(found["logits"])
    dataset, label = index["dataset"].to_numpy(), index["label"].to_numpy()
    web = from_web(dataset, label)
    known = label != "tumor"
    right = np.array(CLASSES)[found["logits"].argmax(axis=1)] == label
    kind = np.array(TUMOR_CLASSES)[found["logits"][:, :3].argmax(axis=1)] == label
    train = data.distinct("train")
    return {
        "dice_cheng": _dice(part, found, dataset == "cheng"),
        "dice_br35h": _dice(part, found, dataset == "br35h"),
        "auc_web": float(roc_auc_score(label[web] != NO_TUMOR, score[web])),
        "auc_mirrored": _mirrored_auc(runner, part),
        "accuracy_four_class": float(right[known].mean()),
        "accuracy_cheng": float(right[dataset == "cheng"].mean()),
        "kind_cheng": float(kind[dataset == "cheng"].mean()),
        "source_probe": _source_probe(runner, last, train, part),
        "auc_two_volumes": _volume_auc(runner, volumes),
    }


def _run(runner: keras.Model, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = runner.predict(
        pictures[..., np.newaxis].astype(np.float32), batch_size=64, verbose=0
    )
    return found


def _dice(part: ExperimentData, found: dict[str, NDArray[np.float32]], chosen: NDArray[np.bool_]) -> float | None:
    if "map" not in found:
        return None
    rows = np.flatnonzero(chosen & (part.index["outline"].to_numpy() >= 0))
    side = found["map"].shape[1]
    scores = []
    for row in rows:
        outline = part.outline(int(row))
        assert outline is not None
        true = outline.reshape(side, len(outline) // side, side, len(outline) // side).mean(axis=(1, 3)) > 127
        scores.append(dice(found["map"][row, ..., 0] > 0, true))
    return float(np.mean(scores))


def _mirrored_auc(runner: keras.Model, part: ExperimentData) -> float:
    """Tell slices from their own tumor-free selves, made by mirroring the healthy half."""
    with_tumor, without = [], []
    for row in np.flatnonzero(part.index["outline"] >= 0):
        picture, outline = part.pictures[row], part.outline(int(row))
        axis = mirror_axis(picture, outline)
        changed = None
        if axis is not None:
            changed = mirrored_half(Example(picture, outline, "tumor"), axis, keep_tumor=False)
        if changed is not None:
            with_tumor.append(picture)
            without.append(changed.picture)
    score = tumor_score(_run(runner, np.stack(with_tumor + without))["logits"])
    truth = np.arange(len(score)) < len(with_tumor)
    return float(roc_auc_score(truth, score))


def _source_probe(runner: keras.Model, last: int, train: ExperimentData, part: ExperimentData) -> float:
    """Balanced accuracy of a linear model that tells Cheng's from Br35H's tumors by the ``last`` features."""

    def features(data: ExperimentData) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        rows = (data.index["label"] != NO_TUMOR) & data.index["dataset"].isin(["cheng", "br35h"])
        chosen = data.chosen(rows.to_numpy())
        return _run(runner, chosen.pictures)["features"][:, -last:], (chosen.index["dataset"] == "cheng").to_numpy()

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, class_weight="balanced", C=0.01))
    probe.fit(*features(train))
    given, truth = features(part)
    return float(balanced_accuracy_score(truth, probe.predict(given)))


def _slices(folder: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    pictures, tumor = [], []
    for path in sorted(folder.glob("*_t1.nii.gz")):
        scan = read(path.read_bytes(), path.name)
        mask = read(path.with_name(path.name.replace("_t1", "_mask")).read_bytes(), path.name)
        for layer, drawn in zip(scan.pixels, mask.pixels, strict=True):
            pictures.append(prepare(layer, size).image)
            tumor.append(bool(drawn.any()))
    return np.stack(pictures), np.array(tumor)


def _volume_auc(runner: keras.Model, volumes: tuple[NDArray[np.uint8], NDArray[np.bool_]] | None) -> float | None:
    if volumes is None:
        return None
    return float(roc_auc_score(volumes[1], tumor_score(_run(runner, volumes[0])["logits"])))


if __name__ == "__main__":
    main()
