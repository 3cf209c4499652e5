"""DICOM bytes to pydicom's data sets, within bounds of memory and time."""

import io
import logging
import zlib
from collections.abc import Sequence
from typing import Any

from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_partial, read_sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from braintumor.scans.dicom.mark import PREAMBLE
from braintumor.scans.scan import ScanError

# Values that break a rule are common and harmless here, and warnings of them would quote names of patients.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)

MOST_READS = 600_000
"""Reads that parsing one file may take, some two for each element: a series of 768 frames in one file by Siemens, whose
frames say most, takes 300,000."""

_LONGEST_TEXT = 256
_MOST_NUMBERS = 64
_LARGEST = 1e30
_LONGEST_META = 2048
_FIRST_ELEMENT = 12

DAMAGED = "This DICOM file is damaged or cut short."
EXPORT_AGAIN = "Send or export it again and try once more."


class _CountedBytes(io.BytesIO):
    """Bytes that refuse to be read too often: elements of eight bytes each would fill the memory a hundredfold."""

    def __init__(self, data: bytes, reads: list[int]) -> None:
        super().__init__(data)
        self._reads = reads

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads[0] -= 1
        if self._reads[0] < 0:
            raise ScanError("This DICOM file holds more elements than are accepted.", EXPORT_AGAIN)
        return super().read(size)


class Parsed:
    """A parsed DICOM object of which some elements were asked for; sequences are opened within the same bounds."""

    def __init__(self, data: bytes, tags: Sequence[str | BaseTag], most_bytes: int) -> None:
        """Parse the elements named by keyword or tag; raises ``ScanError``, and nearly every other error on damage."""
        self._reads = [MOST_READS]
        stream = _CountedBytes(_inflated(data, most_bytes), self._reads)
        self.dataset: FileDataset = read_partial(stream, force=True, specific_tags=[Tag(name) for name in tags])

    @property
    def transfer_syntax(self) -> str:
        """The UID of the transfer syntax; empty where the file does not say."""
        return str(self.dataset.file_meta.get("TransferSyntaxUID", ""))

    def items(self, keyword: str, within: Dataset | None = None) -> Sequence[Dataset]:
        """Give the items of a sequence, of the object or ``within`` an item of it; none where it is missing."""
        dataset = self.dataset if within is None else within
        tag = Tag(keyword)
        if tag not in dataset:
            return ()
        element: Any = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
            stream = _CountedBytes(element.value, self._reads)
            return read_sequence(
                stream, element.is_implicit_VR, element.is_little_endian, len(element.value), "iso8859"
            )
        return dataset[tag].value or ()

    def item(self, keyword: str, *within: Dataset) -> Dataset:
        """Give the first item of a sequence in the first of some items that has one; an empty one where none has."""
        for dataset in within:
            for found in self.items(keyword, dataset):
                return found
        return Dataset()


def value(dataset: Dataset, keyword: str | BaseTag, default: Any = None) -> Any:
    """Give an element's value; ``default`` where it is missing, empty or makes no sense."""
    try:
        found = dataset.get(keyword) if isinstance(keyword, str) else dataset[keyword].value
    # Conversion of a damaged value raises nearly every built-in exception.
    except Exception:
        return default
    return default if found is None or found == "" else found


def text(dataset: Dataset, keyword: str) -> str:
    """Give an element's value as text, of several joined by backslashes; empty where it is missing."""
    found = value(dataset, keyword, "")
    parts = [found] if isinstance(found, str) or not hasattr(found, "__iter__") else list(found)
    return "\\".join(str(part) for part in parts)[:_LONGEST_TEXT].strip()


def number(dataset: Dataset, keyword: str | BaseTag) -> float | None:
    """Give the first number of an element; None where there is none, or no finite one."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def numbers(dataset: Dataset, keyword: str | BaseTag) -> tuple[float, ...]:
    """Give an element's numbers; none where one of them is not finite."""
    found = value(dataset, keyword, ())
    several = [found] if isinstance(found, (str, int, float)) or not hasattr(found, "__iter__") else list(found)
    try:
        read = tuple(float(part) for part in several[:_MOST_NUMBERS])
    except (TypeError, ValueError):
        return ()
    return read if all(abs(part) < _LARGEST for part in read) else ()


def _inflated(data: bytes, most_bytes: int) -> bytes:
    """Undo the transfer syntax that packs the whole data set, which pydicom would unpack without a bound."""
    packed = DeflatedExplicitVRLittleEndian.encode()
    if packed not in data[: PREAMBLE + _LONGEST_META]:
        return data
    # Group 2 begins with its own length (PS3.10, section 7.1); what follows it is packed.
    start = PREAMBLE + 4 if data[PREAMBLE : PREAMBLE + 4] == b"DICM" else 0
    start += _FIRST_ELEMENT + int.from_bytes(data[start + _FIRST_ELEMENT - 4 : start + _FIRST_ELEMENT], "little")
    meta = read_partial(io.BytesIO(data[:start]), force=True).file_meta
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        raise ScanError(DAMAGED, EXPORT_AGAIN)
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    unpacked = unpacker.decompress(data[start:], most_bytes)
    if unpacker.unconsumed_tail:
        raise ScanError("This DICOM file unpacks to more than is accepted.", EXPORT_AGAIN)
    return data[:start].replace(packed, ExplicitVRLittleEndian.encode().ljust(len(packed), b"\0")) + unpacked
