"""Reader of ZIP archives; nothing is ever written to disk and nothing is trusted that the archive says of itself."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from braintumor.scans.scan import ScanError, safe_name

SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_LARGEST_RATIO = 200
_RATIO_COUNTS_FROM = 1 << 20
# zipfile unpacks the other methods without a bound on memory, whatever size the archive states.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MEMBER_MARK = b"PK\x01\x02"
_MOST_MEMBERS = 50_000


def is_archive(data: bytes) -> bool:
    """Tell by its first bytes whether a file is a ZIP archive."""
    return data[:4] in SIGNATURES


def expand(
    data: bytes, source: str, *, max_files: int, max_bytes: int, max_total_bytes: int
) -> Iterator[tuple[str, bytes] | ScanError]:
    """Yield (name, bytes) of every file in a ZIP archive, or a ``ScanError`` for each that cannot be taken.

    Directories and the hidden files that operating systems add are passed over. A member is refused when its path
    leaves the archive, when it is encrypted, is itself an archive, exceeds ``max_bytes``, was packed over 200 times or
    by a method other than Deflate; the archive is cut off after ``max_files`` members or ``max_total_bytes``
    unpacked, and refused whole when it lists over 50,000 members.
    """
    # zipfile keeps every entry in memory as an object many times its size.
    if data.count(_MEMBER_MARK) > _MOST_MEMBERS:
        yield ScanError("This archive holds more files than are accepted.", "Split it into smaller archives.", source)
        return
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = [info for info in archive.infolist() if not info.is_dir() and not _is_hidden(info.filename)]
    # A damaged directory makes zipfile raise far more than BadZipFile.
    except Exception:
        yield ScanError("This ZIP archive is damaged or cut short.", "Pack it again and try once more.", source)
        return
    if not members:
        yield ScanError("This ZIP archive holds no files.", "Add pictures to it and try again.", source)
        return
    left = max_total_bytes
    for info in members[:max_files]:
        outcome = _read_member(archive, info, source, min(max_bytes, left))
        if not isinstance(outcome, ScanError):
            left -= len(outcome[1])
        yield outcome
        # Else it would be held while the next one is unpacked.
        del outcome
    if len(members) > max_files:
        yield ScanError(
            f"This archive holds {len(members)} files; the first {max_files} were taken.",
            "Split it into smaller archives.",
            source,
        )


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: str, max_bytes: int
) -> tuple[str, bytes] | ScanError:
    name = safe_name(f"{source}/{info.filename}")
    path = PurePosixPath(info.filename.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        return ScanError(
            "This file's path points outside its archive.", "Pack the pictures again without folders.", name
        )
    if info.flag_bits & 0x1:
        return ScanError("This file is encrypted.", "Pack it again without a password.", name)
    if info.compress_type not in _METHODS:
        return ScanError(
            "This file is packed in a way that cannot be read.", "Pack it again as an ordinary ZIP archive.", name
        )
    bomb = info.file_size > _RATIO_COUNTS_FROM and info.file_size > _LARGEST_RATIO * max(info.compress_size, 1)
    if bomb or info.file_size > max_bytes:
        return ScanError("This file unpacks to more than is accepted.", "Upload it on its own, smaller.", name)
    try:
        with archive.open(info) as stream:
            data = stream.read(max_bytes + 1)
    # A damaged member makes zipfile raise far more than BadZipFile.
    except Exception:
        return ScanError("This file is damaged inside its archive.", "Pack it again and try once more.", name)
    if len(data) > max_bytes:
        return ScanError("This file unpacks to more than is accepted.", "Upload it on its own, smaller.", name)
    if is_archive(data):
        return ScanError("This is an archive inside an archive.", "Unpack it and upload the pictures.", name)
    return name, data
