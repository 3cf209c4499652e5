"""Templates to Markdown: what is put into one is escaped, unless a filter here made it."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined, Undefined

from braintumor.bundles import Estimate
from braintumor.bundles.schema import SourceData
from braintumor.datasets.catalogue import CATALOGUE, short_name
from braintumor.evaluation.faithfulness import FLOORS
from braintumor.reports import REFERRAL_WORDS, figure, in_words, listed, percent, stated
from braintumor.taxonomy import TITLES

SEQUENCES = {"post": "T1 after contrast", "flair": "FLAIR", "pre": "T1 before contrast", "": "all"}
"""Sequences by the names that indexes use."""

_ACTIVE = re.compile(r"([\\`*_{}\[\]<>|#$~&!])")
_LINK = re.compile(r"https://[\w./?=%+-]+")


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def render(template: str, environment: Environment | None = None, **values: object) -> str:
    """Fill a template, of ``templates/`` here unless from another ``environment``.

    Raises ``jinja2.UndefinedError`` for a name that is not given.
    """
    text = (environment or _ENVIRONMENT).get_template(f"{template}.md.j2").render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def escaped(value: object) -> str:
    """Escape what Markdown, HTML or a page's directives would act on; the file stays readable as it is."""
    if isinstance(value, (Markdown, Undefined)):
        return str(value)
    # A colon before a letter starts an icon or a color on the page; one before a slash or a space does not.
    return re.sub(r":(?=\w)", r"\\:", _ACTIVE.sub(r"\\\1", re.sub(r"\s+", " ", str(value))))


def _finalized(value: object) -> str:
    # Line breaks of a template's own are kept.
    return str(value) if value in ("", "\n") else escaped(value)


def _command(text: str) -> Markdown:
    """Write a command of the card as a line of a block of code."""
    return Markdown(re.sub(r"[`\s]+", " ", text))


def _link(facts: SourceData, name: str) -> Markdown:
    title, address = escaped(facts.title or name), facts.source or ""
    return Markdown(f"[{title}]({address})" if _LINK.fullmatch(address) else title)


def _amounts(options: Mapping[str, object], *without: str) -> str:
    told = [f"{name} {value}" for name, value in options.items() if value and name not in without]
    return ", ".join(told) or "none"


def _area(estimate: Estimate) -> str:
    return in_words(*estimate.floats, is_share=False)


def _share(estimate: Estimate) -> str:
    return in_words(*estimate.floats)


def _inside(label: str) -> str:
    """Write a label's title inside a sentence."""
    return TITLES[label][0].lower() + TITLES[label][1:]


def markdown_environment(loader: BaseLoader) -> Environment:
    """Give an environment whose templates make Markdown, with the filters above."""
    # The templates make Markdown, whose escaping is that of ``escaped``.
    environment = Environment(  # noqa: S701
        loader=loader,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    filters: dict[str, Callable[..., Any]] = {
        "amount": lambda value: f"{value:g}",
        "amounts": _amounts,
        "area": _area,
        "command": _command,
        "count": lambda number: f"{number:,}",
        "fine": lambda share: f"{share:.2%}",
        "inside": _inside,
        "link": _link,
        "listed": listed,
        "method": lambda name: FLOORS.get(name, name),
        "number": lambda value: figure(value, False),
        "percent": percent,
        "plain": Markdown,
        "reason": REFERRAL_WORDS.__getitem__,
        "sequence": lambda name: SEQUENCES.get(name, name),
        "share": _share,
        "short": short_name,
        "stated": stated,
        "title": lambda label: TITLES.get(label, label),
        "whole": lambda share: f"{share:.0%}",
    }
    environment.filters.update(filters)
    environment.tests["reference"] = lambda name: name in CATALOGUE and CATALOGUE[name].is_reference
    return environment


_ENVIRONMENT = markdown_environment(PackageLoader("braintumor.model_cards"))
