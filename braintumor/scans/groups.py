"""Paths to groups of files that belong together, and a group to its scans."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from braintumor.scans.files import StoredFile
from braintumor.scans.limits import DEFAULT_LIMITS, Limits, PixelBudget
from braintumor.scans.reading import gather, outcome, read_all, survey
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
    """Read a group's files, one scan or failure at a time.

    A file is named by its full path, what several files hold together by the folder that they share.
    """
    if len(group) == 1:
        return _read_file(group[0], limits)
    files = [StoredFile(safe_name(path.name), partial(_load, path, limits)) for path in group]
    reading = partial(outcome, limits=limits, budget=PixelBudget(limits.max_total_pixels))
    folder = os.path.commonpath([path.parent for path in group])
    # A name bound here would keep a scan in memory while the next one is read.
    return map(partial(_placed, f"{folder}/", ""), map(reading, gather(files, limits)))


def _read_file(path: Path, limits: Limits) -> Iterator[Scan | ScanError]:
    name = safe_name(path.name)
    try:
        outcomes = read_all(_load(path, limits), name, limits)
    except ScanError as error:
        outcomes = iter([error])
    # What is cut or cleaned of a name for a page would make two files look like one.
    return map(partial(_placed, str(path), name), outcomes)


def _load(path: Path, limits: Limits) -> bytes:
    name = safe_name(path.name)
    try:
        if path.is_dir():
            raise ScanError("This folder holds no pictures.", "Name one that does.", name)
        if path.stat().st_size > limits.max_archive_bytes:
            raise ScanError("This file is too large for a picture.", "Check that it is one.", name)
        return path.read_bytes()
    except OSError as error:
        reason = "There is no such file." if isinstance(error, FileNotFoundError) else "This file cannot be opened."
        raise ScanError(reason, "Check its name and your right to read it.", name) from error


def _placed(place: str, name: str, found: Scan | ScanError) -> Scan | ScanError:
    """Give a scan or failure the place it was found at in front of its name, instead of ``name``."""
    source = place + found.source.removeprefix(name)
    if isinstance(found, Scan):
        return replace(found, source=source)
    found.source = source
    return found
