"""``python -m braintumor heatmaps``: every method of explanation, questioned on held-out pictures with an outline."""

import io
import json
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from braintumor.bundles import HEATMAP_FIGURES_FILE, HEATMAPS_FILE, KERAS_FILE, Bundle, sha256_of
from braintumor.datasets import DatasetError
from braintumor.evaluation import faithfulness
from braintumor.explanation import ExplanationError, explain, methods_for
from braintumor.inference import Graph
from braintumor.networks.registry import CLASSIFIER_LAYER
from braintumor.scans import Prepared, place_on_scan
from braintumor.segmentation import head_mask
from braintumor.taxonomy import ANY_TUMOR, CLASSES, TUMOR_CLASSES
from braintumor.training.evaluate import held_out
from braintumor.training.experiment import ExperimentData, prepare_pictures
from braintumor.training.files import write_whole
from braintumor.training.held_out import DIGITS

Floats = NDArray[np.float64]

COLUMNS = ("method", "dataset", "label", "group", "inside", "hit", "deletion", "insertion", "randomized_correlation")


def question_bundle(bundle: Bundle, root: Path, images: int = 60, seed: int = 0) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measure a bundle's heatmaps on pictures under a folder that its own split held out; see ``question_heatmaps``.

    Takes ``sampled`` of the outlined ones. Raises ``DatasetError`` where the folder holds other data than the training
    run's, of which nobody knows what was held out, or no held-out picture has an outline.
    """
    outlined = held_out(bundle, root).query("mask != ''").drop_duplicates(["picture", "dataset"])
    if not len(outlined):
        raise DatasetError(f"No held-out picture under {root} has an outline; heatmaps cannot be measured without.")
    return question_heatmaps(bundle, prepare_pictures(root, sampled(outlined, images, seed), bundle.size), seed)


def sampled(index: pd.DataFrame, images: int, seed: int = 0) -> pd.DataFrame:
    """Draw rows of an index, evenly over dataset and label and, in each of them, over as many groups as there are.

    Raises ``DatasetError`` when ``images`` is not above 0.
    """
    if images < 1:
        raise DatasetError(f"{images} pictures are asked for; ask for one or more.")
    shuffled = index.sample(frac=1, random_state=seed)
    turn = shuffled.groupby(["dataset", "label", "group"]).cumcount()
    by_turn = shuffled.loc[turn.sort_values(kind="stable").index]
    place = by_turn.groupby(["dataset", "label"]).cumcount()
    chosen = place.sort_values(kind="stable").index[:images]
    return index.loc[chosen].sort_values("path", ignore_index=True)


def question_heatmaps(bundle: Bundle, data: ExperimentData, seed: int = 0) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measure every method on outlined pictures; gives the content of the bundle's two files about heatmaps.

    The class explained is the picture's label, or the likeliest kind of one known only as a tumor; "tumor" where a
    network tells no kinds. The score that deletion and insertion follow is P(kind | tumor) of a network whose
    classifier knows only the kinds, else P(class). Pictures whose outline is empty once prepared are left out. A map
    that comes out flat counts as one without heat.
    """
    subject = _Subject(bundle)
    asked: list[_Questioned] = []
    shares = []
    for row in tqdm(range(len(data.index)), desc="Heatmaps", unit=" pictures"):
        outline = data.outline(row)
        if outline is None or not (outline > 127).any():
            continue
        asked += _question_picture(subject, data, row, outline > 127, seed)
        shares.append(_share_of_head(data.pictures[row], outline > 127))
    # What is measured is what the table keeps.
    table = pd.DataFrame([one.figures for one in asked], columns=list(COLUMNS)).round(DIGITS)
    by_method = {method: [one for one in asked if one.figures["method"] == method] for method in subject.methods}
    report = {
        "model_sha256": sha256_of(bundle.folder / KERAS_FILE),
        "images": len(shares),
        "groups": int(table["group"].nunique()),
        "methods": {
            method: {**figures, "seconds": float(np.median([one.seconds for one in by_method[method]]))}
            for method, figures in faithfulness.faithfulness_figures(table, seed).items()
        },
        "curves": {method: _mean_curves([one.curves for one in own]) for method, own in by_method.items() if own},
        "share": faithfulness.SHARES.tolist(),
        "chance": {"inside": float(np.mean(shares)) if shares else None},
    }
    return report, table


@dataclass(frozen=True)
class _Questioned:
    """One method on one picture: its row of the table, its curves of deletion and insertion, its seconds."""

    figures: dict[str, Any]
    curves: tuple[Floats, Floats]
    seconds: float


def _question_picture(
    subject: "_Subject", data: ExperimentData, row: int, mask: NDArray[np.bool_], seed: int
) -> list[_Questioned]:
    """Measure every method on one picture, (size, size), with the mask of its tumor."""
    facts, picture = data.index.iloc[row], data.pictures[row]
    name = subject.explained(picture, str(facts["label"]))
    subject.randomize(seed, row)
    asked = []
    for method in subject.methods:
        started = time.perf_counter()
        heat = subject.draw(method, picture, name, (seed, row))
        seconds = time.perf_counter() - started
        other = subject.draw(method, picture, name, (seed, row), randomized=True)
        both = faithfulness.perturbation_curves(picture, heat, subject.score(name), seed)
        figures = {
            "method": method,
            **{name: facts[name] for name in ("dataset", "label", "group")},
            "inside": faithfulness.inside_share(heat, mask),
            "hit": faithfulness.pointing_hit(heat, mask),
            "deletion": faithfulness.curve_area(both[0]),
            "insertion": faithfulness.curve_area(both[1]),
            "randomized_correlation": faithfulness.rank_correlation(heat, other),
        }
        asked.append(_Questioned(figures, both, seconds))
    return asked


def write_heatmap_figures(report: dict[str, Any], table: pd.DataFrame, folder: Path) -> None:
    """Write both files into a bundle's folder; a reader sees each as it was or whole."""
    texts = {
        HEATMAPS_FILE: table.to_csv(index=False, float_format=f"%.{DIGITS}f"),
        HEATMAP_FIGURES_FILE: json.dumps(report, indent=2) + "\n",
    }
    for name, text in texts.items():
        write_whole(folder / name, text)


class _Subject:
    """A bundle's network in all forms that are questioned: exported, as Keras model, and with random weights."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._graph = Graph.of(bundle)
        self._model = keras.saving.load_model(bundle.folder / KERAS_FILE, compile=False)
        self._randomized = self._model
        # An ensemble has no classifier of its own.
        classifiers = [layer.output.shape[-1] for layer in self._model.layers if layer.name == CLASSIFIER_LAYER]
        self._units = int(classifiers[0]) if classifiers else len(CLASSES) if bundle.kinds else 1
        located = [faithfulness.MAP] if "map" in self._model.output else []
        self.methods = (*methods_for(bundle), *located, *faithfulness.FLOORS)

    def explained(self, picture: NDArray[np.uint8], label: str) -> str:
        """Give the class whose maps are drawn for a picture with this label."""
        if self._units == 1:
            return ANY_TUMOR
        if label in CLASSES:
            return label
        kinds = self._probabilities(picture[np.newaxis])[0, : len(TUMOR_CLASSES)]
        return TUMOR_CLASSES[int(kinds.argmax())]

    def score(self, name: str) -> Callable[[NDArray[np.uint8]], Floats]:
        """Give the function that says how sure the network is of a class for pictures (n, size, size): (n,)."""

        def of_pictures(pictures: NDArray[np.uint8]) -> Floats:
            found = self._probabilities(pictures)
            if name == ANY_TUMOR:
                return np.asarray(1 - found[:, -1])
            whole = found[:, : len(TUMOR_CLASSES)].sum(axis=1) if self._units == len(TUMOR_CLASSES) else 1.0
            return np.asarray(found[:, CLASSES.index(name)] / whole)

        return of_pictures

    def randomize(self, seed: int, row: int) -> None:
        """Build the network anew with random weights in all layers, as before training.

        A new one for each picture, so that no figure hangs on one draw of weights.
        """
        keras.utils.set_random_seed(int(np.random.default_rng((seed, row)).integers(2**31)))
        self._randomized = keras.Model.from_config(self._model.get_config())

    def draw(
        self, method: str, picture: NDArray[np.uint8], name: str, seed: tuple[int, ...], *, randomized: bool = False
    ) -> Floats:
        """Draw one map over the picture, (size, size), 0 or more; zeros where a method gives none."""
        size = self._bundle.size
        if method == "center":
            return faithfulness.center_map(size)
        if method == "random":
            return faithfulness.random_map(size, (*seed, int(randomized)))
        model = self._randomized if randomized else self._model
        if method == faithfulness.MAP:
            return self._tumor_map(model, picture)
        try:
            # Score-CAM draws a progress bar for each map.
            with redirect_stdout(io.StringIO()):
                heat = explain(model, picture, name, method)
        except ExplanationError:
            return np.zeros((size, size))
        return np.asarray(heat if method == "saliency" else self._bundle.grid.to_square(heat), dtype=np.float64)

    def _tumor_map(self, model: keras.Model, picture: NDArray[np.uint8]) -> Floats:
        given = picture[np.newaxis, ..., np.newaxis].astype(np.float32)
        logits = model(given, training=False)["map"] / self._bundle.calibration.map_temperature
        cells = np.asarray(keras.ops.sigmoid(logits))[0, ..., 0]
        square = Prepared(picture, 0, 0, self._bundle.size)
        # Between cells the spline may pass a little below the lowest.
        return np.clip(place_on_scan(cells, square, picture.shape), 0, 1).astype(np.float64)

    def _probabilities(self, pictures: NDArray[np.uint8]) -> Floats:
        return self._bundle.calibration.apply(self._graph.run(pictures).logits)


def _share_of_head(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    head = head_mask(picture.astype(np.float32)) | mask
    return float(np.count_nonzero(mask) / np.count_nonzero(head))


def _mean_curves(curves: list[tuple[Floats, Floats]]) -> dict[str, list[float]]:
    deletion, insertion = np.mean(np.asarray(curves), axis=0)
    return {"deletion": deletion.tolist(), "insertion": insertion.tolist()}
