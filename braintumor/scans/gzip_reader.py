"""Reader of gzip, which trusts nothing that a file says of its size."""

import io
import zlib

from braintumor.scans.dicom.mark import is_dicom
from braintumor.scans.files import StoredFile
from braintumor.scans.limits import LARGEST_RATIO, RATIO_COUNTS_FROM
from braintumor.scans.scan import ScanError

GZIP = b"\x1f\x8b"
_PIECE = 2**20
_PACKED_PIECE = 2**16
# Opening a member takes far longer than unpacking a byte; ordinary ones hold 64 KB or everything.
_MOST_MEMBERS = 2**16


class Unpacker:
    """Unpacks gzip, of one member or many, no further than is asked for, whatever the file claims to hold."""

    def __init__(self, data: bytes) -> None:
        self._packed = io.BytesIO(data)
        self._pending = b""
        self._member = zlib.decompressobj(wbits=31)
        self._members = 1

    def read(self, size: int) -> bytes:
        """Give the next ``size`` bytes, fewer at the end; raises ``zlib.error`` on damage."""
        unpacked = bytearray()
        while len(unpacked) < size:
            self._pending = self._pending or self._packed.read(_PACKED_PIECE)
            if self._member.eof and not self._next_member():
                break
            piece = self._member.decompress(self._pending, size - len(unpacked))
            if not piece and not self._pending:
                break
            self._pending = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            unpacked += piece
        return bytes(unpacked)

    def ends_well(self) -> bool:
        """Tell whether the file goes on to a whole end, where its checksum is proven; long leftovers are not read."""
        return len(self.read(_PIECE)) == _PIECE or self._member.eof

    def _next_member(self) -> bool:
        if len(self._pending) < len(GZIP):
            self._pending += self._packed.read(_PACKED_PIECE)
        if not self._pending.startswith(GZIP):
            return False
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise zlib.error("too many members")
        self._member = zlib.decompressobj(wbits=31)
        return True


def is_packed_dicom(data: bytes) -> bool:
    """Tell whether a file is a DICOM object that was packed with gzip."""
    if not data.startswith(GZIP):
        return False
    try:
        return is_dicom(Unpacker(data).read(_PACKED_PIECE))
    except zlib.error:
        return False


def unpack(file: StoredFile, max_bytes: int) -> bytes:
    """Give the bytes of a file that was packed with gzip.

    Raises ``ScanError`` on damage, above ``max_bytes``, and where it was packed over 200 times, as of a ZIP archive.
    """
    packed = file.load()
    most = min(max_bytes, max(RATIO_COUNTS_FROM, LARGEST_RATIO * len(packed)))
    try:
        data = Unpacker(packed).read(most + 1)
    except zlib.error:
        raise ScanError("This file is damaged or cut short.", "Pack it again and try once more.", file.name) from None
    if len(data) > most:
        raise ScanError("This file unpacks to more than is accepted.", "Send it in parts.", file.name)
    return data


Stream = io.BytesIO | Unpacker


def unpacked(data: bytes) -> Stream:
    """Open a file's bytes for reading from the start, unpacked where they are gzip."""
    return Unpacker(data) if data.startswith(GZIP) else io.BytesIO(data)
