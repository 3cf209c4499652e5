"""The way in: any file's bytes to scans, each failure kept beside its name."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from braintumor.scans import archive, foreign_formats, raster, volumes
from braintumor.scans.limits import DEFAULT_LIMITS, Limits, PixelBudget
from braintumor.scans.scan import Scan, ScanError, safe_name

_NOTES = frozenset({".csv", ".json", ".md", ".tsv", ".txt", ".xml", ".yaml"})
SUFFIXES = raster.SUFFIXES | volumes.SUFFIXES | {".zip"}


def read(data: bytes, source: str, limits: Limits = DEFAULT_LIMITS, budget: PixelBudget | None = None) -> Scan:
    """Read one file's bytes; raises ``ScanError`` with the reason and what to do next.

    ``budget`` is that of the upload to which the file belongs, the file's own where there is none.
    """
    name = safe_name(source)
    if not data:
        raise ScanError("This file is empty.", "Check that it was saved or copied in full.", name)
    if len(data) > limits.max_bytes:
        raise ScanError(
            f"This file is larger than {limits.max_bytes // 2**20} MB.", "Make it smaller and try again.", name
        )
    sha256 = hashlib.sha256(data).hexdigest()
    budget = budget or PixelBudget(limits.max_total_pixels)
    if volumes.is_volume(data):
        return volumes.read_volume(data, name, sha256, limits, budget)
    if refused := foreign_formats.refusal(data, name):
        raise ScanError(*refused, name)
    return raster.read_raster(data, name, sha256, limits, budget)


def read_all(
    data: bytes, source: str, limits: Limits = DEFAULT_LIMITS, budget: PixelBudget | None = None
) -> Iterator[Scan | ScanError]:
    """Read one file, or every file of a ZIP archive; a failure is yielded and never ends the others.

    Each is read when it is asked for, and nothing of it is kept here. ``budget`` is shared by the files of an upload;
    without one it is that of this file or archive.
    """
    budget = budget or PixelBudget(limits.max_total_pixels)
    members: Iterator[tuple[str, bytes] | ScanError] = iter([(source, data)])
    if archive.is_archive(data):
        members = archive.expand(
            data,
            safe_name(source),
            max_files=limits.max_files,
            max_bytes=limits.max_bytes,
            max_total_bytes=limits.max_archive_bytes,
        )
    # A name bound here would keep a member and its scan while the next one is read.
    return map(partial(_outcome, limits=limits, budget=budget), members)


def _outcome(member: tuple[str, bytes] | ScanError, limits: Limits, budget: PixelBudget) -> Scan | ScanError:
    try:
        return member if isinstance(member, ScanError) else read(member[1], member[0], limits, budget)
    except ScanError as error:
        return error


def survey(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the pictures, volumes and archives below a folder, and the other files there; each in a stable order.

    Of the others, hidden files and notes beside scans (such as .txt and .json) are left out.
    """
    taken: list[Path] = []
    others: list[Path] = []
    for item in sorted(folder.rglob("*")):
        suffixes = _suffixes(item)
        if not (suffixes & SUFFIXES or _is_unexpected(item.relative_to(folder), suffixes)) or not item.is_file():
            continue
        (taken if suffixes & SUFFIXES else others).append(item)
    return taken, others


def _is_unexpected(path: Path, suffixes: set[str]) -> bool:
    return not suffixes & _NOTES and not any(part.startswith(".") for part in path.parts)


def walk(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield every file named, and every picture, volume or archive below every folder named, in a stable order."""
    for path in paths:
        if path.is_dir():
            yield from survey(path)[0]
        else:
            yield path


def _suffixes(path: Path) -> set[str]:
    """Give a name's last suffix, and its last two together as in ``.nii.gz``."""
    return {path.suffix.lower(), "".join(path.suffixes[-2:]).lower()}
