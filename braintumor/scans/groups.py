"""Paths to groups of files that belong together, and a group to its scans."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from braintumor.scans.limits import DEFAULT_LIMITS, Limits
from braintumor.scans.reading import read_all, survey
from braintumor.scans.scan import Scan, ScanError, safe_name

Group = tuple[Path, ...]
"""Files that are read together: a picture, a volume or a ZIP archive is one file and a group of its own."""


def group_files(paths: Iterable[Path]) -> Iterator[Group]:
    """Give the groups that paths stand for, in a stable order: a file its own, a folder all of those below it.

    Every file of a folder counts except notes beside scans, so that one that cannot be read is named with its reason. A
    folder without any stands for itself, and ``read_group`` says that it is empty.
    """
    for path in paths:
        scans, others = survey(path) if path.is_dir() else ([path], [])
        yield from ((file,) for file in [*scans, *others] or [path])


def read_group(group: Group, limits: Limits = DEFAULT_LIMITS) -> Iterator[Scan | ScanError]:
    """Read a group's files, one scan or failure at a time; each is named by its full path."""
    for path in group:
        yield from _read_file(path, limits)


def _read_file(path: Path, limits: Limits) -> Iterator[Scan | ScanError]:
    try:
        if path.is_dir():
            yield ScanError("This folder holds no pictures.", "Name one that does.", str(path))
        elif path.stat().st_size > limits.max_archive_bytes:
            yield ScanError("This file is too large for a picture.", "Check that it is one.", str(path))
        else:
            # A name bound here would keep a scan in memory while the next one is read.
            yield from map(partial(_named, path), read_all(path.read_bytes(), path.name, limits))
    except OSError as error:
        reason = "There is no such file." if isinstance(error, FileNotFoundError) else "This file cannot be opened."
        yield ScanError(reason, "Check its name and your right to read it.", str(path))


def _named(path: Path, outcome: Scan | ScanError) -> Scan | ScanError:
    """Give an outcome its full path: what is cut or cleaned for a page would make two files look like one."""
    inside = outcome.source.removeprefix(safe_name(path.name))
    if isinstance(outcome, ScanError):
        return ScanError(outcome.reason, outcome.hint, f"{path}{inside}")
    return replace(outcome, source=f"{path}{inside}")
