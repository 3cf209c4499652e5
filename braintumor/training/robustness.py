"""``python -m braintumor changes``: does an answer stay when a held-out scan is turned, framed, exported, drawn on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from braintumor.bundles import Bundle
from braintumor.datasets import CHANGES, UNCHANGED, Change
from braintumor.decision import Outcome
from braintumor.evaluation import Flips, Pair
from braintumor.inference import Predictor
from braintumor.scans import ScanError, read, read_all
from braintumor.taxonomy import NO_TUMOR
from braintumor.training.evaluate import held_out
from braintumor.training.faithfulness import sampled

UNREADABLE = "unreadable"
"""Stands for the reason where the reader refuses a changed file; the user is told to send another, as of a referral."""

MOST_WITHHELD = 0.1
"""Share of answers that a change may turn into a referral where it keeps all that a reader needs."""


@dataclass(frozen=True)
class _Answer:
    decision: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Changed:
    """What one change did, by its name."""

    name: str
    says: str
    keeps: bool
    flips: Flips

    @property
    def holds(self) -> bool:
        """Whether no tumor was called or cleared by the change, and answers were kept where they should be."""
        turned = self.flips.false_alarms.count + self.flips.cleared.count
        return not turned and not (self.keeps and (self.flips.withheld.value or 0) > MOST_WITHHELD)


@dataclass(frozen=True)
class Report:
    """What all changes did to a bundle's answers on held-out scans: the content of ``docs/changes.json``."""

    bundle: str
    scans: dict[str, int]
    groups: int
    most_withheld: float
    unchanged: dict[str, dict[str, int]]
    changes: tuple[Changed, ...]

    def as_json(self) -> dict[str, Any]:
        """Give it as an object ready for JSON, with what holds said of each change."""
        found = asdict(self)
        for row, change in zip(found["changes"], self.changes, strict=True):
            row["holds"] = change.holds
        return found


def measure_changes(
    bundle: Bundle, root: Path, scans: int = 60, seed: int = 0, changes: Sequence[Change] = CHANGES
) -> Report:
    """Answer ``scans`` tumor-free and as many tumor scans of a bundle's held-out groups, as they are and changed.

    They are drawn evenly over datasets and groups and read, changed or not, from bytes as a user's files are. Raises
    ``DatasetError`` where the folder holds other data than the training run's, of which nobody knows what was held out.
    """
    index = held_out(bundle, root).drop_duplicates("picture")
    free = index["label"] == NO_TUMOR
    chosen = pd.concat([sampled(index[rows], scans, seed) for rows in (free, ~free)], ignore_index=True)
    pictures = [_gray(root / path) for path in chosen["path"]]
    predictor = Predictor(bundle)
    before = [_answer(predictor, UNCHANGED.make(picture)) for picture in pictures]
    labels = list(chosen["label"])
    rows = [
        Changed(change.name, change.says, change.keeps, _flips(predictor, change, pictures, labels, before))
        for change in tqdm(changes, desc="Changes", unit=" changes")
    ]
    return Report(
        bundle=bundle.name,
        scans={str(name): int(count) for name, count in chosen["label"].value_counts().items()},
        groups=int(chosen["group"].nunique()),
        most_withheld=MOST_WITHHELD,
        unchanged=_decided(labels, before),
        changes=tuple(rows),
    )


def _gray(path: Path) -> NDArray[np.uint8]:
    """Read a picture as the app does, and store its gray values in 8 bits, as nearly all published scans are."""
    pixels = read(path.read_bytes(), path.name).pixels[0]
    return np.asarray(np.clip(np.rint(pixels), 0, 255), dtype=np.uint8)


def _flips(
    predictor: Predictor,
    change: Change,
    pictures: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    before: Sequence[_Answer],
) -> Flips:
    after = [_answer(predictor, change.make(picture)) for picture in pictures]
    return Flips.counted(
        [
            Pair(label, earlier.decision, now.decision, now.reasons)
            for label, earlier, now in zip(labels, before, after, strict=True)
        ]
    )


def _answer(predictor: Predictor, data: bytes) -> _Answer:
    (outcome,) = read_all(data, "scan")
    if isinstance(outcome, ScanError):
        return _Answer(Outcome.REFER, (UNREADABLE,))
    (prediction,) = predictor.predict([outcome])
    return _Answer(prediction.decision, tuple(reason.code for reason in prediction.reasons))


def _decided(labels: Sequence[str], before: Sequence[_Answer]) -> dict[str, dict[str, int]]:
    """Count decisions of unchanged scans, tumor-free ones and tumors apart."""
    table = pd.DataFrame(
        {
            "label": ["tumor-free" if label == NO_TUMOR else "tumor" for label in labels],
            "decision": [answer.decision for answer in before],
        }
    )
    return {
        str(label): {str(name): int(count) for name, count in rows["decision"].value_counts().items()}
        for label, rows in table.groupby("label")
    }
