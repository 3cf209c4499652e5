"""What a collection of pictures really holds: distinct pictures, leakage between splits, contradicting labels."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from braintumor.taxonomy import members


def audit(index: pd.DataFrame) -> dict[str, Any]:
    """Count what leaks in a grouped index (columns ``picture`` and ``group`` from ``assign_groups``).

    Gives images, distinct pictures, the share of images with a near-duplicate, per dataset the share of published
    test images with a near-duplicate in the published training part, pictures shared between datasets and between
    their published parts, how many pictures have how many copies and groups how many images, and pictures whose copies
    carry labels that cannot both be true.
    """
    conflicts = label_conflicts(index)
    return {
        "images": len(index),
        "distinct_pictures": int(index["picture"].nunique()),
        "groups": int(index["group"].nunique()),
        "share_with_near_duplicate": _share(index["picture"].duplicated(keep=False)),
        "datasets": {str(name): _audit_dataset(rows) for name, rows in index.groupby("dataset")},
        "shared_between_datasets": _overlap(index),
        "shared_between_parts": _parts(index),
        "copies_of_a_picture": _sizes(index["picture"]),
        "images_of_a_group": _sizes(index["group"]),
        "label_conflicts": {"pictures": len(conflicts), "paths": conflicts},
    }


def label_conflicts(index: pd.DataFrame) -> dict[Hashable, list[str]]:
    """Find pictures whose copies carry labels that cannot both be true: {picture: [path and label of each copy]}."""
    labeled = index[index["label"] != ""]
    conflicts: dict[Hashable, list[str]] = {}
    for picture, rows in labeled.groupby("picture"):
        allowed = [members(label) for label in rows["label"].unique()]
        if len(allowed) > 1 and not any(all(column) for column in zip(*allowed, strict=True)):
            conflicts[picture] = [f"{path}: {label}" for path, label in zip(rows["path"], rows["label"], strict=True)]
    return conflicts


def agreement_with(index: pd.DataFrame, pairs: NDArray[np.int64], given: pd.Series) -> dict[str, Any]:
    """Compare near-duplicates found with groups given by someone else.

    ``pairs`` are row numbers of ``index`` from ``near_duplicates``; ``given`` holds one group name a row. Precision is
    the share of found pairs that the given groups keep together. Recall is the share of given pairs that end as
    one picture, over given groups without figshare slices: those also join slices that are no duplicates.
    """
    names = given.to_numpy()
    together = names[pairs[:, 0]] == names[pairs[:, 1]]
    plain = ~given.isin(given[index["dataset"] == "cheng"])
    given_pairs = _pairs(given[plain].groupby(given[plain]).size())
    shared = _pairs(index[plain].groupby([index.loc[plain, "picture"], given[plain]]).size())
    return {
        "pairs_found": len(pairs),
        "precision": float(together.mean()) if len(pairs) else None,
        "pairs_given": given_pairs,
        "recall": shared / given_pairs if given_pairs else None,
    }


def write_audit(report: dict[str, Any], index: pd.DataFrame, folder: Path) -> None:
    """Write ``audit.json`` and the grouped ``index.csv`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    index.to_csv(folder / "index.csv", index=False)


def _audit_dataset(rows: pd.DataFrame) -> dict[str, Any]:
    train = set(rows.loc[rows["published_split"] == "train", "picture"])
    test = rows.loc[rows["published_split"] == "test", "picture"]
    return {
        "images": len(rows),
        "distinct_pictures": int(rows["picture"].nunique()),
        "share_with_near_duplicate": _share(rows["picture"].duplicated(keep=False)),
        "published_test_images": len(test),
        "published_test_share_in_train": _share(test.isin(train)) if len(test) and train else None,
    }


def _overlap(index: pd.DataFrame) -> list[dict[str, Any]]:
    names = sorted(index["dataset"].unique())
    held = {name: set(index.loc[index["dataset"] == name, "picture"]) for name in names}
    rows = []
    for name in names:
        own = index.loc[index["dataset"] == name, "picture"]
        for other in names:
            if other != name and (share := _share(own.isin(held[other]))):
                rows.append({"dataset": name, "contained_in": other, "share_of_images": share})
    return rows


def _parts(index: pd.DataFrame) -> list[dict[str, Any]]:
    """For each published part of each dataset, the share of its images that have a copy in each part, in order.

    In its own part an image needs another copy besides itself.
    """
    # A picture of no published split is in the part "" of its dataset.
    parts = list(index.groupby(["dataset", "published_split"])["picture"])
    held = [set(pictures) for _, pictures in parts]
    return [
        {
            "dataset": str(dataset),
            "published_split": str(split),
            "images": len(own),
            "distinct_pictures": int(own.nunique()),
            "shares_with_copy_in": [
                _share(own.duplicated(keep=False) if other == number else own.isin(pictures))
                for other, pictures in enumerate(held)
            ],
        }
        for number, ((dataset, split), own) in enumerate(parts)
    ]


def _sizes(names: pd.Series) -> dict[str, int]:
    """Count how many names occur how often: {times: names}."""
    counts = names.value_counts().value_counts().sort_index()
    return {str(size): int(number) for size, number in counts.items()}


def _pairs(sizes: pd.Series) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _share(hits: pd.Series) -> float:
    return round(float(hits.mean()), 4) if len(hits) else 0.0
