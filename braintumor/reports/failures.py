"""How a model fails, told from its tables: classes mixed up, tumors missed, outlines drawn by mistake."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from braintumor.decision import ReferralRule
from braintumor.evaluation import segmentation_figures
from braintumor.evaluation.samples import PROBABILITIES, right_answers
from braintumor.taxonomy import CLASSES, NO_TUMOR

REASONS: Mapping[str, str] = {
    "tumor_uncertain": "Tumor or not is unsure",
    "kind_uncertain": "The kind of tumor is unsure",
    "atypical": "Unlike the training scans, nothing else",
}
"""Why a scan is referred, by the names of ``ReferralRule.reasons``."""

_SIZES = 4


def answers(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to predictions what was answered (likeliest class), stated (its probability, 0 to 1) and wrong.

    ``wrong`` is 0 or 1, NaN where the class is unknown (see ``right_answers``). ``referred`` is made bool.
    """
    chances = rows[list(PROBABILITIES)].to_numpy(dtype=np.float64)
    return rows.assign(
        answered=np.array(CLASSES)[chances.argmax(axis=1)],
        stated=chances.max(axis=1),
        wrong=1 - right_answers(rows),
        referred=rows["referred"].astype(bool) if "referred" in rows else False,
    )


def referral_reasons(card: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame | None:
    """Tabulate why the rows of a split were referred: index the reason in words, columns images, share, wrong.

    ``share`` is of all rows, ``wrong`` of the withheld answers that are known to be right or not (NaN for none); both
    in [0, 1]. A model that tells no kinds is never unsure of one. None where the card does not hold its rule.
    """
    try:
        rule = ReferralRule(**card["operating_point"]["referral"])
    except (KeyError, TypeError, ValueError):
        return None
    told = answers(rows)
    names = [name for name in REASONS if name != "kind_uncertain" or card.get("kinds", True)]
    # Distances are not among the predictions, so what no other reason explains was referred for its distance.
    reasons = rule.reasons(rows[list(PROBABILITIES)].to_numpy(dtype=np.float64))
    first = np.select([reasons[name] for name in names[:-1]], names[:-1], "atypical")
    table = told[told["referred"]].groupby(first[told["referred"]])["wrong"].agg(["size", "mean"]).reindex(names)
    return pd.DataFrame(
        {
            "images": table["size"].fillna(0).astype(int).to_numpy(),
            "share": table["size"].fillna(0).to_numpy() / max(1, len(rows)),
            "wrong": table["mean"].to_numpy(),
        },
        index=[REASONS[name] for name in names],
    )


def confusions(rows: pd.DataFrame) -> pd.DataFrame:
    """Tabulate which class is taken for which, the most frequent first.

    ``rows`` is what ``answers`` gave. Columns: label, answered, images, share (of the class), stated (median
    probability of the wrong answer), referred (share that is withheld), sources ({dataset: images}, most first).
    """
    counts = rows["label"].value_counts()
    found = [
        {
            "label": label,
            "answered": answered,
            "images": len(some),
            "share": len(some) / counts[label],
            "stated": some["stated"].median(),
            "referred": some["referred"].mean(),
            "sources": {str(name): int(count) for name, count in some["dataset"].value_counts().items()},
        }
        for (label, answered), some in rows[rows["wrong"] == 1].groupby(["label", "answered"])
    ]
    columns = ["label", "answered", "images", "share", "stated", "referred", "sources"]
    return pd.DataFrame(found, columns=columns).sort_values("images", ascending=False, ignore_index=True)


def sure_errors(rows: pd.DataFrame, stated: float) -> pd.DataFrame:
    """Give the wrong answers that were not referred and stated at least so sure, the surest first."""
    chosen = rows[(rows["wrong"] == 1) & ~rows["referred"] & (rows["stated"] >= stated)]
    return chosen.sort_values("stated", ascending=False)


def missed_and_false(rows: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Tabulate by dataset the tumors below the operating point and the tumor-free scans at or above it.

    Columns: dataset, tumors, missed, missed_answered (of those, not referred), tumor_free, called, called_answered.
    """
    is_tumor = rows["label"] != NO_TUMOR
    called = 1 - rows[f"p_{NO_TUMOR}"] >= threshold
    missed, false = is_tumor & ~called, ~is_tumor & called
    flags = {
        "tumors": is_tumor,
        "missed": missed,
        "missed_answered": missed & ~rows["referred"],
        "tumor_free": ~is_tumor,
        "called": false,
        "called_answered": false & ~rows["referred"],
    }
    return pd.DataFrame(flags).groupby(rows["dataset"]).sum().reset_index()


def groups_of_half(rows: pd.DataFrame) -> int:
    """Count the fewest groups that hold half of the wrong answers; 0 where none is wrong."""
    wrong = rows[rows["wrong"] == 1]["group"].value_counts()
    return int((wrong.cumsum() < len(rows[rows["wrong"] == 1]) / 2).sum() + 1) if len(wrong) else 0


def outlines_by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Part outlined pictures into four parts of equal number by the size of their tumor.

    ``rows`` is one split of the table of outlines. Columns: smallest and largest (share of the picture), images,
    groups, dice_median, nothing (share without any outline), missed (share of the lesions not found); smallest first.
    """
    ordered = rows.sort_values("tumor_share", kind="stable")
    parts = [part for part in np.array_split(np.arange(len(ordered)), min(_SIZES, len(ordered))) if len(part)]
    found = []
    for some in (ordered.iloc[part] for part in parts):
        lesions = int(some["lesions"].sum())
        found.append(
            {
                "smallest": some["tumor_share"].min(),
                "largest": some["tumor_share"].max(),
                "images": len(some),
                "groups": some["group"].nunique(),
                "dice_median": some["dice"].median(),
                "nothing": (some["found_share"] == 0).mean(),
                "missed": 1 - some["lesions_found"].sum() / lesions if lesions else float("nan"),
            }
        )
    return pd.DataFrame(found)


def outlines_by_class(rows: pd.DataFrame) -> list[tuple[str, str, dict[str, Any], float]]:
    """Give (dataset, label, figures as of ``segmentation_figures``, share with a false region) by dataset and label."""
    false = (rows["lesions_false"] > 0).groupby([rows["dataset"], rows["label"]]).mean()
    return [
        (dataset, label, figures, float(false[dataset, label]))
        for dataset, found in segmentation_figures(rows)["datasets"].items()
        for label, figures in found["labels"].items()
    ]
