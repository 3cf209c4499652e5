"""How the processes of a batch start, and how many; loads nothing else, so that they can start before their caller."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from types import ModuleType

_START = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
"""From a clean process, since one that runs threads, as a server does, cannot be forked."""
_MOST_PROCESSES = 8
"""Each holds 200 MB; a caller that has the memory may ask for more."""
_WORTH_IT = 16
"""Files, of which a process answers fewer in the time that another takes to start."""


def default_processes() -> int:
    """Give how many processes answer where nobody says: one for each core that this process may use, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_PROCESSES)


def context() -> BaseContext:
    """Give the way in which processes start that answer."""
    found = get_context(_START)
    found.set_forkserver_preload(["braintumor.batch", "braintumor.inference"])
    return found


def start_early(paths: Iterable[Path]) -> None:
    """Where paths, or folders among them, hold enough files for several processes, let the first of them start.

    It loads what answers while its caller loads what reads and looks for files: both take half a second.
    """
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
    is_worth_it = default_processes() > 1 and len(list(islice(files, _WORTH_IT))) == _WORTH_IT
    if is_worth_it and _START == "forkserver":
        from multiprocessing import forkserver

        with started_apart():
            context()
            forkserver.ensure_running()


@contextmanager
def started_apart() -> Iterator[None]:
    """Let processes that start here multiply matrices in one thread, and do not run their caller's script.

    Two threads beside each other only get in their way. A new process runs what ``__main__`` was once more, which in a
    Streamlit server is a page.
    """
    name, main = "OPENBLAS_NUM_THREADS", sys.modules["__main__"]
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if before is None:
            del os.environ[name]
