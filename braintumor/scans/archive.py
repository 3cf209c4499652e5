"""Reader of ZIP archives; nothing is ever written to disk and nothing is trusted that the archive says of itself."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from braintumor.scans.files import StoredFile
from braintumor.scans.limits import LARGEST_RATIO, RATIO_COUNTS_FROM
from braintumor.scans.scan import LeftOutError, ScanError, safe_name

SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
# zipfile unpacks the other methods without a bound on memory, whatever size the archive states.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MEMBER_MARK = b"PK\x01\x02"
_MOST_MEMBERS = 50_000


def is_archive(data: bytes) -> bool:
    """Tell by its first bytes whether a file is a ZIP archive."""
    return data[:4] in SIGNATURES


class _Archive:
    """An archive that is opened once in each process that reads from it."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file

    def __getstate__(self) -> dict[str, StoredFile]:
        return {"_file": self._file}

    @cached_property
    def opened(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self._file.load()))


@dataclass(frozen=True)
class _Member:
    """A file in an archive: ``number`` in its directory, and the bytes that it may unpack to."""

    archive: _Archive
    number: int
    name: str
    max_bytes: int

    def load(self) -> bytes:
        """Unpack it; raises ``ScanError`` where that cannot be done."""
        try:
            with self.archive.opened.open(self.archive.opened.infolist()[self.number]) as stream:
                data = stream.read(self.max_bytes + 1)
        # A damaged member makes zipfile raise far more than BadZipFile.
        except Exception:
            raise ScanError(
                "This file is damaged inside its archive.", "Pack it again and try once more.", self.name
            ) from None
        if len(data) > self.max_bytes:
            raise ScanError("This file unpacks to more than is accepted.", "Upload it on its own, smaller.", self.name)
        if is_archive(data):
            raise ScanError("This is an archive inside an archive.", "Unpack it and upload the pictures.", self.name)
        return data


def expand(
    file: StoredFile, *, max_files: int, max_bytes: int, max_total_bytes: int
) -> Iterator[StoredFile | ScanError]:
    """Yield every file in a ZIP archive, or a ``ScanError`` for each that cannot be taken; none is unpacked yet.

    Directories and the hidden files that operating systems add are passed over. A member is refused when its path
    leaves the archive, when it is encrypted, exceeds ``max_bytes``, was packed over 200 times or by a method other than
    Deflate, or says that it unpacks to more than is left of ``max_total_bytes``; loading one is refused when it is
    damaged or itself an archive. The archive is cut off after ``max_files`` members, and refused whole when it lists
    over 50,000.
    """
    source = file.name
    # zipfile keeps every entry in memory as an object many times its size.
    if file.load().count(_MEMBER_MARK) > _MOST_MEMBERS:
        yield ScanError("This archive holds more files than are accepted.", "Split it into smaller archives.", source)
        return
    archive = _Archive(file)
    try:
        members = [
            (number, info)
            for number, info in enumerate(archive.opened.infolist())
            if not info.is_dir() and not _is_hidden(info.filename)
        ]
    # A damaged directory makes zipfile raise far more than BadZipFile.
    except Exception:
        yield ScanError("This ZIP archive is damaged or cut short.", "Pack it again and try once more.", source)
        return
    if not members:
        yield ScanError("This ZIP archive holds no files.", "Add pictures to it and try again.", source)
        return
    left = max_total_bytes
    for number, info in members[:max_files]:
        name = safe_name(f"{source}/{info.filename}")
        if refused := _refusal(info, min(max_bytes, left)):
            yield ScanError(*refused, name)
            continue
        # What it unpacks to is never more than it says: zipfile stops there.
        left -= info.file_size
        yield StoredFile(name, _Member(archive, number, name, max_bytes).load, f"{file.key}/{number}")
    if len(members) > max_files:
        yield LeftOutError(
            f"This archive holds {len(members)} files; the first {max_files} were taken.",
            "Split it into smaller archives.",
            source,
        )


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)


def _refusal(info: zipfile.ZipInfo, max_bytes: int) -> tuple[str, str] | None:
    """Give the reason and the next step for a member that is not unpacked, None for any other."""
    path = PurePosixPath(info.filename.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        return "This file's path points outside its archive.", "Pack the pictures again without folders."
    if info.flag_bits & 0x1:
        return "This file is encrypted.", "Pack it again without a password."
    if info.compress_type not in _METHODS:
        return "This file is packed in a way that cannot be read.", "Pack it again as an ordinary ZIP archive."
    bomb = info.file_size > RATIO_COUNTS_FROM and info.file_size > LARGEST_RATIO * max(info.compress_size, 1)
    if bomb or info.file_size > max_bytes:
        return "This file unpacks to more than is accepted.", "Upload it on its own, smaller."
    return None
