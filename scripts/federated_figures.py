"""The comparison of federated training in words, for docs/federated.md."""

from collections.abc import Mapping
from typing import Any

from braintumor.federated.records import ALONE, CENTRALLY, FEDERATED, Comparison, Trained
from braintumor.reports import in_words

_POINTS = 100


def federated_block(report: Mapping[str, Any]) -> str:
    """Lay out every training of a comparison with its figures, and say how far its goals are reached, as Markdown."""
    found = Comparison.model_validate(report, strict=False)
    rows = [
        [
            one.name,
            f"{len(one.sites)}",
            f"{len(one.rounds)}",
            _words(one, "accuracy", True),
            _words(one, "balanced", True),
            _words(one, "auc", False),
            _words(one, "hospital_auc", False),
            "–" if one.rounds[-1].epsilon is None else f"{one.rounds[-1].epsilon:.3g}",
        ]
        for one in found.trained
    ]
    head = ["Training", "Sites", "Rounds", "Accuracy", "Mean recall", "ROC AUC", f"ROC AUC at {found.hospital}", "ε"]
    first = found.trained[0]
    told = (
        f"{first.images:,} distinct pictures of the leak-free test, and {first.hospital_images:,} slices of "
        f"{found.hospital}, which took no part; 95% intervals from drawing whole groups. `{found.command}`"
    )
    return "\n".join([told, "", *_table(head, rows), "", *_goals(found)])


def _goals(found: Comparison) -> list[str]:
    by_name = {one.name: one for one in found.trained}
    central, even, natural = (by_name.get(name) for name in ("central", "even", "natural"))
    alone = [one for one in found.trained if one.kind == ALONE and one.hospital_auc.value is not None]
    said = []
    for one, most in ((even, 2), (natural, 5)):
        if one and central and one.accuracy.value is not None and central.accuracy.value is not None:
            gap = _POINTS * (central.accuracy.value - one.accuracy.value)
            verdict = "reached" if gap <= most else "**not reached**"
            said.append(f"- {one.name}: {gap:.1f} points below {CENTRALLY}; the goal is {most}: {verdict}.")
    if natural and alone and natural.hospital_auc.value is not None:
        best = max(alone, key=lambda one: one.hospital_auc.value or 0)
        gap = natural.hospital_auc.value - (best.hospital_auc.value or 0)
        verdict = "reached" if gap > 0 else "**not reached**"
        said.append(f"- natural at {found.hospital}: {gap:+.3f} AUC against {best.name}, the best: {verdict}.")
    for one in found.trained:
        if one.kind == FEDERATED and one.poisoned and even and one.accuracy.value is not None:
            gap = _POINTS * ((even.accuracy.value or 0) - one.accuracy.value)
            verdict = "within" if gap <= 3 else "not within"
            said.append(f"- {one.name}: {gap:.1f} points below even sites without poison, {verdict} 3.")
    return said


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _words(one: Trained, figure: str, is_share: bool) -> str:
    value, low, high = getattr(one, figure).floats
    return in_words(value, low, high, is_share)
