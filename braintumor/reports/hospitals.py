"""How a model answers at hospitals that were held out, by hospital and sequence, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from braintumor.decision import ReferralRule
from braintumor.evaluation import GroupBootstrap, figures, mean_by_groups
from braintumor.evaluation.metrics import PROBABILITIES
from braintumor.reports.numbers import in_words, spread
from braintumor.taxonomy import NO_TUMOR

HELD_OUT: Mapping[str, str] = {
    "hospital_test": "Only measured: no choice was made on these",
    "hospital_validation": "Chosen on, never trained on",
}
"""Splits of hospitals that were held out, with what is said of them, the more telling first."""

SEQUENCES = {"post": "T1 after contrast", "flair": "FLAIR", "pre": "T1 before contrast", "": "all"}
"""Sequences by the names that indexes use."""

_SLICE_TITLES = (
    *("Hospital", "Sequence", "Patients", "Slices, of these with a tumor", "ROC AUC", "Tumor-free called a tumor"),
    *("Tumors answered with no tumor", "Answered", "Refused as no brain MRI"),
)
_STACK_TITLES = ("Hospital", "Sequence", "Stacks", "Called", "Cleared", "Referred", "Key slice in the tumor")


def hospital_slices(card: Mapping[str, Any], predictions: pd.DataFrame, split: str) -> list[list[str]]:
    """Say how single slices of a split are answered, a row a hospital and sequence, the hospital as a whole first."""
    rows = predictions[predictions["split"] == split]
    threshold = float(card["operating_point"]["threshold"])
    rule = ReferralRule(**card["operating_point"]["referral"])
    table = []
    for hospital, own in rows.groupby("hospital"):
        parts = {"": own, **{str(name): part for name, part in own.groupby("sequence")}}
        for name in sorted(parts, key=lambda name: list(SEQUENCES).index(name) if name else -1):
            table.append(
                [str(hospital), SEQUENCES[name], *_slices(parts[name].reset_index(drop=True), threshold, rule)]
            )
    return table


def _slices(rows: pd.DataFrame, threshold: float, rule: ReferralRule) -> list[str]:
    p_tumor, truth = 1 - rows[f"p_{NO_TUMOR}"].to_numpy(np.float64), (rows["label"] != NO_TUMOR).to_numpy()
    referred = rows["referred"].astype(bool).to_numpy()
    area = figures(
        rows[["split", "dataset", "group", "label", "in_training", "referred", *PROBABILITIES]], threshold=0.5
    )
    called = (p_tumor >= threshold) & ~referred
    cleared = (p_tumor < min(rule.tumor_low, threshold)) & ~referred
    refused = rule.atypical(rows["distance"].to_numpy(np.float64))
    groups = rows["group"].to_numpy(str)

    def share(values: np.ndarray[Any, Any], among: np.ndarray[Any, Any]) -> str:
        if not among.any():
            return "–"
        found = mean_by_groups(values[among].astype(np.float64), GroupBootstrap(list(groups[among])))
        return in_words(*spread(found))

    every = np.ones(len(rows), dtype=bool)
    return [
        str(rows["group"].nunique()),
        f"{len(rows):,}, {int(truth.sum()):,}",
        in_words(*spread(area["detection"]["roc_auc"]), is_share=False),
        share(called, ~truth),
        share(cleared, truth),
        share(~referred, every),
        share(refused, every),
    ]


def hospital_stacks(card: Mapping[str, Any], split: str) -> list[list[str]]:
    """Say how whole stacks of a split are answered: a row a hospital and sequence, with a tumor and without."""
    table = []
    for hospital, found in (card.get("stacks") or {}).get(split, {}).items():
        for name, counts in found["sequences"].items():
            for key, title in (("with_tumor", "with a tumor"), ("without", "without")):
                one = counts[key]
                if one["stacks"]:
                    seen = str(counts["key_in_tumor"]) if key == "with_tumor" else "–"
                    told = [str(one[answer]) for answer in ("tumor", "no_tumor", "refer")]
                    table.append([hospital, SEQUENCES.get(name, name), f"{one['stacks']} {title}", *told, seen])
    return table


def hospital_sentence(found: Mapping[str, Any]) -> str:
    """Say what a bundle reaches where it learned nothing from, given the figures of such a split, as Markdown."""
    area = in_words(*spread(found["detection"]["roc_auc"]), is_share=False)
    answered, right = (in_words(*spread(found["answered"][name])) for name in ("share", "accuracy"))
    return (
        "**Elsewhere**: at a [hospital that was held out](docs/hospitals.md), tumor or not has a ROC AUC of "
        f"{area} slice by slice; {answered} is answered, and of that {right} is right. What follows is at home."
    )


def hospitals_markdown(card: Mapping[str, Any], predictions: pd.DataFrame) -> str:
    """Put all hospitals that a bundle held out in tables; a sentence where it held out none."""
    lines = [f"`{card['name']}` {card['version']}."]
    for split, said in HELD_OUT.items():
        slices = hospital_slices(card, predictions, split) if "hospital" in predictions else []
        stacks = hospital_stacks(card, split)
        if slices or stacks:
            lines += ["", f"**{said}.**"]
        if slices:
            lines += ["", "Slice by slice:", "", *_table(_SLICE_TITLES, slices)]
        if stacks:
            lines += ["", "Whole stacks, and their tumor-free parts as stacks without a tumor:", ""]
            lines += _table(_STACK_TITLES, stacks)
    return "\n".join(lines) if len(lines) > 1 else f"{lines[0]} It was measured on no hospital that was held out."


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows)]
