"""The data of a training run: which pictures, in which split, prepared once and kept."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.datasets import (
    DatasetError,
    assign_groups,
    assign_splits,
    audit,
    build_index,
    load_pictures,
    near_duplicates,
    signatures,
)
from braintumor.scans import PREPROCESSING


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


def load_data(root: Path, size: int, cache: Path, *, folds: int, fold: int, seed: int) -> ExperimentData:
    """List, group, split and prepare the pictures under a folder, or take them from ``cache`` if that was done.

    Pictures without a label, unreadable ones and those whose copies carry contradicting labels are left out. Raises
    ``DatasetError`` when no labelled picture is left.
    """
    stored = cache / f"{PREPROCESSING}-{size}-{folds}-{fold}-{seed}"
    table, array = stored.with_suffix(".csv"), stored.with_suffix(".npy")
    if table.is_file() and array.is_file():
        return ExperimentData(np.load(array), pd.read_csv(table, dtype=str, keep_default_na=False))
    index = grouped_index(root)
    disputed = audit(index)["label_conflicts"]["paths"]
    index = index[(index["label"] != "") & ~index["picture"].isin(disputed)].reset_index(drop=True)
    if index.empty:
        raise DatasetError(f"{root} holds no labelled pictures; put them in folders named after their class.")
    index = index.assign(split=assign_splits(index, folds=folds, fold=fold, seed=seed))
    pictures, failed = load_pictures(root, list(index["path"]), size)
    good = ~index["path"].isin(list(failed)).to_numpy()
    data = ExperimentData(pictures[good], index[good].reset_index(drop=True))
    cache.mkdir(parents=True, exist_ok=True)
    np.save(array, data.pictures)
    data.index.to_csv(table, index=False)
    return data


def grouped_index(root: Path) -> pd.DataFrame:
    """List the pictures under a folder with near-duplicates and given groups joined (see ``assign_groups``)."""
    index = build_index(root)
    marks, _ = signatures(root, list(index["path"]))
    return assign_groups(index, near_duplicates(marks))
