"""A model's card in words, made from the card and figures of its bundle and from nothing else."""

from collections.abc import Mapping
from typing import Any

from braintumor.bundles import Card, HeatmapFigures
from braintumor.datasets import known_or_any
from braintumor.model_cards.headlines import HEADLINES, SPLITS, bounds
from braintumor.model_cards.markdown import Markdown, render
from braintumor.reports import in_words, listed

INTRODUCTION = "introduction"
SECTIONS: Mapping[str, str] = {
    "Model details": "details",
    "Intended use": "use",
    "Factors": "factors",
    "Metrics": "metrics",
    "Training data": "training_data",
    "Evaluation data": "evaluation_data",
    "Quantitative analyses": "analyses",
    "Failure modes": "failures",
    "Ethical considerations": "ethics",
    "Caveats and recommendations": "caveats",
    "Where the items of CLAIM are": "claim",
}
"""Titles of the sections, and the template of each."""


def model_card(card: Card, heatmaps: HeatmapFigures | None = None) -> str:
    """Tell in Markdown what a model is, what it is for, how good it is and how it fails; see ``card_sections``."""
    introduction, *sections = (Markdown(text) for text in card_sections(card, heatmaps).values())
    titled = dict(zip(SECTIONS, sections, strict=True))
    return render("model_card", card=card, introduction=introduction, sections=titled) + "\n"


def card_sections(card: Card, heatmaps: HeatmapFigures | None = None) -> dict[str, str]:
    """Give the sections of a model's card as Markdown by their titles, ``INTRODUCTION`` first.

    Without ``heatmaps`` their table is left out. Texts of the card are escaped; no picture and no file of a dataset is
    named. Headings: Mitchell et al., Model Cards for Model Reporting, FAT* 2019; items: Mongan, Moy and Kahn, CLAIM,
    Radiology: Artificial Intelligence 2020, 2:e200029.
    """
    metrics = card.metrics
    asking = _asking_for_a_license(card)
    values: dict[str, Any] = {
        "card": card,
        "heatmaps": heatmaps,
        "test": metrics.test,
        "elsewhere": metrics.hospital_test,
        "splits": {title: metrics.split(name) for name, title in SPLITS.items()},
        "headlines": _headlines(card),
        "asks": list(asking),
        "weights_license": listed(sorted(set(asking.values()))) if asking else "",
    }
    return {title: render(template, **values) for title, template in {INTRODUCTION: INTRODUCTION, **SECTIONS}.items()}


def _asking_for_a_license(card: Card) -> dict[str, str]:
    """Give the datasets trained on that ask for a license of what is made from them, and that license."""
    trained = [name for name, facts in card.data.items() if any(one.get("train") for one in facts.images.values())]
    return {name: terms for name in trained if (terms := known_or_any(name).passes_on)}


def _headlines(card: Card) -> list[tuple[str, list[str]]]:
    """Give each headline figure in words for every split that was measured; figures that none has are left out."""
    splits = [name for name in SPLITS if card.metrics.split(name) is not None]
    rows = []
    for headline in HEADLINES:
        words = [in_words(*bounds(card.metrics, split, headline), headline.is_share) for split in splits]
        rows += [(headline.title, words)] if set(words) - {"–"} else []
    return rows
