"""Splits that keep every group on one side."""

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold


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


def _part(index: pd.DataFrame, parts: int, part: int, seed: int) -> pd.Index:
    strata = index["dataset"] + "/" + index["label"]
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    positions = list(folds.split(index, strata, index["group"]))[part][1]
    return index.index[positions]
