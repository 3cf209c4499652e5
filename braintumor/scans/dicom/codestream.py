"""What a packed picture says of its own size, before anything is unpacked."""

from dataclasses import dataclass

_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"
_JP2_BOX = b"\x00\x00\x00\x0cjP  "
_SEGMENT_LESS = frozenset({0x01, *range(0xD0, 0xDA)})
_SCAN_STARTS = 0xDA
_LOOKED_AT = 2**16


@dataclass(frozen=True)
class Codestream:
    """Height and width in pixels, and bits a sample."""

    height: int
    width: int
    bits: int


def codestream(packed: bytes) -> Codestream | None:
    """Read the size from a JPEG, JPEG-LS or JPEG 2000 picture; None of others, such as RLE, which has none."""
    if packed.startswith(_JP2_BOX):
        packed = packed[max(packed.find(_JPEG_2000, 0, _LOOKED_AT), 0) :]
    if packed.startswith(_JPEG_2000):
        return _jpeg_2000(packed)
    return _jpeg(packed) if packed.startswith(_JPEG) else None


def _jpeg(packed: bytes) -> Codestream | None:
    """Walk the segments to the frame header (ITU-T T.81, B.2.2; of JPEG-LS ITU-T T.87, C.1.1)."""
    at = len(_JPEG)
    while at + 9 < min(len(packed), _LOOKED_AT) and packed[at] == 0xFF:
        marker = packed[at + 1]
        if marker in _SEGMENT_LESS or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return Codestream(_big(packed, at + 5), _big(packed, at + 7), packed[at + 4])
        if marker == _SCAN_STARTS:
            return None
        at += 2 + _big(packed, at + 2)
    return None


def _jpeg_2000(packed: bytes) -> Codestream:
    """Read the segment SIZ (ITU-T T.800, A.5.1)."""
    right, bottom, left, top = (_big(packed, at, 4) for at in (8, 12, 16, 20))
    return Codestream(bottom - top, right - left, (packed[42] & 0x7F) + 1 if len(packed) > 42 else 0)


def _big(packed: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(packed[at : at + size], "big")
