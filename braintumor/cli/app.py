"""The app that verbs are added to, how it is run, and what verbs share.

A verb is a function with typed parameters that gives an exit status, decorated with ``@app.command``. What it computes
with is imported inside of it, so that ``--help`` and other verbs do not load it.
"""

import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from cyclopts import App, CycloptsError, Parameter

from braintumor import __version__
from braintumor.cli.help import Help, shown
from braintumor.errors import InputError

OK, SOME_FAILED, WRONG_USAGE = 0, 1, 2
"""Exit statuses: all went well, some input failed, nothing could be done."""

_T = TypeVar("_T")
Options = Annotated[_T, Parameter(name="*")]
"""A dataclass of options, each given by its own name; the string below a field is its help."""

_REQUIREMENTS = {
    **dict.fromkeys(("fastapi", "prometheus_client", "pynetdicom", "uvicorn"), "pacs"),
    "flwr": "federated",
    "psycopg": "postgresql",
}
"""Which file in ``requirements`` names a package; what none of them names trains networks."""

_HELP_FLAGS = ("--help", "-h")


def _app(name: str, help_text: str) -> App:
    return App(
        name=name,
        help=help_text,
        help_flags=_HELP_FLAGS,
        help_format="plaintext",
        help_formatter=Help(),
        version=__version__,
        version_flags="--version",
        # A switch has no opposite; an option that takes several values takes all up to the next option.
        default_parameter=Parameter(negative=(), consume_multiple=True, show_default=shown),
    )


app = _app("braintumor", "Find brain tumors on MRI scans: decision support, never a diagnosis.")


def group(name: str, help_text: str) -> App:
    """Add a verb that has verbs of its own, such as ``data``; decorate them with its ``command``."""
    found = _app(name, help_text)
    app.command(found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and give its exit status: 0 all went well, 1 some input failed, 2 wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # A terminal that only knows ASCII must not stop a run at the first name with an accent.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _run(words)
    except BrokenPipeError:
        # Whoever read has read enough; Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except CycloptsError as error:
        return _refuse(f"{' '.join(str(error).split())} See --help.")
    except ImportError as error:
        file = _REQUIREMENTS.get(str(error.name).split(".")[0], "train")
        return _refuse(f"{error.name} is missing; run: pip install -r requirements/{file}.txt")
    except (InputError, OSError) as error:
        return _refuse(error)


def print_json(report: Any) -> None:
    """Print a report for people and programs to read."""
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def _run(words: list[str]) -> int:
    verb, given, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    if getattr(verb, "__func__", None) is App.help_print and not {*words} & {*_HELP_FLAGS}:
        return _refuse("Name a verb; braintumor --help lists them.")
    status: int | None = verb(*given.args, **given.kwargs)
    return status or OK


def _refuse(why: object) -> int:
    sys.stderr.write(f"braintumor: {why}\n")
    return WRONG_USAGE
