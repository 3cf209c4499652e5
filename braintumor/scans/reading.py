"""The way in: any file's bytes to scans, each failure kept beside its name."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from braintumor.scans import archive, foreign_formats, nifti, raster
from braintumor.scans.scan import Scan, ScanError, safe_name

_NOTES = frozenset({".csv", ".json", ".md", ".tsv", ".txt", ".xml", ".yaml"})
SUFFIXES = raster.SUFFIXES | nifti.SUFFIXES | {".zip"}


@dataclass(frozen=True)
class Limits:
    """What is accepted: bytes a file, files a ZIP archive, pixels a picture or slice, bytes an archive unpacks to.

    ``max_voxels`` bounds a volume, whatever its file was packed to; as float32 that many take 4 bytes each.
    ``max_slices`` bounds the slices of a volume and the pages or frames of a picture.
    """

    max_bytes: int = 50 * 2**20
    max_files: int = 200
    max_pixels: int = 25_000_000
    max_archive_bytes: int = 500 * 2**20
    max_voxels: int = 64_000_000
    max_slices: int = 1024


DEFAULT_LIMITS = Limits()


def read(data: bytes, source: str, limits: Limits = DEFAULT_LIMITS) -> Scan:
    """Read one file's bytes; raises ``ScanError`` with the reason and what to do next."""
    name = safe_name(source)
    if not data:
        raise ScanError("This file is empty.", "Check that it was saved or copied in full.", name)
    if len(data) > limits.max_bytes:
        raise ScanError(
            f"This file is larger than {limits.max_bytes // 2**20} MB.", "Make it smaller and try again.", name
        )
    sha256 = hashlib.sha256(data).hexdigest()
    if nifti.is_nifti(data):
        return nifti.read_nifti(data, name, sha256, limits.max_pixels, limits.max_voxels, limits.max_slices)
    if refused := foreign_formats.refusal(data, name):
        raise ScanError(*refused, name)
    return raster.read_raster(data, name, sha256, limits.max_pixels, limits.max_slices)


def read_all(data: bytes, source: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[Scan | ScanError]:
    """Read one file, or every file of a ZIP archive; a failure is yielded and never ends the others."""
    if archive.is_archive(data):
        members: Iterable[tuple[str, bytes] | ScanError] = archive.expand(
            data,
            safe_name(source),
            max_files=limits.max_files,
            max_bytes=limits.max_bytes,
            max_total_bytes=limits.max_archive_bytes,
        )
    else:
        members = [(source, data)]
    for member in members:
        if isinstance(member, ScanError):
            yield member
            continue
        name, content = member
        try:
            yield read(content, name, limits)
        except ScanError as error:
            yield error


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
