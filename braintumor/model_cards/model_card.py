"""A model's card in words, made from the card and figures of its bundle and from nothing else."""

from braintumor.bundles import Card, HeatmapFigures
from braintumor.model_cards.headlines import HEADLINES, SPLITS, bounds
from braintumor.model_cards.markdown import render
from braintumor.reports import in_words


def model_card(card: Card, heatmaps: HeatmapFigures | None = None) -> str:
    """Tell in Markdown what a model is, what it is for, how good it is and how it fails.

    Without ``heatmaps`` their table is left out. Texts of the card are escaped; no picture and no file of a dataset is
    named. Headings: Mitchell et al., Model Cards for Model Reporting, FAT* 2019; items: Mongan, Moy and Kahn, CLAIM,
    Radiology: Artificial Intelligence 2020, 2:e200029.
    """
    metrics = card.metrics
    return render(
        "model_card.md.j2",
        card=card,
        heatmaps=heatmaps,
        test=metrics.test,
        elsewhere=metrics.hospital_test,
        splits={title: metrics.split(name) for name, title in SPLITS.items()},
        headlines=_headlines(card),
    )


def _headlines(card: Card) -> list[tuple[str, list[str]]]:
    """Give each headline figure in words for every split that was measured; figures that none has are left out."""
    splits = [name for name in SPLITS if card.metrics.split(name) is not None]
    rows = []
    for headline in HEADLINES:
        words = [in_words(*bounds(card.metrics, split, headline), headline.is_share) for split in splits]
        rows += [(headline.title, words)] if set(words) - {"–"} else []
    return rows
