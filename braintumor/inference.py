"""Scans to predictions through the exported graph; neither TensorFlow nor Keras is imported."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from braintumor.bundles import GRAPH_FILE, Bundle, load_bundle
from braintumor.evaluation import ReferralRule
from braintumor.heatmaps import CellGrid, scaled_map
from braintumor.scans import (
    COLORED,
    MARKED,
    Box,
    Placement,
    Prepared,
    Restored,
    Scan,
    drawn_ring,
    place_on_scan,
    prepare_within,
    restore,
    several_heads,
    small_head,
)
from braintumor.segmentation import (
    Evidence,
    Measurements,
    dice_threshold,
    evidence,
    head_mask,
    head_share,
    measure,
    on_grid,
    tumor_mask,
)
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR, TUMOR_CLASSES

ORIENTATION_ASSUMED, SIZE_UNKNOWN = "orientation_assumed", "size_unknown"
REFER = "refer"
DECISIONS = ("tumor", "no_tumor", REFER)
GROUNDS = {
    "blank": "The picture is blank, so there is nothing to judge.",
    "color": "The picture is in color; an MRI slice is gray. Export the slice without a color map.",
    "marks": "Marks or letters are drawn over the head; export the slice without them.",
    "several_heads": "The picture shows more than one head; save each slice as a picture of its own.",
    "too_small": "The head is too few pixels wide to be judged; export the slice in its full size.",
    "atypical": "This does not look like the brain MRI slices the model knows. If it is a photo of a screen or film, "
    "export the slice itself.",
}
"""Why a picture is not judged at all: codes, and what is said to the user."""

_BATCH = 4
"""Slices a pass: each takes 15 MB for as long as the server lives, and more of them at once are answered no faster."""
_LEAST_CHANCE = 1e-9
_HALF = 0.5
_FEWEST_PIXELS = 72
"""Side of a head in pixels. Of 99 held-out scans that were answered, version 5.1 took 42 for no brain MRI once they
were shrunk to 64 pixels, and one shrunk to 128."""

FEWEST_SLICES = 5
"""Slices that show anything, below which a volume is judged by its most suspicious slice."""


@dataclass(frozen=True)
class SliceAnswer:
    """What a network says of one slice; in a volume its neighbors have a say in ``p_tumor``.

    ``prepared`` is the square it was shown, ``tumor_map`` float32 (h, w), the probability of tumor from 0 to 1 over
    that square, None from a network that does not locate.
    """

    p_tumor: float
    prepared: Prepared
    tumor_map: NDArray[np.float32] | None

    def outlined(self, square: Prepared, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
        """Give the mask on a picture (height, width) that ``square`` is cut from, bool; None where nothing locates."""
        if self.tumor_map is None:
            return None
        return tumor_mask(self.tumor_map, square, shape, dice_threshold(self.tumor_map))


@dataclass(frozen=True)
class Prediction:
    """What the model says of one scan.

    ``probabilities`` maps each class to its calibrated probability, summing to 1, or "tumor" and "notumor" from a
    network that tells no kinds; ``p_tumor`` is 1 less that of "notumor". ``decision`` is one of ``DECISIONS``;
    ``reasons`` holds a sentence for each ground of a referral and ``grounds`` its code (a key of ``GROUNDS``,
    "tumor_uncertain" or "kind_uncertain"); both are empty otherwise. ``finding`` is the class
    answered, the kind (or "tumor") or "notumor"; of a referred scan it is the likeliest class, None when the scan does
    not look like a brain MRI. ``slices`` has an answer for each slice, in order; the rest is that of slice
    ``slice_number``. ``cam`` is Grad-CAM per class, float32 (h, w, classes), 0 or more, in the cells of the last
    feature map, which ``grid`` lays over the prepared square; a network that locates tumors has none for "notumor", one
    whose Grad-CAM has no closed form none at all. ``shape`` is (slices, height, width) in pixels; ``spacing``
    and ``placement`` are the scan's. ``seconds`` is the time from pixels to answer, ``bundle`` the model's name
    and version, ``threshold`` the P(tumor) from which a scan counts as showing a tumor, ``doubt_from`` that from which
    one is not ruled out and ``sure_from`` that from which one is in no doubt. ``undone`` names what was changed in the
    gray values before they were judged, see ``restore``. ``oriented`` is False where the file does not say how its axes
    lie in space and the usual orientation is assumed. Of a volume that is judged as a whole ``rests_on`` are the slices
    that the answer rests on, by number, and ``slice_limits`` threshold and doubt for single slices; the others are then
    the volume's.
    """

    source: str
    sha256: str
    probabilities: dict[str, float]
    p_tumor: float
    decision: str
    finding: str | None
    reasons: tuple[str, ...]
    grounds: tuple[str, ...]
    seconds: float
    bundle: str
    slice_number: int
    slices: tuple[SliceAnswer, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float] | None
    placement: Placement | None
    cam: NDArray[np.float32] | None
    grid: CellGrid
    threshold: float
    doubt_from: float
    sure_from: float
    undone: tuple[str, ...] = ()
    oriented: bool = True
    rests_on: tuple[int, ...] = ()
    slice_limits: tuple[float, float] | None = None

    @property
    def unsure_of_kind_alone(self) -> bool:
        """Whether the scan is referred for the kind of a tumor that is itself in no doubt."""
        return self.decision == REFER and self.finding is not None and self.p_tumor >= self.sure_from

    @property
    def confidence(self) -> float:
        """Calibrated probability of the answer shown: of the finding's class, or of the likeliest one."""
        return self.probabilities[self.finding] if self.finding else max(self.probabilities.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of how the scan was read, as codes: what its file leaves open, and what was ``undone``."""
        left_open = {
            ORIENTATION_ASSUMED: not self.oriented,
            SIZE_UNKNOWN: self.placement is not None and self.spacing is None,
        }
        return (*(note for note, applies in left_open.items() if applies), *dict.fromkeys(self.undone))

    @property
    def prepared(self) -> Prepared:
        """The square that the network was shown of the slice that answers."""
        return self.slices[self.slice_number].prepared

    @property
    def tumor_map(self) -> NDArray[np.float32] | None:
        """Probability of tumor over that square, float32 (h, w) from 0 to 1; None where the network does not locate."""
        return self.slices[self.slice_number].tumor_map

    @property
    def locates(self) -> bool:
        """Whether the network says where a tumor is."""
        return self.tumor_map is not None

    def outlines(self, number: int) -> bool:
        """Tell whether a slice has an outline.

        Its P(tumor) must reach the threshold or, where the scan stays below its own, the doubt; or the finding of a
        tumor must rest on it.
        """
        called, doubted = self.slice_limits or (self.threshold, self.doubt_from)
        is_tumor = self.p_tumor >= self.threshold
        alone = self.slices[number].p_tumor >= (called if is_tumor else doubted)
        return alone or (is_tumor and number in self.rests_on)

    def explains(self, name: str) -> bool:
        """Tell whether there is a Grad-CAM of this class."""
        return self.cam is not None and _unit(name) < self.cam.shape[-1]

    def class_map(self, name: str) -> NDArray[np.float32]:
        """Give the Grad-CAM of one class over the prepared square: float32 (size, size) from 0 to 1.

        Raises ``ValueError`` where there is none, see ``explains``.
        """
        if self.cam is None or not self.explains(name):
            raise ValueError(f"{self.bundle} has no Grad-CAM of {name} at hand")
        return scaled_map(self.grid.to_square(self.cam[..., _unit(name)]))

    def mask(self) -> NDArray[np.bool_] | None:
        """Give the tumor's mask on the scan, bool (slices, height, width); None from a network that does not locate.

        A slice on which the model sees no tumor is empty, as is a scan without a finding. One that is referred because
        a tumor is neither sure nor ruled out has the outline that the tumor would have, one that is referred for the
        kind alone that of its tumor.
        """
        if not self.locates:
            return None
        mask = np.zeros(self.shape, dtype=bool)
        for number, answer in enumerate(self.slices):
            if self.finding and self.outlines(number):
                mask[number] = answer.outlined(answer.prepared, self.shape[1:])
        return mask

    def measurements(self) -> Measurements | None:
        """Measure the mask against the head and, where the scan tells its spacing, in millimeters; None without one."""
        mask = self.mask()
        if mask is None:
            return None
        drawn = [number for number in range(len(mask)) if mask[number].any()]
        head = np.zeros(self.shape, dtype=bool)
        for number in drawn:
            prepared = self.slices[number].prepared
            inside = head_mask(prepared.image.astype(np.float32)).astype(np.float32)
            head[number] = place_on_scan(inside, prepared, self.shape[1:]) >= _HALF
        return measure(mask, head, self.spacing)


def _unit(name: str) -> int:
    """Number of the classifier's unit of a class; one that tells no kinds has one for tumor alone."""
    return 0 if name == ANY_TUMOR else CLASSES.index(name)


@dataclass(frozen=True)
class GraphOutput:
    """One pass, all float32: ``logits`` (n, 4), ``cam`` (n, h, w, classes explained), ``features`` (n, channels).

    ``tumor_map`` (n, h, w) holds probabilities from 0 to 1; None from a network that does not locate. ``cam`` is None
    from one whose Grad-CAM has no closed form.
    """

    logits: NDArray[np.float32]
    cam: NDArray[np.float32] | None
    features: NDArray[np.float32]
    tumor_map: NDArray[np.float32] | None


class Graph:
    """The exported network in LiteRT; may be called from many threads, which take turns.

    ``map_temperature`` is that of ``Calibration``.
    """

    def __init__(self, path: Path, threads: int = 2, map_temperature: float = 1.0) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # Memory-mapped weights stay with the file instead of being copied for each process.
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._lock = threading.Lock()
        self._map_temperature = np.float32(map_temperature)
        self._input = self._interpreter.get_input_details()[0]["index"]
        named = self._interpreter.get_signature_runner().get_output_details()
        self._outputs = {name: details["index"] for name, details in named.items()}
        self._batch = 0

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 2) -> "Graph":
        """Load a bundle's graph, its map calibrated."""
        return cls(bundle.folder / GRAPH_FILE, threads, bundle.calibration.map_temperature)

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
            found = {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}
        tumor_map = expit(found["map"][..., 0] / self._map_temperature) if "map" in found else None
        return GraphOutput(found["logits"], found.get("cam"), found["features"], tumor_map)


@dataclass(frozen=True)
class _Row:
    """One slice as it left the graph, calibrated."""

    probabilities: NDArray[np.float64]
    distance: float
    marked: bool
    cam: NDArray[np.float32] | None
    tumor_map: NDArray[np.float32] | None
    prepared: Prepared
    seconds: float

    @property
    def p_tumor(self) -> float:
        return float(1 - self.probabilities[-1])

    def restated(self, p_tumor: float) -> NDArray[np.float64]:
        """Give the probabilities (4,) with another P(tumor), which the kinds share as they did the old."""
        kinds = self.probabilities[:-1] / max(float(self.probabilities[:-1].sum()), _LEAST_CHANCE)
        return np.append(p_tumor * kinds, 1 - p_tumor)

    @property
    def is_empty(self) -> bool:
        return not self.prepared.image.any()


@dataclass(frozen=True)
class _Judged:
    """P(tumor) of a scan, the slice that shows it, the rule it is held against, and whether it is of a whole volume."""

    p_tumor: float
    number: int
    threshold: float
    rule: ReferralRule
    rests_on: tuple[int, ...] = ()
    whole: bool = False


def stack_evidence(
    p_tumor: Sequence[float],
    maps: Sequence[NDArray[np.float32] | None],
    squares: Sequence[Prepared],
    shape: tuple[int, int],
) -> Evidence:
    """Gather the evidence in a stack: ``p_tumor`` and tumor maps of its slices, each judged by itself, in order.

    ``squares`` are what the network was shown of them, ``shape`` is a slice's (height, width). Raises ``ValueError``
    when every slice is empty.
    """
    odds = logit(np.clip(p_tumor, _LEAST_CHANCE, 1 - _LEAST_CHANCE))
    placed = [on_grid(found, square, shape) for found, square in zip(maps, squares, strict=True) if found is not None]
    heads = [head_share(square, shape) for square in squares]
    return evidence(odds, np.stack(placed) if placed else None, heads, [bool(item.image.any()) for item in squares])


class Predictor:
    """The only door from the app to a network: one loaded bundle for all users, safe to share between threads."""

    def __init__(self, bundle: Bundle, threads: int = 2) -> None:
        self.bundle = bundle
        self._graph = Graph.of(bundle, threads)
        self._typicality = bundle.typicality
        self._calibration = bundle.calibration

    @classmethod
    def load(cls, folder: Path, threads: int = 2) -> "Predictor":
        """Load and check a bundle, to answer in so many threads; raises ``BundleError`` when it cannot be used."""
        return cls(load_bundle(folder), threads)

    def predict(self, scans: Sequence[Scan]) -> list[Prediction]:
        """Answer for every scan, in order.

        Of a scan with several slices the answer is that of the slice with the highest P(tumor), empty ones left out.
        In a volume that lies in space the slices before and after it have a say in each one's P(tumor), see
        ``_with_neighbors``, and where the bundle has a rule for volumes, P(tumor) and decision come from it. What
        viewers and exports did to the gray values is undone first: see ``restore``.
        """
        restored = [restore(scan.pixels) for scan in scans]
        boxes = [small_head(found.layers()) for found in restored]
        slices = [(number, layer) for number, scan in enumerate(scans) for layer in range(scan.shape[0])]
        rows: list[list[_Row]] = [[] for _ in scans]
        for start in range(0, len(slices), _BATCH):
            chosen = slices[start : start + _BATCH]
            found = self._run([(restored[number].layer(layer), boxes[number]) for number, layer in chosen])
            for (number, _), row in zip(chosen, found, strict=True):
                rows[number].append(row)
        return [self._answer(*of_scan) for of_scan in zip(scans, restored, rows, strict=True)]

    def _run(self, slices: Sequence[tuple[NDArray[np.float32], Box | None]]) -> list["_Row"]:
        started = time.perf_counter()
        prepared = [prepare_within(pixels, box, self.bundle.size) for pixels, box in slices]
        output = self._graph.run(np.stack([item.image for item in prepared]))
        probabilities = self._calibration.apply(output.logits)
        distances = self._typicality.distance(output.features)
        marks = self.bundle.marks
        marked = [False] * len(slices) if marks is None else marks.marked(output.features)
        seconds = (time.perf_counter() - started) / len(slices)
        maps = [None] * len(slices) if output.tumor_map is None else list(output.tumor_map)
        cams = [None] * len(slices) if output.cam is None else list(output.cam)
        return [
            _Row(
                probabilities[row],
                float(distances[row]),
                bool(marked[row]),
                cams[row],
                maps[row],
                prepared[row],
                seconds,
            )
            for row in range(len(slices))
        ]

    def _answer(self, scan: Scan, restored: Restored, rows: Sequence["_Row"]) -> Prediction:
        alone, rows = rows, self._with_neighbors(rows) if scan.affine is not None else rows
        judged = self._as_volume(scan, alone) or self._as_slices(rows)
        best = rows[judged.number]
        chances = best.restated(judged.p_tumor)
        probabilities = {name: float(value) for name, value in zip(CLASSES, chances, strict=True)}
        kind = max(TUMOR_CLASSES, key=probabilities.__getitem__)
        if not self.bundle.kinds:
            probabilities, kind = {ANY_TUMOR: judged.p_tumor, NO_TUMOR: probabilities[NO_TUMOR]}, ANY_TUMOR
        is_tumor = judged.p_tumor >= judged.threshold
        distance = (
            float(np.median([row.distance for row in rows if not row.is_empty])) if judged.whole else best.distance
        )
        foreign = self._foreign(scan, restored.layer(judged.number), best, distance)
        leaning = max(probabilities, key=probabilities.__getitem__)
        reasons = foreign or self._doubts(chances, kind, judged.rule)
        return Prediction(
            source=scan.source,
            sha256=scan.sha256,
            probabilities=probabilities,
            p_tumor=judged.p_tumor,
            decision=REFER if reasons else "tumor" if is_tumor else "no_tumor",
            finding=None if foreign else leaning if reasons else kind if is_tumor else NO_TUMOR,
            reasons=tuple(reasons.values()),
            grounds=tuple(reasons),
            seconds=sum(row.seconds for row in rows),
            bundle=self.bundle.name,
            slice_number=judged.number,
            slices=tuple(SliceAnswer(row.p_tumor, row.prepared, row.tumor_map) for row in rows),
            shape=scan.shape,
            spacing=scan.spacing,
            placement=scan.placement,
            cam=best.cam,
            grid=self.bundle.grid,
            threshold=judged.threshold,
            doubt_from=min(judged.rule.tumor_low, judged.threshold),
            sure_from=max(judged.rule.tumor_high, judged.threshold),
            undone=restored.undone,
            oriented=bool(scan.facts.get("oriented", True)),
            rests_on=judged.rests_on,
            slice_limits=(self.bundle.threshold, self.bundle.doubt_from) if judged.whole else None,
        )

    def _as_slices(self, rows: Sequence["_Row"]) -> "_Judged":
        """Let the most suspicious slice answer; an empty one has no say, whose score may be above a healthy head's."""
        number = int(np.argmax([-1.0 if row.is_empty else row.p_tumor for row in rows]))
        return _Judged(rows[number].p_tumor, number, self.bundle.threshold, self.bundle.referral)

    def _as_volume(self, scan: Scan, rows: Sequence["_Row"]) -> "_Judged | None":
        """Judge a volume by all of its slices; None without a rule for that, and of too few slices."""
        rule = self.bundle.volume_rule
        if rule is None or scan.affine is None or sum(not row.is_empty for row in rows) < FEWEST_SLICES:
            return None
        maps = [row.tumor_map for row in rows]
        found = stack_evidence([row.p_tumor for row in rows], maps, [row.prepared for row in rows], scan.shape[1:])
        p_tumor = float(rule.p_tumor(found.figures[np.newaxis])[0])
        band = replace(self.bundle.referral, tumor_low=rule.tumor_low, tumor_high=rule.tumor_high)
        return _Judged(p_tumor, found.key, rule.tumor_high, band, found.slices, whole=True)

    def _with_neighbors(self, rows: Sequence["_Row"]) -> list["_Row"]:
        """Average each slice's log-odds of a tumor with those of the slices beside it, which count half.

        A tumor goes on from slice to slice, and what is taken for one by chance does so less often. The kinds share
        the new P(tumor) as they did the old. For a neighbor that is empty, or missing at an end, the slice itself
        stands in; one that shows a tumor by itself, at better than even odds, is never ruled out by the others.
        """
        chances = np.array([row.probabilities for row in rows])
        own = np.clip(1 - chances[:, -1], _LEAST_CHANCE, 1 - _LEAST_CHANCE)
        odds = logit(own)
        shown = np.pad([not row.is_empty for row in rows], 1)
        around = np.pad(odds, 1)
        before, after = (np.where(shown[side], around[side], odds) for side in (slice(None, -2), slice(2, None)))
        averaged = expit((before + 2 * odds + after) / 4)
        p_tumor = np.where(own >= _HALF, np.maximum(averaged, self.bundle.doubt_from), averaged)
        kinds = chances[:, :-1] / np.maximum(chances[:, :-1].sum(axis=1, keepdims=True), _LEAST_CHANCE)
        judged = np.column_stack([p_tumor[:, np.newaxis] * kinds, 1 - p_tumor])
        return [replace(row, probabilities=found) for row, found in zip(rows, judged, strict=True)]

    def _foreign(self, scan: Scan, pixels: NDArray[np.float32], row: "_Row", distance: float) -> dict[str, str]:
        """Give the ground on which a picture is not judged at all, by its code; none of most."""
        found, color = None, scan.facts.get("color")
        is_flat = scan.affine is None
        if row.is_empty:
            found = "blank"
        elif color == COLORED:
            found = "color"
        elif color == MARKED:
            found = "marks"
        elif is_flat and several_heads(pixels):
            found = "several_heads"
        elif self.bundle.referral.atypical(np.array([distance]))[0]:
            found = "too_small" if is_flat and row.prepared.side < _FEWEST_PIXELS else "atypical"
        elif is_flat and (row.marked or drawn_ring(pixels)):
            found = "marks"
        return {found: GROUNDS[found]} if found else {}

    def _doubts(self, row: NDArray[np.float64], kind: str, rule: ReferralRule) -> dict[str, str]:
        found = rule.reasons(row[np.newaxis])
        reasons = {}
        if found["tumor_uncertain"][0]:
            reasons["tumor_uncertain"] = (
                f"The probability of a tumor, {1 - row[-1]:.1%}, neither rules one out nor is high enough to answer "
                f"(referred from {rule.tumor_low:.1%} to {rule.tumor_high:.1%})."
            )
        if found["kind_uncertain"][0] and self.bundle.kinds:
            share = row[CLASSES.index(kind)] / max(1 - row[-1], 1e-12)
            reasons["kind_uncertain"] = (
                f"The kind of tumor is unsure: {kind} is likeliest, but with only {share:.1%} among the three kinds "
                f"(at least {rule.kind_confidence:.1%} is asked for)."
            )
        return reasons
