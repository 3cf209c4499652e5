"""Tables that pages draw of the comparison of networks."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from braintumor.dashboard.comparison.files import Comparison, epochs_said
from braintumor.evaluation import GroupBootstrap, exact_at_ends, mean_by_groups
from braintumor.evaluation.comparison import known_answers
from braintumor.evaluation.comparison_schema import LEAK_FREE
from braintumor.evaluation.paired import accuracy_difference
from braintumor.reports import guarded, spread

CLEAN, LEAKING = "clean", "leaking"
"""Accuracies of ``same_pictures``: without copies of a picture in training, and with them."""


def interval_table(comparison: Comparison, figure: str) -> pd.DataFrame:
    """Lay a figure of every trained network under each other on each split ``shown``, the best leak-free one first.

    Columns: network, title (see ``Comparison.label``), split (its title), value, low, high; NaN where undefined.
    """
    sign = 1 if comparison.figures[figure].less_is_better else -1
    best = {name: sign * comparison.spread(name, LEAK_FREE, figure)[0] for name in comparison.trained}
    # What has no leak-free figure comes last.
    order = sorted(best, key=lambda name: best[name] if math.isfinite(best[name]) else math.inf)
    rows = [
        (name, comparison.label(name), title, *comparison.spread(name, split, figure))
        for name in order
        for split, title in comparison.shown.items()
    ]
    return pd.DataFrame(rows, columns=["network", "title", "split", "value", "low", "high"])


def overview(comparison: Comparison) -> pd.DataFrame:
    """Put all that is known of each trained network in one row, for a table that sorts and for CSV.

    Columns: network, title; each of ``Comparison.figures`` leak-free with its _low and _high; published_accuracy
    (inflated); difference (of accuracy to the default) with _low and _high, p (McNemar); parameters, flops,
    bytes_on_disk, latency_ms, minutes (mean of the leak-free folds), images (training pictures, mean of them), epochs,
    folds, initial_weights, device, reported, source. Texts are ``guarded``.
    """
    return pd.DataFrame([_overview_row(comparison, name) for name in comparison.trained])


def same_pictures(comparison: Comparison, clean: str | None, leaking: str | None) -> pd.DataFrame:
    """Give the accuracy of each network on pictures that two splits test, without and with copies in training.

    Columns: network, title, images, groups, and for clean, leaking and gap (leaking - clean): value, _low and _high,
    with 95 % intervals over groups, both answers of a picture drawn together. Networks without such pictures are left
    out. Only ``known_answers`` count.
    """
    rows = []
    for name, row in comparison.trained.items():
        if clean not in row.figures or leaking not in row.figures:
            continue
        alone, copied = comparison.rows(name, clean), comparison.rows(name, leaking)
        if alone is None or copied is None:
            continue
        seen = known_answers(copied)[["row", "right"]]
        both = known_answers(alone).merge(seen, on="row", suffixes=("", "_leaking"))
        if len(both):
            rows.append({"network": name, "title": comparison.title(name), **_paired(both)})
    return pd.DataFrame(rows)


def paired_intervals(same: pd.DataFrame) -> pd.DataFrame:
    """Lay both accuracies of ``same_pictures`` under each other: title, split (in words), value, low and high."""
    said = {CLEAN: "No copy in training", LEAKING: "Copies in training (inflated)"}
    parts = [
        same[["title", key, f"{key}_low", f"{key}_high"]]
        .set_axis(["title", "value", "low", "high"], axis=1)
        .assign(split=split)
        for key, split in said.items()
    ]
    return pd.concat(parts).sort_index(kind="stable")


def _paired(both: pd.DataFrame) -> dict[str, float | int]:
    groups = both["group"].astype(str).to_list()
    bootstrap = GroupBootstrap(groups)
    right = {CLEAN: both["right"].to_numpy(dtype=bool), LEAKING: both["right_leaking"].to_numpy(dtype=bool)}
    found: dict[str, float | int] = {"images": len(both), "groups": bootstrap.count}
    for split, values in right.items():
        share = exact_at_ends(mean_by_groups(values.astype(np.float64), bootstrap), bootstrap.count)
        found |= _columns(split, spread(share))
    return found | _columns("gap", spread(accuracy_difference(right[LEAKING], right[CLEAN], groups)))


def _columns(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _overview_row(comparison: Comparison, name: str) -> dict[str, float | int | str]:
    row, runs = comparison.report.networks[name], comparison.runs(name, LEAK_FREE)
    against = row.against_default
    found: dict[str, float | int | str] = {"network": guarded(name), "title": guarded(comparison.title(name))}
    for key in comparison.figures:
        found |= _columns(key, comparison.spread(name, LEAK_FREE, key))
    found["published_accuracy"] = comparison.spread(name, comparison.report.published, "accuracy")[0]
    found |= _columns("difference", spread(against.accuracy_difference if against else {}))
    found["p"] = against.mcnemar.p if against else math.nan
    for key in ("parameters", "flops", "bytes_on_disk", "latency_ms"):
        known = getattr(row, key)
        found[key] = math.nan if known is None else known
    found["minutes"] = _mean([run.seconds / 60 for run in runs])
    found["images"] = _mean([run.images for run in runs])
    found["epochs"] = epochs_said(runs)
    found["folds"] = len(row.folds)
    texts = ("initial_weights", "device", "reported", "source")
    return found | {key: guarded(getattr(row, key) or "") for key in texts}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
