"""How a model answers at hospitals that were held out, by hospital and sequence, as Markdown."""

from collections.abc import Mapping

from braintumor.bundles import Card
from braintumor.bundles.figures import HospitalFigures, SequenceStacks
from braintumor.model_cards.markdown import SEQUENCES, render

HELD_OUT: Mapping[str, str] = {
    "hospital_test": "Only measured: no choice was made on these",
    "hospital_validation": "Chosen on, never trained on",
}
"""Splits of hospitals that were held out, with what is said of them, the more telling first."""


def hospitals_markdown(card: Card) -> str:
    """Put all hospitals that a bundle held out in tables; a sentence where it held out none."""
    parts = []
    for split, said in HELD_OUT.items():
        report = card.metrics.split(split)
        slices = _slices({} if report is None else report.hospitals or {})
        placed = {} if report is None else report.hospital_parts or {}
        parts_of = [(hospital, part, one) for hospital, own in placed.items() for part, one in own.items()]
        stacks: list[tuple[str, str, SequenceStacks]] = [
            (hospital, name, found)
            for hospital, whole in card.stacks.get(split, {}).items()
            for name, found in whole.sequences.items()
        ]
        if slices or stacks:
            parts.append((said, slices, parts_of, stacks))
    return render("hospitals", card=card, parts=parts)


def _slices(hospitals: Mapping[str, Mapping[str, HospitalFigures]]) -> list[tuple[str, str, HospitalFigures]]:
    """List the figures of each hospital as a whole, then by sequence."""
    order = ["", *(name for name in SEQUENCES if name)]
    return [
        (hospital, name, found[name])
        for hospital, found in hospitals.items()
        for name in sorted(found, key=lambda name: order.index(name) if name in order else len(order))
    ]
