"""What the audit of a collection found, and what leakage does to the figures of one network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from braintumor.bundles import Metrics
from braintumor.errors import InputError
from braintumor.settings import ROOT

SHIPPED = ROOT / "docs" / "audit.json"
"""Audit of the collections that the shipped model was made from."""

OWN = Path("audit") / "audit.json"
"""Where in the data folder an administrator puts the audit of a collection of their own."""

COMMAND = "python -m braintumor data audit DIR"

_STEPS = (1, 2, 3, 4, 5, 10, 20, 50, 100)
"""First number of copies of each bar."""

_CLEAN, _LEAKING = "No copy in training", "Copies in training (inflated)"
_PARTS: Mapping[str, tuple[str, str]] = {
    "test": ("Leak-free test", _CLEAN),
    "all": ("Published test, all", _LEAKING),
    "trained": ("Published test, trained on", _LEAKING),
    "others": ("Published test, the others", _CLEAN),
}


class AuditError(InputError):
    """An audit cannot be read; the message says which command writes it."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What ``python -m braintumor data audit`` wrote, with ``is_own`` for a collection of whoever runs the server."""

    report: dict[str, Any]
    is_own: bool

    @property
    def part_titles(self) -> list[str]:
        """Title of each published part of each dataset, in the order of ``part_shares``."""
        return [
            f"{part['dataset']}, {part['published_split']}" if part["published_split"] else str(part["dataset"])
            for part in self.report["shared_between_parts"]
        ]

    @property
    def part_shares(self) -> np.ndarray:
        """Share of the images of each part (row) that have a copy in each part (column): (parts, parts) in [0, 1]."""
        return np.array([part["shares_with_copy_in"] for part in self.report["shared_between_parts"]], dtype=np.float64)


def audit_file(data_dir: Path) -> Path:
    """Give the audit to show: that in the data folder where there is one, else the shipped one."""
    own = data_dir / OWN
    return own if own.is_file() else SHIPPED


def read_audit(path: Path) -> Audit:
    """Read an audit; raises ``AuditError`` when it is missing, broken, or from a version that counted less."""
    try:
        found = Audit(json.loads(path.read_text(encoding="utf-8")), path != SHIPPED)
        # Walks through all that is read later, so that a page never meets another shape.
        dataset_table(found), conflict_table(found)
        sizes_table(found, "copies_of_a_picture"), sizes_table(found, "images_of_a_group")
        if found.part_shares.shape != (len(found.part_titles), len(found.part_titles)):
            raise ValueError("the table of shared parts is not square")
        for key in ("images", "distinct_pictures", "groups", "share_with_near_duplicate"):
            float(found.report[key])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        raise AuditError(
            f"{path.name} cannot be used ({type(problem).__name__}: {problem}); write it again with `{COMMAND}`."
        ) from None
    return found


def dataset_table(audit: Audit) -> pd.DataFrame:
    """Lay out what was found in each dataset.

    Columns: dataset, images, distinct (pictures), with_copy (share of images with a near-duplicate in the same set),
    test_images (of the published test), test_in_train (share of them with a near-duplicate in the published training
    part; NaN where there is no such split). Shares are in [0, 1].
    """
    rows = [
        (
            str(name),
            int(facts["images"]),
            int(facts["distinct_pictures"]),
            float(facts["share_with_near_duplicate"]),
            int(facts["published_test_images"]),
            np.nan if (share := facts["published_test_share_in_train"]) is None else float(share),
        )
        for name, facts in audit.report["datasets"].items()
    ]
    return pd.DataFrame(rows, columns=["dataset", "images", "distinct", "with_copy", "test_images", "test_in_train"])


def sizes_table(audit: Audit, key: str) -> pd.DataFrame:
    """Put ``copies_of_a_picture`` or ``images_of_a_group`` into bars that widen with the size.

    Columns: size (in words, as ``5–9``), number (of pictures or groups) and images (all that they hold).
    """
    sizes = {int(size): int(number) for size, number in audit.report[key].items()}
    rows = []
    for first, after in zip(_STEPS, (*_STEPS[1:], None), strict=True):
        inside = {size: n for size, n in sizes.items() if size >= first and (after is None or size < after)}
        words = f"{first}+" if after is None else f"{first}–{after - 1}" if after - first > 1 else str(first)
        rows.append((words, sum(inside.values()), sum(size * number for size, number in inside.items())))
    return pd.DataFrame(rows, columns=["size", "number", "images"])


def conflict_table(audit: Audit) -> pd.DataFrame:
    """List pictures whose copies carry labels that cannot both be true: picture, copies, labels, datasets.

    Names of files and folders stay in the file: those of a hospital may name a patient.
    """
    known = {str(name) for name in audit.report["datasets"]}
    rows = []
    for picture, copies in audit.report["label_conflicts"]["paths"].items():
        parts = [str(copy).rpartition(": ") for copy in copies]
        labels = sorted({label for _, _, label in parts})
        # A public set lies in the folder of its name, a hospital's own in folders of any name.
        datasets = sorted(known if len(known) == 1 else known & {path.split("/")[0] for path, _, _ in parts})
        rows.append((str(picture), len(parts), ", ".join(labels), ", ".join(datasets)))
    return pd.DataFrame(rows, columns=["picture", "copies", "labels", "datasets"])


def seen_and_unseen(metrics: Metrics) -> pd.DataFrame:
    """Give the four-class accuracy of one model on its leak-free test, and on the published test seen and unseen.

    Columns: title (what it is measured on), split (whether copies were in training), value, low, high, images. Empty
    where the model was not measured on both.
    """
    clean, published = metrics.test, metrics.published_test
    rows = []
    if clean is not None and published is not None:
        parts = {
            "test": (clean.four_class.accuracy, clean.images),
            "all": (published.four_class.accuracy, published.images),
        }
        if published.seen is not None:
            seen, others = published.seen.trained, published.seen.others
            parts |= {"trained": (seen.accuracy, seen.images), "others": (others.accuracy, others.images)}
        rows = [
            (title, split, *parts[key][0].floats, parts[key][1])
            for key, (title, split) in _PARTS.items()
            if key in parts
        ]
    return pd.DataFrame(rows, columns=["title", "split", "value", "low", "high", "images"])
