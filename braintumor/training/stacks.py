"""Stacks of slices from whole hospitals: what the rule for volumes is fitted and measured on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from braintumor.datasets import HOSPITAL_TEST, HOSPITAL_VALIDATION, at_home
from braintumor.decision import Calibration, Outcome, Typicality, VolumeRule, left_out_p_tumor, predictive_limits
from braintumor.errors import InputError
from braintumor.inference import FEWEST_SLICES, Graph, stack_evidence
from braintumor.scans import (
    ScanError,
    Weighting,
    prepare_within,
    read,
    restore,
    small_head,
    stated_weighting,
    walk,
)
from braintumor.segmentation import EVIDENCE
from braintumor.taxonomy import NO_TUMOR

_BATCH = 16
FEWEST_STACKS = 5
"""Stacks with a tumor and without, each, from which a sequence has a limit of its own: fewer say nothing of a share."""

_WEIGHTINGS = {"pre": Weighting.T1, "post": Weighting.T1_CONTRAST}
_CLEAR_PART = "tumor-free part"
_COLUMNS = ["hospital", "patient", "sequence", "part", "is_tumor", "key_in_tumor", "distance", *EVIDENCE]


@dataclass(frozen=True)
class Stack:
    """Slices of one patient in order, float32 (slices, height, width), and on which of them a tumor shows.

    ``part`` says what it is of a patient's stack: empty for the whole, "tumor-free part" for the slices beside a tumor.
    Pixels are ``pixel_aspect`` times as wide as high.
    """

    pixels: NDArray[np.float32]
    with_tumor: NDArray[np.bool_]
    patient: str
    hospital: str
    sequence: str
    part: str = ""
    pixel_aspect: float = 1.0


def read_stacks(root: Path, index: pd.DataFrame) -> Iterator[Stack]:
    """Read the stacks of an index's rows that name an institution, and of each with a tumor its tumor-free part.

    A stack is a patient's pictures of one sequence, in the order of their paths; those of another size than the first
    are left out. Its tumor-free part is the longest run of slices without a tumor. Stacks of fewer than
    ``FEWEST_SLICES`` slices are left out.
    """
    rows = index[~at_home(index)].sort_values("path")
    for (hospital, patient, sequence), own in rows.groupby(["hospital", "group", "sequence"], sort=True):
        slices = [read((root / path).read_bytes(), path).pixels[0] for path in own["path"]]
        fits = [layer.shape == slices[0].shape for layer in slices]
        pixels = np.stack([layer for layer, kept in zip(slices, fits, strict=True) if kept])
        tumor = (own["label"] != NO_TUMOR).to_numpy()[fits]
        start, stop = _longest_clear_run(tumor)
        parts = {"": slice(None)} | ({_CLEAR_PART: slice(start, stop)} if tumor.any() else {})
        for part, chosen in parts.items():
            if len(pixels[chosen]) >= FEWEST_SLICES:
                yield Stack(pixels[chosen], tumor[chosen], str(patient), str(hospital), str(sequence), part)


def tumor_free_stacks(folder: Path) -> Iterator[Stack]:
    """Read the volumes under a folder as heads without a tumor; a patient is what comes before "_" in a file's name.

    Raises ``InputError`` where there is none, or one cannot be read.
    """
    found = 0
    for path in walk([folder]):
        try:
            scan = read(path.read_bytes(), path.name)
        except ScanError as error:
            raise InputError(f"{path} cannot be read ({error}); take it out of the folder.") from error
        if len(scan.pixels) >= FEWEST_SLICES:
            found += 1
            clear = np.zeros(len(scan.pixels), dtype=bool)
            patient, sequence = path.name.split("_")[0], _after_last(path)
            yield Stack(scan.pixels, clear, patient, folder.name, sequence, pixel_aspect=scan.pixel_aspect)
    if not found:
        raise InputError(f"{folder} holds no volumes; name a folder of NIfTI volumes of heads without a tumor.")


def _after_last(path: Path) -> str:
    return path.name.split(".")[0].rpartition("_")[2]


def stack_table(
    graph: Graph, calibration: Calibration, typicality: Typicality, size: int, stacks: Iterator[Stack]
) -> pd.DataFrame:
    """Gather the evidence of each stack: hospital, patient, sequence, part, is_tumor, key_in_tumor and ``EVIDENCE``.

    ``distance`` is the middle one of its slices that are not empty, see ``Typicality``. ``key_in_tumor`` says whether
    the slice that an answer would show has a tumor, None where none has. Stacks of empty slices are left out.
    """
    rows = []
    for stack in stacks:
        restored = restore(stack.pixels)
        box = small_head(restored.layers())
        squares = [prepare_within(layer, box, size, stack.pixel_aspect) for layer in restored.layers()]
        images = np.stack([square.image for square in squares])
        if not images.any():
            continue
        outputs = [graph.run(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        p_tumor = np.concatenate([1 - calibration.apply(output.logits)[:, -1] for output in outputs])
        distances = np.concatenate([typicality.distance(output.features) for output in outputs])
        shown = images.any(axis=(1, 2))
        maps = [found for output in outputs for found in _maps(output.tumor_map, len(output.logits))]
        found = stack_evidence(list(p_tumor), maps, squares, _shape(stack))
        is_tumor = bool(stack.with_tumor.any())
        rows.append(
            {
                "hospital": stack.hospital,
                "patient": stack.patient,
                "sequence": stack.sequence,
                "part": stack.part,
                "is_tumor": is_tumor,
                "distance": float(np.median(distances[shown])),
                "key_in_tumor": bool(stack.with_tumor[found.key]) if is_tumor else None,
                **dict(zip(EVIDENCE, found.figures, strict=True)),
            }
        )
    return pd.DataFrame(rows, columns=_COLUMNS)


@dataclass(frozen=True)
class StackSource:
    """Where stacks come from: the root and index of the pictures, and a folder of heads without a tumor, if any."""

    root: Path
    tumor_free: Path | None = None

    def table(
        self, graph: Graph, calibration: Calibration, typicality: Typicality, size: int, index: pd.DataFrame
    ) -> pd.DataFrame:
        """Gather the evidence of all stacks that the network was not trained on, with their ``split``.

        That of a hospital's stacks is its own in the index; heads without a tumor are for choosing on.
        """
        held_out = index[index["split"].isin([HOSPITAL_VALIDATION, HOSPITAL_TEST])]
        free = tumor_free_stacks(self.tumor_free) if self.tumor_free else iter(())
        table = stack_table(graph, calibration, typicality, size, chain(read_stacks(self.root, held_out), free))
        splits = held_out.groupby("hospital")["split"].first().to_dict()
        return table.assign(split=[splits.get(name, HOSPITAL_VALIDATION) for name in table["hospital"]])


def judge_stacks(table: pd.DataFrame) -> tuple[VolumeRule | None, pd.DataFrame]:
    """Fit the rule for volumes on the stacks to choose on, and give it with ``p_tumor`` of all stacks.

    That of a stack it was fitted on comes from a rule without its patient. The rule is None, and so is ``p_tumor``,
    where stacks with a tumor or without are missing.
    """
    chosen = (table["split"] == HOSPITAL_VALIDATION).to_numpy()
    if table.loc[chosen, "is_tumor"].nunique() < 2:
        return None, table.assign(p_tumor=np.nan)
    rule, left_out = fit_volume_rule(table[chosen])
    p_tumor = rule.p_tumor(table[list(EVIDENCE)].to_numpy(np.float64))
    p_tumor[chosen] = left_out
    return rule, table.assign(p_tumor=p_tumor)


def stack_figures(table: pd.DataFrame, rule: VolumeRule) -> dict[str, Any]:
    """Say how a judged table's stacks are answered, by split, hospital and sequence, ready for JSON.

    Each has stacks and patients, and of those with a tumor and without how many there are and what they are answered:
    "tumor", "no_tumor" or "refer"; auroc (None where one side is missing) and, of those with a tumor,
    key_in_tumor: how many keys lie in it.
    """
    low = [rule.low(weighting_of(name)) for name in table["sequence"]]
    answers = np.where(
        table["p_tumor"] >= rule.tumor_high, "tumor", np.where(table["p_tumor"] < low, "no_tumor", "refer")
    )
    told = table.assign(answer=answers)
    found: dict[str, Any] = {}
    for (split, hospital), rows in told.groupby(["split", "hospital"]):
        sequences = {str(name): _answered(part) for name, part in rows.groupby("sequence")}
        found.setdefault(str(split), {})[str(hospital)] = {**_answered(rows), "sequences": sequences}
    return found


def _answered(rows: pd.DataFrame) -> dict[str, Any]:
    truth = rows["is_tumor"].to_numpy(bool)

    def counts(part: pd.DataFrame) -> dict[str, int]:
        return {"stacks": len(part), **{str(name): int((part["answer"] == name).sum()) for name in Outcome}}

    both = truth.any() and not truth.all()
    return {
        "patients": int(rows["patient"].nunique()),
        "with_tumor": counts(rows[truth]),
        "without": counts(rows[~truth]),
        "auroc": float(roc_auc_score(truth, rows["p_tumor"])) if both else None,
        "key_in_tumor": int(rows.loc[truth, "key_in_tumor"].astype(bool).sum()),
    }


def fit_volume_rule(table: pd.DataFrame) -> tuple[VolumeRule, NDArray[np.float64]]:
    """Fit the rule for volumes on a table of stacks, and its limits on what it says of patients it was fitted without.

    A sequence with ``FEWEST_STACKS`` stacks of either side has a lower limit of its own. Gives the rule and that
    P(tumor) of each row, (n,). Raises ``ValueError`` where the table lacks tumors or heads without one.
    """
    figures, truth = table[list(EVIDENCE)].to_numpy(np.float64), table["is_tumor"].to_numpy(bool)
    rule = VolumeRule.fit(EVIDENCE, figures, truth)
    left_out = left_out_p_tumor(EVIDENCE, figures, truth, list(table["patient"]))
    low, high = predictive_limits(left_out, truth)
    kinds = np.array([weighting_of(name) for name in table["sequence"]])
    by_sequence = {}
    for kind in sorted({*kinds} - {Weighting.UNKNOWN}):
        own = kinds == kind
        if min(truth[own].sum(), (~truth[own]).sum()) >= FEWEST_STACKS:
            by_sequence[str(kind)] = min(predictive_limits(left_out[own], truth[own])[0], high)
    return rule.with_limits(low, high, by_sequence).with_distances(table["distance"]), left_out


def weighting_of(sequence: str) -> Weighting:
    """Give what an index or a file's name calls a sequence as what it is called everywhere else."""
    return _WEIGHTINGS.get(sequence) or stated_weighting(sequence)


def _maps(tumor_map: NDArray[np.float32] | None, count: int) -> Sequence[NDArray[np.float32] | None]:
    return [None] * count if tumor_map is None else list(tumor_map)


def _shape(stack: Stack) -> tuple[int, int]:
    _, height, width = stack.pixels.shape
    return height, width


def _longest_clear_run(tumor: NDArray[np.bool_]) -> tuple[int, int]:
    """Give start and stop of the longest run of False; 0 and 0 where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], tumor.astype(np.int8), [1]])))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    longest = int(np.argmax(stops - starts))
    return int(starts[longest]), int(stops[longest])
