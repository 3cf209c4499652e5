"""What a packed picture says of its own size, before anything is unpacked."""

from dataclasses import dataclass
from itertools import pairwise

_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"
_JP2_BOX = b"\x00\x00\x00\x0cjP  "
_SEGMENT_LESS = frozenset({0x01, *range(0xD0, 0xDA)})
_SCAN_STARTS = 0xDA
_LOOKED_AT = 2**16
_RLE_HEADER, _MOST_SEGMENTS = 64, 15
_NOTHING = 128
"""The byte of RLE that stands for nothing; lower ones come before bytes to copy, higher ones before one to repeat."""
_RLE_SLACK = 256
"""Bytes that padding at the end of a segment may seem to unpack to."""


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


def unpacks_to_more(packed: bytes, pixels: int) -> bool:
    """Tell whether a segment of RLE (PS3.5, annex G) unpacks to more than a byte for each pixel, without unpacking it.

    Two bytes may stand for 128, and what pydicom unpacks has no bound.
    """
    numbers = [int.from_bytes(packed[at : at + 4], "little") for at in range(0, _RLE_HEADER, 4)]
    starts = [*numbers[1 : 1 + numbers[0]], len(packed)] if numbers[0] <= _MOST_SEGMENTS else [0, len(packed)]
    return any(
        _unpacked_length(packed[start:end], pixels + _RLE_SLACK) > pixels + _RLE_SLACK
        for start, end in pairwise(starts)
    )


def _unpacked_length(segment: bytes, most: int) -> int:
    at = length = 0
    while at < len(segment) and length <= most:
        first = segment[at]
        if first < _NOTHING:
            length += first + 1
            at += first + 2
        else:
            length += 257 - first if first > _NOTHING else 0
            at += 2 if first > _NOTHING else 1
    return length


def _big(packed: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(packed[at : at + size], "big")
