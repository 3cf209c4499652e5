"""Scans to predictions through the exported graph; neither TensorFlow nor Keras is imported."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from braintumor.bundles import GRAPH_FILE, Bundle, load_bundle
from braintumor.evaluation.calibration import apply_temperature
from braintumor.heatmaps import CellGrid, scaled_map
from braintumor.scans import Prepared, Scan, prepare
from braintumor.taxonomy import CLASSES, NO_TUMOR, TUMOR_CLASSES

DECISIONS = ("tumor", "no_tumor", "refer")
_BATCH = 16


@dataclass(frozen=True)
class Prediction:
    """What the model says of one scan.

    ``probabilities`` maps each class to its calibrated probability, summing to 1; ``p_tumor`` is 1 less that of
    "notumor". ``decision`` is one of ``DECISIONS``; ``reasons`` holds a sentence for each ground of a referral and
    is empty otherwise. ``finding`` is the likeliest class on the chosen side of the operating point, None when the
    scan does not look like a brain MRI. ``cam`` is Grad-CAM per class, float32 (h, w, 4), 0 or more, in
    the cells of the last feature map, which ``grid`` lays over the square that ``prepared`` cut from slice
    ``slice_number``, whose height and width in pixels are ``shape``. ``seconds`` is the time from pixels to answer,
    ``bundle`` the model's name and version.
    """

    source: str
    sha256: str
    probabilities: dict[str, float]
    p_tumor: float
    decision: str
    finding: str | None
    reasons: tuple[str, ...]
    seconds: float
    bundle: str
    slice_number: int
    shape: tuple[int, int]
    prepared: Prepared
    cam: NDArray[np.float32]
    grid: CellGrid

    @property
    def confidence(self) -> float:
        """Calibrated probability of the answer shown: of the finding's class, or of the likeliest one."""
        return self.probabilities[self.finding] if self.finding else max(self.probabilities.values())

    def class_map(self, name: str) -> NDArray[np.float32]:
        """Give the Grad-CAM of one class over the prepared square: float32 (size, size) from 0 to 1."""
        return scaled_map(self.grid.to_square(self.cam[..., CLASSES.index(name)]))


@dataclass(frozen=True)
class GraphOutput:
    """One pass: ``logits`` (n, 4), ``cam`` (n, h, w, 4) and ``features`` (n, channels), all float32."""

    logits: NDArray[np.float32]
    cam: NDArray[np.float32]
    features: NDArray[np.float32]


class Graph:
    """The exported network in LiteRT; may be called from many threads, which take turns."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # Memory-mapped weights stay with the file instead of being copied for each process.
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._lock = threading.Lock()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._batch = 0

    def run(self, images: NDArray[np.uint8]) -> GraphOutput:
        """Run prepared images, uint8 (n, size, size), in one pass."""
        batch = np.ascontiguousarray(images[..., np.newaxis], dtype=np.float32)
        with self._lock:
            if len(batch) != self._batch:
                self._interpreter.resize_tensor_input(self._input, batch.shape)
                self._interpreter.allocate_tensors()
                self._batch = len(batch)
            self._interpreter.set_tensor(self._input, batch)
            self._interpreter.invoke()
            found = [self._interpreter.get_tensor(item["index"]) for item in self._interpreter.get_output_details()]
        cam = next(item for item in found if item.ndim == 4)
        logits = next(item for item in found if item.ndim == 2 and item.shape[1] == len(CLASSES))
        features = next(item for item in found if item.ndim == 2 and item.shape[1] != len(CLASSES))
        return GraphOutput(logits, cam, features)


class Predictor:
    """The only door from the app to a network: one loaded bundle for all users, safe to share between threads."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._graph = Graph(bundle.folder / GRAPH_FILE)
        self._typicality = bundle.typicality

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Load and check a bundle; raises ``BundleError`` when it cannot be used."""
        return cls(load_bundle(folder))

    def predict(self, scans: Sequence[Scan]) -> list[Prediction]:
        """Answer for every scan, in order.

        Of a scan with several slices the answer is that of the slice with the highest P(tumor).
        """
        slices = [(number, layer) for number, scan in enumerate(scans) for layer in range(scan.shape[0])]
        best: dict[int, Prediction] = {}
        for start in range(0, len(slices), _BATCH):
            chosen = slices[start : start + _BATCH]
            for (number, _), prediction in zip(chosen, self._predict_batch(scans, chosen), strict=True):
                if number not in best or prediction.p_tumor > best[number].p_tumor:
                    best[number] = prediction
        return [best[number] for number in range(len(scans))]

    def _predict_batch(self, scans: Sequence[Scan], chosen: Sequence[tuple[int, int]]) -> list[Prediction]:
        started = time.perf_counter()
        prepared = [prepare(scans[number].pixels[layer], self.bundle.size) for number, layer in chosen]
        output = self._graph.run(np.stack([item.image for item in prepared]))
        probabilities = apply_temperature(output.logits, self.bundle.temperature)
        distances = self._typicality.distance(output.features)
        seconds = (time.perf_counter() - started) / len(chosen)
        return [
            self._answer(
                scans[number], layer, prepared[row], probabilities[row], distances[row], output.cam[row], seconds
            )
            for row, (number, layer) in enumerate(chosen)
        ]

    def _answer(
        self,
        scan: Scan,
        layer: int,
        prepared: Prepared,
        row: NDArray[np.float64],
        distance: float,
        cam: NDArray[np.float32],
        seconds: float,
    ) -> Prediction:
        probabilities = {name: float(value) for name, value in zip(CLASSES, row, strict=True)}
        p_tumor = 1 - probabilities[NO_TUMOR]
        is_tumor = p_tumor >= self.bundle.threshold
        kind = max(TUMOR_CLASSES, key=probabilities.__getitem__)
        foreign = self._foreign(scan, prepared, distance)
        reasons = foreign or self._doubts(row, kind)
        return Prediction(
            source=scan.source,
            sha256=scan.sha256,
            probabilities=probabilities,
            p_tumor=p_tumor,
            decision="refer" if reasons else "tumor" if is_tumor else "no_tumor",
            finding=None if foreign else kind if is_tumor else NO_TUMOR,
            reasons=reasons,
            seconds=seconds,
            bundle=self.bundle.name,
            slice_number=layer,
            shape=scan.shape[1:],
            prepared=prepared,
            cam=cam,
            grid=self.bundle.grid,
        )

    def _foreign(self, scan: Scan, prepared: Prepared, distance: float) -> tuple[str, ...]:
        if not prepared.image.any():
            return ("The picture is blank, so there is nothing to judge.",)
        if scan.facts.get("color"):
            return ("The picture is in color; an MRI slice is grey.",)
        if self.bundle.referral.atypical(np.array([distance]))[0]:
            return ("The picture does not look like the brain MRI slices the model knows.",)
        return ()

    def _doubts(self, row: NDArray[np.float64], kind: str) -> tuple[str, ...]:
        rule = self.bundle.referral
        found = rule.reasons(row[np.newaxis])
        reasons = []
        if found["tumor_uncertain"][0]:
            reasons.append(
                f"The probability of a tumor, {1 - row[-1]:.0%}, is too close to the line between yes and no "
                f"(referred from {rule.tumor_low:.0%} to {rule.tumor_high:.0%})."
            )
        if found["kind_uncertain"][0]:
            share = row[CLASSES.index(kind)] / max(1 - row[-1], 1e-12)
            reasons.append(
                f"The kind of tumor is unsure: {kind} is likeliest, but with only {share:.0%} among the three kinds "
                f"(at least {rule.kind_confidence:.0%} is asked for)."
            )
        return tuple(reasons)
