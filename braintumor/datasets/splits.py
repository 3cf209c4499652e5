"""Splits that keep every group on one side, and those of others that do not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HOSPITAL_VALIDATION, HOSPITAL_TEST = "hospital_validation", "hospital_test"
"""Splits of hospitals that are held out whole: those that choices are made on, and those that nobody looked at."""


@dataclass(frozen=True)
class Hospitals:
    """Which hospitals of an index are held out of training: to choose on, and to measure once all is chosen."""

    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


_VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Roles:
    """Which datasets train and which are only tested on; where none is named, all train and one fold is the test.

    ``as_published`` splits as others have it, whose figures are inflated: copies of test pictures stay in training.
    Without a dataset to test on, the test parts that the authors of the training datasets published are the test.
    """

    train_on: tuple[str, ...] = ()
    test_on: tuple[str, ...] = ()
    as_published: bool = False

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Roles":
        """Give the roles that a card's split tells; what it does not name is as above."""
        return cls(tuple(told.get("train_on", ())), tuple(told.get("test_on", ())), bool(told.get("as_published")))

    @property
    def by_folds(self) -> bool:
        """Whether the test is a fold, so that each fold gives another one."""
        return not (self.test_on or self.as_published)

    @property
    def name(self) -> str:
        """Name of the split, for files and tables; empty for folds of all datasets."""
        words = [*self.train_on, *(("to", *self.test_on) if self.test_on else ())]
        return "-".join([*words, *(("published",) if self.as_published else ())])

    def chosen(self, index: pd.DataFrame) -> pd.DataFrame:
        """Give the rows of the datasets that have a part; raises ``ValueError`` for a dataset that the index lacks."""
        named, there = {*self.train_on, *self.test_on}, set(index["dataset"])
        if named - there:
            raise ValueError(f"there is no dataset {min(named - there)!r}; there are {', '.join(sorted(there))}")
        if set(self.train_on) & set(self.test_on):
            raise ValueError("a dataset is named both to train on and to test on")
        return index[index["dataset"].isin(named)].reset_index(drop=True) if self.train_on else index

    def assign(self, index: pd.DataFrame, seed: int = 0) -> "pd.Series[str]":
        """Split rows where whole datasets are the test; one without a part gets "".

        A tenth of what is trained on is for validation: whole groups, or single pictures where ``as_published``. A
        picture that shares a group with a test picture is not trained on, unless ``as_published``. Raises
        ``ValueError`` where nothing is left to train on or to test on.
        """
        if self.test_on:
            test = index["dataset"].isin(self.test_on)
            train = ~test
        else:
            test, train = published_test(index), index["published_split"] == "train"
        if not self.as_published:
            train &= ~index["group"].isin(index.loc[test, "group"])
        for rows, purpose in ((train, "train"), (test, "test")):
            if not rows.any():
                raise ValueError(f"it has no pictures to {purpose} on")
        splits = pd.Series("", index=index.index, dtype=object).mask(train, "train").mask(test, "test")
        units = index["path" if self.as_published else "group"]
        names = units[train].unique()
        drawn = np.random.default_rng(seed).permutation(names)[: max(1, round(_VALIDATION_SHARE * len(names)))]
        return splits.mask(train & units.isin(drawn), "validation")


def published_test(index: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the test part as its authors published it, (n,) bool, of datasets whose test part has several labels."""
    test = index["published_split"] == "test"
    labels = index["label"].where(test).groupby(index["dataset"]).transform("nunique")
    return test & (labels > 1)


def assign_splits(index: pd.DataFrame, *, folds: int = 5, fold: int = 0, seed: int = 0) -> pd.Series:
    """Give each row ``train``, ``validation`` or ``test``, no ``group`` being in two of them.

    One of ``folds`` parts is the test set and one of ``2 × folds - 2`` parts of the rest the validation set; both are
    stratified by dataset and label (scikit-learn's ``StratifiedGroupKFold``). The same seed gives the same split.
    Raises ``ValueError`` when ``fold`` is not below ``folds`` or there are fewer than two groups a fold.
    """
    if not 0 <= fold < folds:
        raise ValueError(f"fold is {fold}; it must be from 0 to {folds - 1}")
    if index["group"].nunique() < 2 * folds:
        raise ValueError(f"the data has {index['group'].nunique()} groups, too few for {folds} folds")
    splits = pd.Series("train", index=index.index, dtype=object)
    held_out = _part(index, folds, fold, seed)
    splits.loc[held_out] = "test"
    rest = index.drop(index=held_out)
    splits.loc[_part(rest, 2 * folds - 2, 0, seed)] = "validation"
    return splits


def hold_out(index: pd.DataFrame, splits: pd.Series, hospitals: Hospitals) -> pd.Series:
    """Take whole hospitals (column ``hospital``) out of the splits that folds gave.

    Their rows are ``HOSPITAL_VALIDATION`` or ``HOSPITAL_TEST``; a row of another hospital that shares a ``group`` with
    them is in no split (""). Raises ``ValueError`` for a hospital that the index lacks or that is named twice.
    """
    named = (*hospitals.validation, *hospitals.test)
    missing = sorted(set(named) - set(index["hospital"]))
    if missing:
        raise ValueError(f"there is no hospital {missing[0]!r}; there are {', '.join(sorted(set(index['hospital'])))}")
    if len(set(named)) < len(named):
        raise ValueError("a hospital is named twice; it can be held out for one thing only")
    held = index["hospital"].isin(named)
    shared = index["group"].isin(index.loc[held, "group"]) & ~held
    found = splits.mask(shared, "")
    found = found.mask(index["hospital"].isin(hospitals.validation), HOSPITAL_VALIDATION)
    return found.mask(index["hospital"].isin(hospitals.test), HOSPITAL_TEST)


def _part(index: pd.DataFrame, parts: int, part: int, seed: int) -> "pd.Index[int]":
    strata = index["dataset"] + "/" + index["label"]
    # Takes a second to load, and most who ask for a dataset's name split nothing.
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    positions: NDArray[np.int64] = list(folds.split(index, strata, index["group"]))[part][1]
    return index.index[positions]
