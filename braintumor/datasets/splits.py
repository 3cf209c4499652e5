"""Splits that keep every group on one side."""

from dataclasses import dataclass

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

HOSPITAL_VALIDATION, HOSPITAL_TEST = "hospital_validation", "hospital_test"
"""Splits of hospitals that are held out whole: those that choices are made on, and those that nobody looked at."""


@dataclass(frozen=True)
class Hospitals:
    """Which hospitals of an index are held out of training: to choose on, and to measure once all is chosen."""

    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


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


def _part(index: pd.DataFrame, parts: int, part: int, seed: int) -> pd.Index:
    strata = index["dataset"] + "/" + index["label"]
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    positions = list(folds.split(index, strata, index["group"]))[part][1]
    return index.index[positions]
