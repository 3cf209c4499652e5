"""What goes to readers of papers: a model's card in words, its figures worth a line, and how it does elsewhere."""

from braintumor.model_cards.headlines import (
    HEADLINES,
    MIRRORED,
    PUBLISHED,
    SPLITS,
    TEST,
    Headline,
    bounds,
)
from braintumor.model_cards.hospitals import HELD_OUT, hospitals_markdown
from braintumor.model_cards.markdown import SEQUENCES
from braintumor.model_cards.model_card import INTRODUCTION, card_sections, model_card

__all__ = [
    "HEADLINES",
    "HELD_OUT",
    "INTRODUCTION",
    "MIRRORED",
    "PUBLISHED",
    "SEQUENCES",
    "SPLITS",
    "TEST",
    "Headline",
    "bounds",
    "card_sections",
    "hospitals_markdown",
    "model_card",
]
