"""The way in: a set of files to scans, each failure kept beside its name."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import PurePath

from braintumor.scans import archive, foreign_formats, raster, volumes
from braintumor.scans.dicom.mark import is_dicom
from braintumor.scans.files import StoredFile
from braintumor.scans.gzip_reader import is_packed_dicom, unpack
from braintumor.scans.limits import DEFAULT_LIMITS, Limits, PixelBudget
from braintumor.scans.scan import LeftOutError, Scan, ScanError, safe_name
from braintumor.scans.units import MR_ALONE, DicomObjects, Unit


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
    on_look: Callable[[int], object] = lambda number: None,
) -> Iterator[Unit | ScanError]:
    """Turn files in any order, archives among them, into what belongs together: pictures, volumes and DICOM series.

    What is a scan by itself is yielded as it comes, each series once all files were looked at. A failure is yielded and
    never ends the others. An archive gives all of its series, ``max_files`` pictures and volumes, and as many failures;
    how many more there were is said. ``on_look`` is called with the number of each file, or member of an archive,
    before it is looked at.
    """
    objects = DicomObjects(limits)
    looked_at = count(1)
    for file in files:
        taken, room = _Taken(limits.max_files), _Room(limits.max_archive_bytes)
        for member in _members(file, limits):
            on_look(next(looked_at))
            outcome = member if isinstance(member, ScanError) else _look_at(member, objects, limits, room)
            own = member.source if isinstance(member, ScanError) else member.name
            if isinstance(outcome, ScanError) and outcome.source == own != file.name and _may_be_dicom(own):
                outcome.source = objects.next_name()
            if outcome is not None and taken.takes(outcome):
                yield outcome
            # Else its bytes would be held while the next file is read.
            del outcome
        yield from taken.left_out(file.name)
    yield from objects.series()


@dataclass
class _Room:
    """Bytes that DICOM objects packed with gzip may still unpack to: an archive counts them as they are packed."""

    left: int

    def unpack(self, file: StoredFile, limits: Limits) -> tuple[StoredFile, bytes]:
        """Give a packed file as one that unpacks itself, and its bytes; raises ``ScanError``."""
        most = min(limits.max_bytes, self.left)
        unpacked = replace(file, load=partial(unpack, file, most))
        try:
            data = unpacked.load()
        except ScanError:
            # What is refused has been unpacked, too.
            self.left -= most
            raise
        self.left -= len(data)
        return unpacked, data


class _Taken:
    """Counts what is taken of an archive, scans and failures apart, so that no kind crowds out another."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._scans = self._failures = 0

    def takes(self, outcome: Unit | ScanError) -> bool:
        """Count a scan or a failure; tells whether there is room for it."""
        if isinstance(outcome, ScanError):
            self._failures += 1
            return self._failures <= self._most
        self._scans += 1
        return self._scans <= self._most

    def left_out(self, source: str) -> Iterator[LeftOutError]:
        """Say of each kind how many there were where they were too many."""
        if self._scans > self._most:
            reason = f"This archive holds {self._scans} pictures and volumes; the first {self._most} were taken."
            yield LeftOutError(reason, "Split it into smaller archives.", source)
        if self._failures > self._most:
            reason = f"Of this archive {self._failures} files cannot be used; the first {self._most} are named."
            yield LeftOutError(reason, "Look at these first.", source)


def bounded(units: Iterable[Unit | ScanError], most: int) -> tuple[list[Unit | ScanError], str]:
    """Choose what is shown: ``most`` series, and then in their order ``most`` other scans and ``most`` failures.

    So nothing that lies beside a study crowds it out, and no series that none judges crowds out one for a model. With
    them comes how many of which kind were left out, in a sentence; empty where none were.
    """
    kinds: dict[str, list[tuple[bool, int]]] = {
        "series": [],
        "pictures and volumes": [],
        "files that cannot be used": [],
    }
    series, pictures, failures = kinds.values()
    given = list(units)
    for number, unit in enumerate(given):
        of_kind = failures if isinstance(unit, ScanError) else series if unit.series else pictures
        of_kind.append((not _matters_most(unit), number))
    of_series, *others = ([number for _, number in sorted(of_kind)[:most]] for of_kind in kinds.values())
    taken = [given[number] for number in (*sorted(of_series), *sorted(chain(*others)))]
    left_out = [
        f"{len(of_kind) - most} of {len(of_kind)} {name}" for name, of_kind in kinds.items() if len(of_kind) > most
    ]
    return taken, f"Left out: {', '.join(left_out)}." if left_out else ""


def _matters_most(unit: Unit | ScanError) -> bool:
    if isinstance(unit, ScanError):
        return isinstance(unit, LeftOutError) or unit.series is not None
    return unit.series is None or unit.series.is_judged


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


def _look_at(file: StoredFile, objects: DicomObjects, limits: Limits, room: _Room) -> Unit | ScanError | None:
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
            file, data = room.unpack(replace(file, name=name), limits)
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
    room = _Room(limits.max_archive_bytes)
    found = _look_at(StoredFile(safe_name(source), lambda: data), objects, limits, room)
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
