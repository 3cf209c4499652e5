"""Paths that were named, and the files that they stand for."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from braintumor.scans.dicom.mark import is_dicom
from braintumor.scans.files import StoredFile
from braintumor.scans.intake import LOOKED_AT, SUFFIXES, suffixes
from braintumor.scans.limits import DEFAULT_LIMITS, Limits
from braintumor.scans.scan import ScanError

_NOTES = frozenset({".csv", ".json", ".md", ".tsv", ".txt", ".xml", ".yaml"})


def files_at(paths: Iterable[Path], limits: Limits = DEFAULT_LIMITS) -> Iterator[StoredFile]:
    """Give the files that paths stand for, in a stable order: a file itself, a folder all of those below it.

    Each is named by its full path. Every file of a folder counts except notes beside scans, so that one that cannot be
    read is named with its reason. A folder without any stands for itself, and loading it says that it is empty.
    """
    for path in paths:
        taken, others = survey(path) if path.is_dir() else ([path], [])
        for file in [*taken, *others] or [path]:
            yield StoredFile(str(file), partial(_load, file, limits), str(file))


def _load(path: Path, limits: Limits) -> bytes:
    name = str(path)
    try:
        if path.is_dir():
            raise ScanError("This folder holds no pictures.", "Name one that does.", name)
        if path.stat().st_size > limits.max_archive_bytes:
            raise ScanError("This file is too large for a picture.", "Check that it is one.", name)
        return path.read_bytes()
    except OSError as error:
        reason = "There is no such file." if isinstance(error, FileNotFoundError) else "This file cannot be opened."
        raise ScanError(reason, "Check its name and your right to read it.", name) from error


def survey(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the scans and archives below a folder, and the other files there; each in a stable order.

    DICOM files are known by their content where their names have no suffix. Of the others, hidden files and notes
    beside scans (such as .txt and .json) are left out.
    """
    taken: list[Path] = []
    others: list[Path] = []
    for item in sorted(folder.rglob("*")):
        endings = suffixes(item)
        is_hidden = any(part.startswith(".") for part in item.relative_to(folder).parts)
        if endings & _NOTES or not item.is_file() or (is_hidden and not endings & SUFFIXES):
            continue
        (taken if endings & SUFFIXES or _holds_dicom(item) else others).append(item)
    return taken, others


def _holds_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(LOOKED_AT))
    except OSError:
        return False


def walk(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield every file named, and every scan or archive below every folder named, in a stable order."""
    for path in paths:
        if path.is_dir():
            yield from survey(path)[0]
        else:
            yield path
