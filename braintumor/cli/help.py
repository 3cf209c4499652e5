"""Help as plain text: one line a verb or option, with what it takes, its choices and its default."""

import io
import textwrap
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

_WIDEST = 100
_UNBROKEN = 10_000
_INDENT = "  "
_TEXT_COLUMN = 30
"""Column where descriptions begin, behind names that are shorter."""


def shown(default: object) -> str:
    """Word the default of an option; "" where there is nothing to say, as of a switch that is off."""
    if default is None or default is False:
        return ""
    if isinstance(default, Collection) and not isinstance(default, str):
        return " ".join(map(str, default))
    return str(default)


class Help:
    """A formatter of help for cyclopts, which calls it with what there is to show."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Print a list of verbs or of options."""
        if not panel.entries:
            return
        width = min(console.width, _WIDEST)
        lines = [line for entry in panel.entries for line in _lines(entry, width)]
        self._print(console, f"{panel.title}:", *lines, "")

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: Any) -> None:
        """Print how a verb is called."""
        if usage:
            self._print(console, f"Usage: {_plain(usage)}", "")

    def render_description(self, console: "Console", options: "ConsoleOptions", description: Any) -> None:
        """Print what a verb does."""
        text = _plain(description)
        if text:
            self._print(console, *textwrap.wrap(text, min(console.width, _WIDEST)), "")

    @staticmethod
    def _print(console: "Console", *lines: str) -> None:
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _lines(entry: "HelpEntry", width: int) -> list[str]:
    name = _INDENT + ", ".join(entry.display_labels_with_metavar)
    facts = [
        _plain(entry.description),
        f"[choices: {', '.join(entry.choices)}]" if entry.choices else "",
        f"[default: {entry.default}]" if entry.default else "",
        "[required]" if entry.required else "",
    ]
    margin = " " * _TEXT_COLUMN
    text = textwrap.wrap(" ".join(filter(None, facts)), width, initial_indent=margin, subsequent_indent=margin)
    if text and len(name) + 2 <= _TEXT_COLUMN:
        return [name + text[0][len(name) :], *text[1:]]
    return [name, *text]


def _plain(text: Any) -> str:
    """Give what Rich would print, on one line."""
    from rich.console import Console

    page = io.StringIO()
    Console(file=page, width=_UNBROKEN, color_system=None).print(text, markup=False, highlight=False, emoji=False)
    return " ".join(page.getvalue().split())
