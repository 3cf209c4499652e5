"""Write docs/command-line.md from the help of every verb: ``python scripts/write_command_line.py``."""

import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cyclopts import App
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from braintumor.cli.app import app
from braintumor.settings import ROOT

PAGE = ROOT / "docs" / "command-line.md"
_COLUMNS = 100
_START = """# Command line

`braintumor` is the command of the installed package; in a checkout it is `python -m braintumor`. The exit status is 0
where all went well, 1 where some input failed, and 2 where nothing could be done; then one sentence on standard error
says why. `predict --json` prints one JSON object a line for each scan, in the order of the files, and nothing else on
standard output.

This page is made from `--help` by `python scripts/write_command_line.py`.
"""


def page() -> str:
    """Give the whole page."""
    sections = [_START, _help([])]
    for words in verbs(app):
        sections += [f"## {' '.join(words)}\n", _help(words)]
    return "\n".join(sections)


def verbs(parent: App, before: Sequence[str] = ()) -> Iterator[list[str]]:
    """Give the words of each verb, such as ``data audit``, in order of the alphabet."""
    for name in sorted(parent):
        words = [*before, name]
        if name.startswith("-"):
            continue
        below = list(verbs(parent[name], words))
        yield from below or [words]


def _help(words: Sequence[str]) -> str:
    text = io.StringIO()
    app.help_print([*words], console=Console(file=text, width=_COLUMNS, color_system=None))
    return f"```text\n{text.getvalue().rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
