"""Stored pixels of one DICOM object: unpacked frame by frame, within bounds, to the numbers that they stand for."""

from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import UID, JPEGExtended12Bit, RLELossless

from braintumor.scans.dicom.codestream import codestream, unpacks_to_more
from braintumor.scans.dicom.parser import EXPORT_AGAIN, Parsed, number
from braintumor.scans.limits import Limits
from braintumor.scans.scan import ScanError

_TAGS = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ModalityLUTSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData"),
)
_WIDTHS = (8, 16)
_FRAGMENT = b"\xfe\xff\x00\xe0"
_MOST_FRAGMENTS = 20_000
"""Pieces in which a file may hold its packed pixels: 768 frames of 25 pieces each."""


class StoredPixels:
    """The pixels of one object; raises ``ScanError`` for what is not a gray image of up to 16 bits or is damaged.

    On damage it raises nearly every built-in exception.
    """

    def __init__(self, data: bytes, transfer_syntax: str, limits: Limits) -> None:
        parsed = Parsed(data, _TAGS, limits.max_bytes, up_to_pixels=False)
        self._dataset: Any = parsed.dataset
        if int(self._dataset.BitsAllocated) not in _WIDTHS or int(self._dataset.SamplesPerPixel) != 1:
            raise ScanError("The pixels of this series are no gray values of 8 or 16 bits.", EXPORT_AGAIN)
        if "PhotometricInterpretation" not in self._dataset:
            self._dataset.PhotometricInterpretation = "MONOCHROME2"
        # Deflated objects were unpacked, and some files do not say.
        self._syntax = UID(parsed.transfer_syntax or transfer_syntax or self._guessed())
        self._decoder = self._chosen()
        self._padding = self._padded()
        self._bits, self._highest = (number(self._dataset, name) for name in ("BitsStored", "HighBit"))
        if not self._syntax.is_encapsulated:
            # Else pydicom keeps the lowest bits, wherever the highest one is.
            self._dataset.BitsStored = self._dataset.BitsAllocated

    def _guessed(self) -> str:
        is_implicit, is_little_endian = self._dataset.original_encoding
        return "1.2.840.10008.1.2" + ("" if is_implicit else ".1" if is_little_endian else ".2")

    def _chosen(self) -> Decoder:
        try:
            return get_decoder(self._syntax)
        except NotImplementedError:
            # Without a name pydicom gives what stands in the file.
            name = self._syntax.name if self._syntax.name != self._syntax else "which is unknown"
            raise ScanError(f"The transfer syntax of this series, {name}, cannot be read.", EXPORT_AGAIN) from None

    def _padded(self) -> tuple[float, float] | None:
        """Give the lowest and highest value that stand for no value."""
        first = number(self._dataset, "PixelPaddingValue")
        last = number(self._dataset, "PixelPaddingRangeLimit")
        return None if first is None else (min(first, first if last is None else last), max(first, last or first))

    @cached_property
    def _packed(self) -> list[bytes]:
        if self._dataset.PixelData.count(_FRAGMENT) > _MOST_FRAGMENTS:
            raise ScanError("The pixels of this series are packed in too many pieces.", EXPORT_AGAIN)
        count = max(int(number(self._dataset, "NumberOfFrames") or 1), 1)
        tables = [self._dataset.get(name) for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")]
        offsets = (tables[0], tables[1]) if all(tables) else None
        frames = generate_frames(self._dataset.PixelData, number_of_frames=count, extended_offsets=offsets)
        return list(islice(frames, count))

    def frame(self, index: int) -> NDArray[np.float32]:
        """Unpack a stored image, (rows, columns), as the numbers that the file holds."""
        if self._syntax.is_encapsulated:
            packed = self._packed[index]
            self._check_size(packed)
            # Of many frames pydicom would look for each from the first one on.
            self._dataset.PixelData = encapsulate([packed], has_bot=False)
            self._dataset.NumberOfFrames, index = 1, 0
            for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
                self._dataset.pop(name, None)
        unpacked, _ = self._decoder.as_array(self._dataset, index=index, raw=True)
        return np.asarray(self._without_overlay(unpacked), np.float32)

    def _check_size(self, packed: bytes) -> None:
        """Refuse packed pixels that are more than their object says: decoders take memory for what those claim."""
        rows, columns = int(self._dataset.Rows), int(self._dataset.Columns)
        found = codestream(packed)
        if found is not None and (found.height, found.width) != (rows, columns):
            raise ScanError("The packed pixels of this series have another size than its header says.", EXPORT_AGAIN)
        if found is not None and found.bits > _WIDTHS[0] and self._syntax == JPEGExtended12Bit:
            raise ScanError(
                "This series is packed as 12-bit lossy JPEG, which cannot be read.",
                "Send it uncompressed or with lossless compression.",
            )
        if self._syntax == RLELossless and unpacks_to_more(packed, rows * columns):
            raise ScanError("The packed pixels of this series have another size than its header says.", EXPORT_AGAIN)

    def _without_overlay(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Clear what old scanners keep in the bits beside those of the pixels, and spread the sign over them."""
        width = stored.dtype.itemsize * 8
        bits = int(self._bits or width)
        if self._syntax.is_encapsulated or not 0 < bits < width:
            return stored
        above = width - 1 - int(bits - 1 if self._highest is None else self._highest)
        return (stored << min(max(above, 0), width - bits)) >> (width - bits)

    def rescaled(self, stored: NDArray[np.float32], slope: float, intercept: float) -> NDArray[np.float32]:
        """Turn stored numbers into values, in new memory; those that stand for no value become NaN."""
        if "ModalityLUTSequence" in self._dataset:
            values = np.array(apply_modality_lut(stored.astype(np.int32), self._dataset), np.float32)
        else:
            values = stored * np.float32(slope) + np.float32(intercept)
        if self._padding is not None:
            values[(stored >= self._padding[0]) & (stored <= self._padding[1])] = np.nan
        return values
