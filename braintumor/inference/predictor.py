"""Scans to predictions through the exported graph."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from braintumor.bundles import Bundle, load_bundle
from braintumor.decision import Picture, ReferralRule, decide, small_square
from braintumor.inference.graph import Graph, GraphOutput
from braintumor.inference.prediction import Prediction, SliceAnswer
from braintumor.scans import Box, Prepared, Restored, Scan, prepare_within, restore, small_head
from braintumor.segmentation import Evidence, evidence, head_share, on_grid
from braintumor.taxonomy import ANY_TUMOR, CLASSES, NO_TUMOR

_BATCH = 4
"""Slices a pass: each takes 15 MB for as long as the server lives, and more of them at once are answered no faster."""
_LEAST_CHANCE = 1e-9
_HALF = 0.5
FEWEST_SLICES = 5
"""Slices that show anything, below which a volume is judged by its most suspicious slice."""


@dataclass(frozen=True)
class _Row:
    """One slice as it left the graph, calibrated."""

    probabilities: NDArray[np.float64]
    distance: float
    marked: bool
    copied: bool
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

    def picture(self, scan: Scan, pixels: NDArray[np.float32], modality: str) -> Picture:
        """Gather what decides whether the slice can be judged, from its restored pixels (height, width)."""
        color = scan.facts.get("color")
        return Picture(
            pixels=pixels,
            color=None if color is None else str(color),
            in_space=scan.affine is not None,
            is_empty=self.is_empty,
            side=min(self.prepared.side, self.prepared.width),
            has_marks=self.marked,
            modality=modality,
        )


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
    return evidence(
        odds.tolist(), np.stack(placed) if placed else None, heads, [bool(item.image.any()) for item in squares]
    )


def _each(found: NDArray[np.float32] | None, count: int) -> Sequence[NDArray[np.float32] | None]:
    """Give what a pass found of each of its slices; None for each where it finds no such thing."""
    return [None] * count if found is None else list(found)


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
        rows = iter(
            self._run(
                (restored[number].layer(layer), boxes[number], scans[number].pixel_aspect) for number, layer in slices
            )
        )
        return [
            self._answer(scan, found, list(islice(rows, scan.shape[0])))
            for scan, found in zip(scans, restored, strict=True)
        ]

    def _run(self, slices: Iterable[tuple[NDArray[np.float32], Box | None, float]]) -> list["_Row"]:
        """Send slices through the network, a few at a time, and read what it says of all of them at once.

        Distances between its passes take ten times as long: their threads and the network's stand in each other's way.
        """
        started = time.perf_counter()
        prepared: list[Prepared] = []
        outputs: list[GraphOutput] = []
        waiting = iter(slices)
        while chosen := list(islice(waiting, _BATCH)):
            ready = [prepare_within(pixels, box, self.bundle.size, aspect) for pixels, box, aspect in chosen]
            outputs.append(self._graph.run(np.stack([item.image for item in ready])))
            prepared += ready
        if not prepared:
            return []
        features = np.concatenate([output.features for output in outputs])
        probabilities = self._calibration.apply(np.concatenate([output.logits for output in outputs]))
        distances = self._typicality.distance(features)
        marks = self.bundle.marks
        marked = [False] * len(prepared) if marks is None else marks.marked(features)
        copies = self.bundle.copies
        copied = [False] * len(prepared)
        if copies is not None:
            copied = copies.is_copy(np.stack([small_square(item.image) for item in prepared])).tolist()
        seconds = (time.perf_counter() - started) / len(prepared)
        maps = [found for output in outputs for found in _each(output.tumor_map, len(output.logits))]
        cams = [found for output in outputs for found in _each(output.cam, len(output.logits))]
        return [
            _Row(
                probabilities[row],
                float(distances[row]),
                bool(marked[row]),
                bool(copied[row]),
                cams[row],
                maps[row],
                prepared[row],
                seconds,
            )
            for row in range(len(prepared))
        ]

    def _answer(self, scan: Scan, restored: Restored, rows: Sequence["_Row"]) -> Prediction:
        alone, rows = rows, self._with_neighbors(rows) if scan.affine is not None else rows
        judged = self._as_volume(scan, alone) or self._as_slices(rows)
        best = rows[judged.number]
        chances = best.restated(judged.p_tumor)
        p_tumor = float(1 - chances[-1])
        distance = (
            float(np.median([row.distance for row in rows if not row.is_empty])) if judged.whole else best.distance
        )
        decided = decide(
            chances,
            distance,
            best.picture(scan, restored.layer(judged.number), self.bundle.card.modality),
            threshold=judged.threshold,
            rule=judged.rule,
            tells_kinds=self.bundle.kinds,
        )
        return Prediction(
            source=scan.source,
            sha256=scan.sha256,
            probabilities=self._named(chances),
            p_tumor=p_tumor,
            decision=decided.decision,
            finding=decided.finding,
            reasons=decided.reasons,
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
            series=scan.series,
            trained_on=tuple(number for number, row in enumerate(rows) if row.copied),
        )

    def _named(self, chances: NDArray[np.float64]) -> dict[str, float]:
        if self.bundle.kinds:
            return {name: float(value) for name, value in zip(CLASSES, chances, strict=True)}
        return {ANY_TUMOR: float(1 - chances[-1]), NO_TUMOR: float(chances[-1])}

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
        of_slices = self.bundle.referral.distance_limit
        band = replace(
            self.bundle.referral,
            tumor_low=rule.low(scan.weighting),
            tumor_high=rule.tumor_high,
            distance_limit=rule.distance_limit if of_slices is None else min(rule.distance_limit, of_slices),
        )
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
