"""``python -m braintumor marks``: teach a bundle to notice marks over the head, by its network's features."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from braintumor.bundles import GRAPH_FILE, MARKS_FILE, Bundle, sha256_of, write_card
from braintumor.bundles.figures import MarkFigures
from braintumor.datasets import DatasetError, draw_marks, map_pictures
from braintumor.decision import MarkDetector
from braintumor.evaluation import Share
from braintumor.inference import Graph
from braintumor.scans import Prepared, Scan, prepare, prepare_outline
from braintumor.taxonomy import NO_TUMOR
from braintumor.training.evaluate import split_as_trained
from braintumor.training.experiment import labelled_index
from braintumor.training.faithfulness import sampled

PICTURES = 6000
"""Pictures to learn from; half have marks."""

MOST_FALSE = 0.005
"""Share of validation pictures without marks that may count as marked; a few of the published ones do have some."""

_LEAST_SEEN, _LITTLE = 127, 8e-4
"""A pixel of the square counts as marked from half on, and a picture from this share of them; below it is left out."""
_BATCH = 32


def teach_marks(bundle: Bundle, root: Path, pictures: int = PICTURES, seed: int = 0) -> dict[str, Any]:
    """Fit a bundle's detector of marks on its training pictures, write it beside the network, and give its figures.

    The limit comes from validation pictures as they are; false alarms and what is found are measured on test pictures,
    one of each, and stand in the card as "marks". Raises ``DatasetError`` where the folder holds other data than the
    training run's.
    """
    index, known = split_as_trained(labelled_index(root), bundle)
    if not known:
        raise DatasetError(
            f"{root} holds other data than {bundle.name} was trained on; name the folder of its training run."
        )
    distinct = index.drop_duplicates("picture")
    parts = {str(name): rows for name, rows in distinct.groupby("split")}
    drawn = parts["train"].sample(pictures, replace=True, random_state=seed, weights=_even(parts["train"]))
    graph = Graph.of(bundle)
    features, seen = _features(graph, root, drawn, bundle.size, marks=True, seed=seed)
    usable = (seen == 0) | (seen >= _LITTLE)
    detector = MarkDetector.fit(features[usable], seen[usable] > 0, sha256_of(bundle.folder / GRAPH_FILE))
    plain, _ = _features(graph, root, parts["validation"], bundle.size, marks=False, seed=seed)
    detector = detector.with_limit(plain, MOST_FALSE)
    detector.save(bundle.folder / MARKS_FILE)
    found = _measured(detector, graph, root, parts["test"], bundle.size, seed + 1)
    figures = MarkFigures.model_validate(found)
    write_card(bundle.folder, bundle.card.model_copy(update={"marks": figures}))
    return found


def _measured(
    detector: MarkDetector, graph: Graph, root: Path, test: pd.DataFrame, size: int, seed: int
) -> dict[str, Any]:
    plain, _ = _features(graph, root, test, size, marks=False, seed=seed)
    alarms = pd.Series(detector.marked(plain)).groupby(test["dataset"].to_numpy())
    halves = [rows for free in (True, False) for rows in (test[(test["label"] == NO_TUMOR) == free],)]
    chosen = pd.concat([sampled(rows, 200, seed) for rows in halves], ignore_index=True)
    features, seen = _features(graph, root, chosen, size, marks=True, seed=seed)
    marked = seen >= _LITTLE
    return {
        "false_alarms": {str(name): Share.taken(int(rows.sum()), len(rows)).__dict__ for name, rows in alarms},
        "found": Share.taken(int(detector.marked(features[marked]).sum()), int(marked.sum())).__dict__,
    }


def _even(index: pd.DataFrame) -> NDArray[np.float64]:
    """Weigh pictures so that a group counts by the square root of its size."""
    return np.asarray(1 / index.groupby("group")["group"].transform("size").to_numpy() ** 0.5)


def _features(
    graph: Graph, root: Path, index: pd.DataFrame, size: int, *, marks: bool, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Give features (n, d), and of each picture the share of the square that its marks cover (n,).

    With ``marks`` every second picture, all of them varied, gets some; without, pictures are as they are.
    """

    def work(scan: Scan, row: int) -> NDArray[np.uint8]:
        pixels = scan.pixels[0]
        if not marks:
            return _with_count(prepare(pixels, size), None, size)
        random = np.random.default_rng([seed, row])
        picture = _varied(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), random)
        drawn = draw_marks(picture, random) if row % 2 else None
        shown = _recolored(picture if drawn is None else drawn.picture, random)
        return _with_count(prepare(shown.astype(np.float32), size), None if drawn is None else drawn.seen, size)

    rows, failed = map_pictures(root, list(index["path"]), work, (size + 1, size), np.uint8)
    if failed:
        name, reason = next(iter(failed.items()))
        raise DatasetError(f"{name} cannot be prepared ({reason}); take it out of the folder.")
    squares = rows[:, :size]
    features = [graph.run(squares[start : start + _BATCH]).features for start in range(0, len(squares), _BATCH)]
    counts = np.ascontiguousarray(rows[:, size, :4]).view(np.float32)[:, 0]
    return np.concatenate(features), counts.astype(np.float64)


def _with_count(prepared: Prepared, seen: NDArray[np.bool_] | None, size: int) -> NDArray[np.uint8]:
    """Append a row to a prepared square that holds the share of it that marks cover, as the bytes of a float."""
    share = 0.0
    if seen is not None and seen.any():
        share = float((prepare_outline(seen.astype(np.float32), prepared, size) > _LEAST_SEEN).mean())
    last = np.zeros((1, size), np.uint8)
    last[0, :4] = np.frombuffer(np.float32(share).tobytes(), np.uint8)
    return np.vstack([prepared.image, last])


def _varied(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Turn, mirror and resize a picture before it is drawn on."""
    picture = np.rot90(picture, int(random.integers(0, 4)))
    picture = picture[:, ::-1] if random.random() < 0.5 else picture
    factor = float(random.choice([1, 1, 0.5, 0.75, 1.5, 2]))
    size = [max(32, round(side * factor)) for side in picture.shape]
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(picture)).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    )


def _recolored(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Change gray values and store a picture with loss, as happens to pictures with marks and without."""
    if random.random() < 0.3:
        picture = np.rint(255 * (picture / 255) ** (2 ** random.uniform(-1, 1))).astype(np.uint8)
    if random.random() < 0.5:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=int(random.integers(15, 96)))
        picture = np.asarray(Image.open(file))
    return picture
