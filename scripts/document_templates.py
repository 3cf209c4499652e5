"""Templates of what measured figures say in documents, filled with the filters of the model card and a few more."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from braintumor.bundles import Estimate
from braintumor.model_cards.markdown import markdown_environment, render
from braintumor.reports import in_words
from braintumor.reports.numbers import spread


def fill(template: str, **values: object) -> str:
    """Fill a template of ``templates/``; raises ``jinja2.UndefinedError`` for a name that is not given."""
    return render(template, _environment(), **values)


@cache
def _environment() -> Environment:
    environment = markdown_environment(FileSystemLoader(Path(__file__).parent / "templates"))
    environment.filters.update(
        area=lambda figure: in_words(*_bounds(figure), is_share=False),
        share=lambda figure: in_words(*_bounds(figure)),
        counted=_counted,
        values=_values,
    )
    return environment


def _bounds(figure: Estimate | Mapping[str, float | None]) -> tuple[float, float, float]:
    return figure.floats if isinstance(figure, Estimate) else spread(figure)


def _counted(share: Mapping[str, Any]) -> str:
    if not share["of"]:
        return "–"
    return f"{share['count']} of {share['of']} ({100 * share['low']:.0f} to {100 * share['high']:.0f}%)"


def _values(numbers: Iterable[int]) -> str:
    return " or ".join(f"{number:,}" for number in sorted({*numbers}))
