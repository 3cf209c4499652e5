"""DICOM bytes to pydicom's data sets, within bounds of memory and time."""

import io
import logging
import unicodedata
import warnings
import zlib
from collections.abc import Sequence
from typing import Any

from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_dataset, read_partial, read_sequence
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from braintumor.scans.dicom.mark import PREAMBLE
from braintumor.scans.scan import ScanError

# Values that break a rule are common and harmless here, and what pydicom says of them quotes names of patients.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\b")

MOST_READS = 780_000
"""Reads that parsing one file may take, some two for each element. The most known, a diffusion series of Siemens in one
file, takes 750 and 59 items a frame, hence 756,000 for the 768 frames that are accepted."""
_ITEM_READS = 5
"""Reads that an item of a sequence counts for: pydicom takes 1 KB and 10 µs for an empty one."""
_LONGEST_SEQUENCE = 2**25
TOO_MUCH = "This DICOM file holds more elements than are accepted."
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_END = b"\xfe\xff\xdd\xe0"
"""What ends packed pixels (PS3.5, section A.4)."""
_META_GROUP = 2
_UNDEFINED = 0xFFFFFFFF

_LONGEST_VALUE = 2**14
"""Bytes of a value that is converted: of 50 MB of backslashes pydicom would make millions of texts."""
_LONGEST_TEXT = 256
_MOST_VALUES = 64
LARGEST = 1e30
"""Numbers from here on are nonsense."""
_PLAIN_META = b"\x02\x00\x10\x00UI\x14\x00" + ExplicitVRLittleEndian.encode().ljust(20, b"\0")

DAMAGED = "This DICOM file is damaged or cut short."
EXPORT_AGAIN = "Send or export it again and try once more."


class _CountedBytes(io.BytesIO):
    """Bytes that refuse to be read too often: elements of eight bytes each would fill the memory a hundredfold.

    ``is_cut`` tells that they ended inside an element.
    """

    def __init__(self, data: bytes, reads: list[int]) -> None:
        super().__init__(data)
        self._reads = reads
        self._size = len(data)
        self.is_cut = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._reads[0] -= _ITEM_READS if data[:4] in _ITEM_TAGS else 1
        if self._reads[0] < 0:
            raise ScanError(TOO_MUCH, EXPORT_AGAIN)
        if size is not None and len(data) < size:
            self.is_cut = bool(data) or self.tell() > self._size
        return data


class Parsed:
    """A parsed DICOM object of which some elements were asked for; sequences are opened within the same bounds.

    ``has_pixels`` tells whether the object goes on to its pixels, ``pixel_bytes`` how many bytes of them there are,
    None where they are packed. ``is_cut`` tells that the file ends before, or within packed pixels.
    """

    def __init__(self, data: bytes, tags: Sequence[str | BaseTag], most_bytes: int, *, up_to_pixels: bool) -> None:
        """Parse the elements named by keyword or tag; raises ``ScanError``, and nearly every other error on damage."""
        self._reads = [MOST_READS]
        self.has_pixels = False
        self.pixel_bytes: int | None = None
        self.is_cut = False
        unpacked = _inflated(data, most_bytes)
        stream = _CountedBytes(unpacked, self._reads)

        def stop(tag: BaseTag, vr: str | None, length: int) -> bool:
            if tag not in _PIXELS:
                return False
            self.has_pixels = True
            self.is_cut = length == _UNDEFINED and unpacked.rfind(_END, stream.tell()) < 0
            self.pixel_bytes = None if length == _UNDEFINED else min(length, len(unpacked) - stream.tell())
            return True

        self.dataset: FileDataset = read_partial(
            stream,
            stop_when=stop if up_to_pixels else None,
            force=True,
            specific_tags=[Tag(name) for name in tags],
        )
        self.is_cut = self.is_cut or (stream.is_cut and not self.has_pixels)

    @property
    def transfer_syntax(self) -> str:
        """The UID of the transfer syntax; empty where the file does not say."""
        return text(self.dataset.file_meta, "TransferSyntaxUID")

    def items(self, keyword: str, within: Dataset | None = None) -> Sequence[Dataset]:
        """Give the items of a sequence, of the object or ``within`` an item of it; none where it is missing."""
        dataset = self.dataset if within is None else within
        tag = Tag(keyword)
        if tag not in dataset:
            return ()
        element: Any = dataset.get_item(tag)
        if isinstance(element, RawDataElement):
            packed = element.value or b""
            if len(packed) > _LONGEST_SEQUENCE:
                raise ScanError(TOO_MUCH, EXPORT_AGAIN)
            stream = _CountedBytes(packed, self._reads)
            opened = read_sequence(stream, element.is_implicit_VR, element.is_little_endian, len(packed), "iso8859")
            # Kept, since every frame asks for those that all frames share.
            dataset[tag] = element = DataElement(tag, "SQ", opened)
        return element.value if element.VR == "SQ" else ()

    def item(self, keyword: str, *within: Dataset) -> Dataset:
        """Give the first item of a sequence in the first of some items that has one; an empty one where none has."""
        for dataset in within:
            for found in self.items(keyword, dataset):
                return found
        return Dataset()


def value(dataset: Dataset, keyword: str | BaseTag, default: Any = None) -> Any:
    """Give an element's value; ``default`` where it is missing, empty, a sequence, very long or makes no sense."""
    tag = tag_for_keyword(keyword) if isinstance(keyword, str) else keyword
    if tag is None or tag not in dataset:
        return default
    try:
        element: Any = dataset.get_item(tag)
        if isinstance(element, RawDataElement):
            if len(element.value or b"") > _LONGEST_VALUE:
                return default
            element = dataset[tag]
    # Conversion of a damaged value raises nearly every built-in exception.
    except Exception:
        return default
    found = None if element.VR == "SQ" else element.value
    return default if found is None or found == "" else found


def raw(dataset: Dataset, tag: BaseTag) -> bytes:
    """Give the bytes of an element, as long as they may be; none where it is missing."""
    element: Any = dataset.get_item(tag) if tag in dataset else None
    found = getattr(element, "value", None)
    return found if isinstance(found, bytes) else b""


def text(dataset: Dataset, keyword: str) -> str:
    """Give an element's value as text, of several joined by backslashes; empty where it is missing.

    Signs that cannot be seen, or that turn the direction of others, are left out.
    """
    found = value(dataset, keyword, "")
    joined = "\\".join(str(part) for part in _several(found))
    if not joined.isprintable():
        joined = "".join(sign for sign in joined if not unicodedata.category(sign).startswith(("C", "Zl", "Zp")))
    return joined[:_LONGEST_TEXT].strip()


def number(dataset: Dataset, keyword: str | BaseTag) -> float | None:
    """Give the first number of an element; None where there is none, or no finite one."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def numbers(dataset: Dataset, keyword: str | BaseTag) -> tuple[float, ...]:
    """Give an element's numbers; none where one of them is not finite."""
    try:
        read = tuple(float(part) for part in _several(value(dataset, keyword, ())))
    except (TypeError, ValueError):
        return ()
    return read if all(abs(part) < LARGEST for part in read) else ()


def _several(found: Any) -> list[Any]:
    if isinstance(found, bytes):
        # An element whose type nobody states, such as a private one with implicit types: it may be text.
        found = found.decode("ascii", "replace").strip("\0 ").split("\\")
    return list(found)[:_MOST_VALUES] if isinstance(found, (list, tuple, MultiValue)) else [found]


def _inflated(data: bytes, most_bytes: int) -> bytes:
    """Undo the transfer syntax that packs the whole data set, which pydicom would unpack without a bound."""
    if DeflatedExplicitVRLittleEndian.encode() not in data:
        return data
    stream = io.BytesIO(data)
    stream.seek(PREAMBLE + 4 if data[PREAMBLE : PREAMBLE + 4] == b"DICM" else 0)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != _META_GROUP)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return data
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    unpacked = unpacker.decompress(data[stream.tell() :], most_bytes)
    if unpacker.unconsumed_tail:
        raise ScanError("This DICOM file unpacks to more than is accepted.", EXPORT_AGAIN)
    return bytes(PREAMBLE) + b"DICM" + _PLAIN_META + unpacked
