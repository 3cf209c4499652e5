"""The data of a training run: which pictures, in which split, prepared once and kept."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.datasets import (
    DatasetError,
    assign_groups,
    assign_splits,
    build_index,
    label_conflicts,
    load_pictures,
    near_duplicates,
    signatures,
)
from braintumor.scans import PREPROCESSING

_IDENTIFYING = ["path", "dataset", "published_split", "label", "picture", "group", "split"]


@dataclass(frozen=True)
class ExperimentData:
    """Pictures and their table: ``pictures`` uint8 (n, size, size); ``index`` one row each, with ``split``."""

    pictures: NDArray[np.uint8]
    index: pd.DataFrame

    def part(self, split: str) -> tuple[NDArray[np.uint8], pd.DataFrame]:
        """Give the pictures and rows of one split."""
        chosen = (self.index["split"] == split).to_numpy()
        return self.pictures[chosen], self.index[chosen].reset_index(drop=True)

    def distinct(self, split: str) -> tuple[NDArray[np.uint8], pd.DataFrame]:
        """Give one row a picture and dataset of a split, so that copies of a picture count once in a dataset."""
        pictures, index = self.part(split)
        first = (~index.duplicated(["picture", "dataset"])).to_numpy()
        return pictures[first], index[first].reset_index(drop=True)


def labelled_index(root: Path) -> pd.DataFrame:
    """List and group the labelled pictures under a folder.

    Pictures without a label, unreadable ones and those whose copies carry contradicting labels are left out. Raises
    ``DatasetError`` when none is left.
    """
    index = build_index(root)
    marks, failed = signatures(root, list(index["path"]))
    index = assign_groups(index, near_duplicates(marks))
    disputed = label_conflicts(index)
    usable = (index["label"] != "") & ~index["picture"].isin(list(disputed)) & ~index["path"].isin(list(failed))
    if not usable.any():
        raise DatasetError(f"{root} holds no labelled pictures; put them in folders named after their class.")
    return index[usable].reset_index(drop=True)


def split_index(index: pd.DataFrame, *, folds: int, fold: int, seed: int) -> pd.DataFrame:
    """Add the column ``split`` (see ``assign_splits``); raises ``DatasetError`` when the data is too small for it."""
    try:
        return index.assign(split=assign_splits(index, folds=folds, fold=fold, seed=seed))
    except ValueError as error:
        raise DatasetError(f"The data cannot be split: {error}.") from error


def prepare_pictures(root: Path, index: pd.DataFrame, size: int, cache: Path | None = None) -> ExperimentData:
    """Prepare the pictures of an index, or take them from ``cache`` if the same ones lie there."""
    kept = (
        cache / f"{PREPROCESSING}-{size}-{_digest(str(root.resolve()) + index_digest(index))[:16]}.npy"
        if cache
        else None
    )
    if kept is not None and kept.is_file():
        return ExperimentData(np.load(kept), index)
    pictures, failed = load_pictures(root, list(index["path"]), size)
    if failed:
        name, reason = next(iter(failed.items()))
        raise DatasetError(f"{name} cannot be prepared ({reason}); take it out of the folder.")
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}")
        np.save(draft, pictures)
        draft.replace(kept)
    return ExperimentData(pictures, index)


def index_digest(index: pd.DataFrame) -> str:
    """Identify a grouped and split index, whatever the order of its rows: a SHA-256 in hexadecimal digits."""
    return _digest(index[_IDENTIFYING].sort_values("path").to_csv(index=False))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
