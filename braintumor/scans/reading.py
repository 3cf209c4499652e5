"""The way in: a set of files to scans, each failure kept beside its name."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath

from braintumor.scans import archive, foreign_formats, raster, volumes
from braintumor.scans.dicom.mark import is_dicom
from braintumor.scans.files import StoredFile
from braintumor.scans.limits import DEFAULT_LIMITS, Limits, PixelBudget
from braintumor.scans.scan import Scan, ScanError, safe_name
from braintumor.scans.units import MR_ALONE, DicomObjects, Unit
from braintumor.scans.unpacking import is_packed_dicom, unpack


@dataclass(frozen=True)
class Format:
    """A format of which each file is a scan by itself.

    ``knows`` tells by a file's bytes and its name whether it is of this format; ``read`` gets both, the SHA-256 of the
    bytes, the limits and the budget of the upload, and raises ``ScanError``.
    """

    suffixes: frozenset[str]
    knows: Callable[[bytes, str], bool]
    read: Callable[[bytes, str, str, Limits, PixelBudget], Scan]


FORMATS = (
    Format(volumes.SUFFIXES, volumes.is_volume, volumes.read_volume),
    Format(frozenset(), foreign_formats.is_known, foreign_formats.refuse),
    Format(raster.SUFFIXES, raster.may_be_picture, raster.read_raster),
)
"""Formats in the order in which they are tried; the last takes what no other knows."""

DICOM_SUFFIXES = frozenset({".dcm", ".dcm.gz", ".ima", ".dicom"})
SUFFIXES = frozenset({".zip"}).union(DICOM_SUFFIXES, *(known.suffixes for known in FORMATS))

LOOKED_AT = 1024
"""Bytes at the start of a file by which DICOM is known."""


def gather(
    files: Iterable[StoredFile],
    limits: Limits = DEFAULT_LIMITS,
    on_look: Callable[[str], object] = lambda name: None,
) -> Iterator[Unit | ScanError]:
    """Turn files in any order, archives among them, into what belongs together: pictures, volumes and DICOM series.

    What is a scan by itself is yielded as it comes, each series once all files were looked at. A failure is yielded and
    never ends the others. Of all files ``max_objects`` are looked at, and an archive gives ``max_files`` scans.
    ``on_look`` is called with the name of each file, or member of an archive, before it is looked at.
    """
    objects = DicomObjects(limits)
    left = limits.max_objects
    for file in files:
        taken = 0
        for member in _members(file, limits):
            if left == 0:
                yield ScanError(
                    f"More than {limits.max_objects} files were given; the first {limits.max_objects} were read.",
                    "Take the others in a second go.",
                    file.name,
                )
                yield from objects.series()
                return
            left -= 1
            on_look(file.name if isinstance(member, ScanError) else member.name)
            outcome = member if isinstance(member, ScanError) else _look_at(member, objects, limits)
            if outcome is None:
                continue
            own = member.source if isinstance(member, ScanError) else member.name
            if isinstance(outcome, ScanError) and outcome.source == own != file.name and _may_be_dicom(own):
                outcome.source = objects.next_name()
            taken += 1
            if taken > limits.max_files:
                yield ScanError(
                    f"This archive holds more than {limits.max_files} scans; the first {limits.max_files} were taken.",
                    "Split it into smaller archives.",
                    file.name,
                )
                break
            yield outcome
            # Else its bytes would be held while the next file is read.
            del outcome
    yield from objects.series()


def _members(file: StoredFile, limits: Limits) -> Iterator[StoredFile | ScanError]:
    try:
        is_archive = archive.is_archive(file.load())
    except ScanError as error:
        return iter([error])
    if not is_archive:
        return iter([file])
    return archive.expand(
        file,
        max_files=limits.max_objects,
        max_bytes=limits.max_bytes,
        max_total_bytes=limits.max_archive_bytes,
    )


def _look_at(file: StoredFile, objects: DicomObjects, limits: Limits) -> Unit | ScanError | None:
    """Take a DICOM object to the others, or give the unit that any other file is by itself."""
    name = file.name
    try:
        data = file.load()
        is_packed = is_packed_dicom(data)
        if is_packed or is_dicom(data[:LOOKED_AT]):
            # Errors name it by its number, since its file's name may be that of a patient.
            name = objects.next_name()
        if len(data) > limits.max_bytes:
            return _too_large(name, limits)
        if is_packed:
            file = replace(file, load=partial(unpack, replace(file, name=name), limits.max_bytes))
            data = file.load()
        if is_dicom(data[:LOOKED_AT]):
            objects.add(replace(file, name=name), data)
            return None
    except ScanError as error:
        error.source = error.source or name
        return error
    return Unit(file.name, file.key, partial(_read_file, file), file_keys=(file.key,))


def _may_be_dicom(name: str) -> bool:
    """Tell by its name whether a member that an archive could not give may be a DICOM object: many have no suffix."""
    path = PurePath(name)
    return not path.suffix or path.suffix[1:].isdigit() or bool(suffixes(path) & DICOM_SUFFIXES)


def _read_file(file: StoredFile, limits: Limits, budget: PixelBudget, modalities: Collection[str]) -> Scan:
    """Read a file that is a scan by itself."""
    data, name = file.load(), file.name
    if not data:
        raise ScanError("This file is empty.", "Check that it was saved or copied in full.", name)
    known = next(known for known in FORMATS if known.knows(data, name))
    return known.read(data, name, hashlib.sha256(data).hexdigest(), limits, budget)


def read(data: bytes, source: str, limits: Limits = DEFAULT_LIMITS, budget: PixelBudget | None = None) -> Scan:
    """Read one file's bytes; raises ``ScanError`` with the reason and what to do next.

    ``budget`` is that of the upload to which the file belongs, the file's own where there is none. Of a DICOM object
    that holds several volumes the first that is judged is read.
    """
    objects = DicomObjects(limits)
    found = _look_at(StoredFile(safe_name(source), lambda: data), objects, limits)
    units = sorted(objects.series(), key=lambda unit: isinstance(unit, Unit) and not _is_judged(unit))
    first = units[0] if found is None else found
    if isinstance(first, ScanError):
        raise first
    return first.read(limits, budget or PixelBudget(limits.max_total_pixels))


def _is_judged(unit: Unit) -> bool:
    return unit.series is None or unit.series.is_judged


def read_all(
    data: bytes, source: str, limits: Limits = DEFAULT_LIMITS, budget: PixelBudget | None = None
) -> Iterator[Scan | ScanError]:
    """Read one file, or every file of a ZIP archive; a failure is yielded and never ends the others.

    Each is read when it is asked for, and nothing of it is kept here. ``budget`` is shared by the files of an upload;
    without one it is that of this file or archive.
    """
    budget = budget or PixelBudget(limits.max_total_pixels)
    units = gather([StoredFile(safe_name(source), lambda: data)], limits)
    # A name bound here would keep a scan while the next one is read.
    return map(partial(outcome, limits=limits, budget=budget), units)


def outcome(
    unit: Unit | ScanError, limits: Limits, budget: PixelBudget, modalities: Collection[str] = MR_ALONE
) -> Scan | ScanError:
    """Read a unit; gives its error where it cannot be read."""
    try:
        return unit if isinstance(unit, ScanError) else unit.read(limits, budget, modalities)
    except ScanError as error:
        return error


def _too_large(name: str, limits: Limits) -> ScanError:
    return ScanError(
        f"This file is larger than {limits.max_bytes // 2**20} MB.", "Make it smaller and try again.", name
    )


def suffixes(path: PurePath) -> set[str]:
    """Give a name's last suffix, and its last two together as in ``.nii.gz``; in small letters."""
    return {path.suffix.lower(), "".join(path.suffixes[-2:]).lower()}
