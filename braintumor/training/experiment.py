"""The data of a training run: which pictures, in which split, prepared once and kept."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.datasets import (
    HOSPITAL_VALIDATION,
    DatasetError,
    Hospitals,
    Roles,
    assign_groups,
    assign_splits,
    at_home,
    build_index,
    hold_out,
    known_or_any,
    label_conflicts,
    load_outlines,
    load_pictures,
    near_duplicates,
    signatures,
)
from braintumor.scans import PREPROCESSING
from braintumor.taxonomy import ANY_TUMOR, MR, NO_TUMOR

_IDENTIFYING = ["path", "dataset", "published_split", "label", "picture", "group", "mask", "split"]


@dataclass(frozen=True)
class ExperimentData:
    """Pictures, outlines and their table.

    ``pictures`` is uint8 (n, size, size); ``outlines`` uint8 (m, size, size), 255 where a tumor was drawn; ``index``
    has one row a picture, with ``split`` and, in ``outline``, the number of its outline or -1. Where the split is
    ``as_published`` every copy of a test picture counts.
    """

    pictures: NDArray[np.uint8]
    outlines: NDArray[np.uint8]
    index: pd.DataFrame
    as_published: bool = False

    def chosen(self, rows: NDArray[np.bool_]) -> "ExperimentData":
        """Give the marked rows, (n,) bool, as data of their own."""
        return replace(self, pictures=self.pictures[rows], index=self.index[rows].reset_index(drop=True))

    def with_more(self, more: "ExperimentData") -> "ExperimentData":
        """Append the rows of data that shares this one's outlines."""
        index = pd.concat([self.index, more.index], ignore_index=True)
        return replace(self, pictures=np.concatenate([self.pictures, more.pictures]), index=index)

    def part(self, split: str) -> "ExperimentData":
        """Give the pictures and rows of one split."""
        return self.chosen((self.index["split"] == split).to_numpy())

    def distinct(self, split: str) -> "ExperimentData":
        """Give one row a picture and dataset of a split, an outlined one if there is, so that copies count once."""
        part = self.part(split)
        outlined_first = (part.index["outline"] < 0).sort_values(kind="stable").index
        repeated = part.index.loc[outlined_first].duplicated(["picture", "dataset"])
        return part.chosen(~repeated.sort_index().to_numpy())

    def tested(self) -> "ExperimentData":
        """Give the test as it is measured: distinct pictures, or every copy where the split is ``as_published``."""
        return self.part("test") if self.as_published else self.distinct("test")

    def to_choose_on(self) -> "ExperimentData":
        """Give the distinct rows of the validation groups and of the hospitals that are held out to choose on."""
        return self.distinct("validation").with_more(self.distinct(HOSPITAL_VALIDATION))

    def without_kinds(self) -> "ExperimentData":
        """Label every tumor as one of unknown kind, for a network that is taught only tumor or not."""
        return replace(
            self, index=self.index.assign(label=self.index["label"].where(self.index["label"] == NO_TUMOR, ANY_TUMOR))
        )

    @property
    def outline_weights(self) -> NDArray[np.float32]:
        """How much each picture's outline counts, (n,) from 0 to 1: less than 1 where it was drawn on another sequence.

        That there is no tumor counts in full whatever the sequence.
        """
        sequences = self.index["sequence"] if "sequence" in self.index else pd.Series("", index=self.index.index)
        rows = zip(self.index["dataset"], sequences, self.index["label"], strict=True)
        weights = [
            1.0 if label == NO_TUMOR else known_or_any(dataset).outline_weights.get(sequence, 1.0)
            for dataset, sequence, label in rows
        ]
        return np.array(weights, dtype=np.float32)

    def outline(self, row: int) -> NDArray[np.uint8] | None:
        """Give a picture's outline, uint8 (size, size): empty where there is no tumor, None where none was drawn."""
        number = int(self.index["outline"].iloc[row])
        if number >= 0:
            return np.asarray(self.outlines[number])
        is_clear = self.index["label"].iloc[row] == NO_TUMOR
        return np.zeros_like(self.pictures[row]) if is_clear else None


def labelled_index(root: Path, modality: str = MR) -> pd.DataFrame:
    """List and group the labeled pictures of a modality under a folder.

    Pictures without a label, unreadable ones, those whose copies carry contradicting labels and those of an institution
    that are copies of pictures elsewhere are left out. Raises ``DatasetError`` when none is left.
    """
    index = build_index(root)
    index = index[index["modality"] == modality].reset_index(drop=True)
    if index.empty:
        raise DatasetError(f"{root} holds no pictures of modality {modality}; see docs/model-bundles.md.")
    marks, failed = signatures(root, list(index["path"]))
    pairs, copied = _within_hospitals(index, near_duplicates(marks))
    index = assign_groups(index, pairs)
    disputed = label_conflicts(index)
    usable = (index["label"] != "") & ~index["picture"].isin(list(disputed)) & ~index["path"].isin(list(failed))
    usable &= ~copied
    if not usable.any():
        raise DatasetError(f"{root} holds no labeled pictures; put them in folders named after their class.")
    return index[usable].reset_index(drop=True)


def _within_hospitals(index: pd.DataFrame, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], "pd.Series[bool]"]:
    """Leave out pairs across institutions, and mark the pictures in them that name one: (pairs, rows).

    What links a hospital to another would leak when one of the two is held out.
    """
    home = at_home(index).to_numpy()
    place = index["hospital"].mask(home, "").to_numpy()
    across = place[pairs[:, 0]] != place[pairs[:, 1]]
    linked = np.unique(pairs[across])
    copied = pd.Series(False, index=index.index)
    copied.iloc[linked[~home[linked]]] = True
    return pairs[~across], copied


def split_index(
    index: pd.DataFrame,
    *,
    folds: int,
    fold: int,
    seed: int,
    hospitals: Hospitals | None = None,
    roles: Roles | None = None,
) -> pd.DataFrame:
    """Give the rows that have a part, with the column ``split``.

    Rows that name no institution are split by folds, whatever other rows there are (see ``assign_splits``); the others
    are for training. ``roles`` say which datasets train, and which are the test instead of a fold. Then whole
    hospitals are held out (see ``hold_out``). Raises ``DatasetError`` when the data is too small or a hospital or
    dataset is unknown.
    """
    roles = roles or Roles()
    try:
        index = roles.chosen(index)
        if roles.by_folds:
            home = at_home(index)
            splits = pd.Series("train", index=index.index, dtype=object)
            if home.any():
                splits[home] = assign_splits(index[home], folds=folds, fold=fold, seed=seed)
        else:
            splits = roles.assign(index, seed)
        split = index.assign(split=hold_out(index, splits, hospitals or Hospitals()))
    except ValueError as error:
        raise DatasetError(f"The data cannot be split: {error}.") from error
    return split[split["split"] != ""].reset_index(drop=True)


def split_again(index: pd.DataFrame, told: Mapping[str, Any], hospitals: Hospitals | None = None) -> pd.DataFrame:
    """Split an index as a bundle's card tells of its training, except the hospitals held out; see ``split_index``."""
    folds, fold, seed = (int(told[key]) for key in ("folds", "fold", "seed"))
    return split_index(index, folds=folds, fold=fold, seed=seed, hospitals=hospitals, roles=Roles.of(told))


def prepare_pictures(root: Path, index: pd.DataFrame, size: int, cache: Path | None = None) -> ExperimentData:
    """Prepare the pictures and outlines of an index, or take them from ``cache`` if the same ones lie there.

    Split another way, they are still the same pictures. Raises ``DatasetError`` when one cannot be prepared.
    """
    kept = None
    if cache is not None:
        listed = index[["path", "picture", "mask"]].to_csv(index=False)
        kept = cache / f"{PREPROCESSING}-restored-{size}-{_digest(str(root.resolve()) + listed)[:16]}"
    drawn = (index["mask"] != "").to_numpy()
    numbers = np.where(drawn, np.cumsum(drawn) - 1, -1)
    pictures = _kept(kept, "pictures", lambda: load_pictures(root, list(index["path"]), size))
    masked = index[drawn]
    outlines = _kept(kept, "outlines", lambda: load_outlines(root, list(masked["path"]), list(masked["mask"]), size))
    return ExperimentData(pictures, outlines, index.assign(outline=numbers))


def _kept(
    cache: Path | None, what: str, load: Callable[[], tuple[NDArray[np.uint8], dict[str, str]]]
) -> NDArray[np.uint8]:
    path = cache.with_name(f"{cache.name}-{what}.npy") if cache else None
    if path is not None and path.is_file():
        return np.asarray(np.load(path), dtype=np.uint8)
    values, failed = load()
    if failed:
        name, reason = next(iter(failed.items()))
        raise DatasetError(f"{name} cannot be prepared ({reason}); take it out of the folder.")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}")
        np.save(draft, values)
        draft.replace(path)
    return values


def index_digest(index: pd.DataFrame) -> str:
    """Identify a grouped and split index, whatever the order of its rows: a SHA-256 in hexadecimal digits.

    That of ``index[at_home(index)]`` is the same whatever institutions were there besides.
    """
    return _digest(index[_IDENTIFYING].sort_values("path").to_csv(index=False))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
