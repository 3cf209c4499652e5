"""DICOM objects without what names a patient: the Basic Profile of DICOM PS3.15, annex E, with shifted dates.

What is done to each attribute says the table of dicom-anonymizer, which follows that of the standard (2026c). Beyond it
go: all private attributes, all names of persons, unknown value representations, every UID that the standard does not
define, and whatever text repeats a part of the patient's name or number. Text burned into pixels cannot be seen here:
objects that say or suggest that they have some are refused.
"""

import hmac
import unicodedata
from collections.abc import Callable
from datetime import date, datetime, timedelta

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from pydicom import DataElement, Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from braintumor.errors import InputError

DUMMY = "ANONYMIZED"
METHOD = "DICOM PS3.15 2026c Basic Profile, modified dates"
CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
_SHORTEST_PART = 3
"""Parts of a name with fewer letters stand in too many words to be looked for."""

_EMPTIED = frozenset((*table.Z_TAGS, *table.X_Z_TAGS))
_REPLACED = frozenset((*table.D_TAGS, *table.Z_D_TAGS, *table.X_D_TAGS, *table.X_Z_D_TAGS))
_DELETED = frozenset(tag for tag in table.X_TAGS if len(tag) == 2)
_PATTERNS = tuple(tag for tag in table.X_TAGS if len(tag) == 4)
"""Groups of tags, as those of overlays: a group and element, and which of their bits count."""

_TEXTS = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_DATES = frozenset({"DA", "DT"})
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


class BurnedInTextError(InputError):
    """A DICOM object may show the patient's name in its pixels, so it is not de-identified."""


class Deidentifier:
    """Takes what names one patient out of DICOM objects; the same object comes out the same each time."""

    def __init__(self, uid_key: bytes, date_shift: timedelta, code: str) -> None:
        """Map UIDs under the key of a site, move dates by whole days, and put ``code`` for the name and number."""
        self._key = uid_key
        self._shift = date_shift
        self._code = code

    def deidentify(self, original: Dataset) -> Dataset:
        """Give a copy without what names the patient; raises ``BurnedInTextError`` where pixels may show it."""
        _refuse_burned_in(original)
        dataset = self._clean(original, _parts(original))
        dataset.PatientName = dataset.PatientID = self._code
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = METHOD
        dataset.DeidentificationMethodCodeSequence = Sequence([_code_item(*code) for code in CODES])
        dataset.LongitudinalTemporalInformationModified = "MODIFIED"
        meta = getattr(original, "file_meta", None)
        if meta is not None:
            dataset.file_meta = self._meta(meta)
        return dataset

    def uid(self, uid: str) -> str:
        """Give the UID that stands for another: 2.25 and the first 128 bits of its HMAC-SHA-256 (ISO/IEC 9834-8)."""
        return f"2.25.{int.from_bytes(hmac.digest(self._key, uid.encode('ascii', 'replace'), 'sha256')[:16], 'big')}"

    def _clean(self, original: Dataset, parts: frozenset[str]) -> Dataset:
        dataset = Dataset()
        for element in original:
            pair = (element.tag.group, element.tag.element)
            is_deleted = element.tag.is_private or element.VR == "UN" or pair in _DELETED or _is_of_group(pair)
            if not is_deleted:
                dataset[element.tag] = self._cleaned(element, pair, parts)
        return dataset

    def _cleaned(self, element: DataElement, pair: tuple[int, int], parts: frozenset[str]) -> DataElement:
        vr, tag = element.VR, element.tag
        if vr == "SQ":
            items = [] if pair in _EMPTIED | _REPLACED else element.value or []
            return DataElement(tag, vr, Sequence([self._clean(item, parts) for item in items]))
        if vr == "UI":
            return DataElement(tag, vr, _each(element, self._mapped))
        if vr in _DATES and not _is_of_a_life(tag):
            return DataElement(tag, vr, _each(element, self._moved))
        if vr == "PN" or pair in _EMPTIED:
            return DataElement(tag, vr, None)
        if pair in _REPLACED:
            return DataElement(tag, vr, _dummy(vr))
        if vr in _TEXTS and _repeats(str(element.value), parts):
            return DataElement(tag, vr, None)
        return element

    def _mapped(self, uid: str) -> str:
        # What the standard defines, as a transfer syntax, has a name; the UID of an object has none.
        return self.uid(uid) if uid and UID(uid).name == uid else uid

    def _moved(self, text: str) -> str:
        try:
            day = datetime.strptime(text[:8], "%Y%m%d").date()
            return f"{_plus(day, self._shift):%Y%m%d}{text[8:]}"
        except ValueError:
            return ""

    def _meta(self, meta: Dataset) -> FileMetaDataset:
        kept = FileMetaDataset()
        for keyword in ("FileMetaInformationVersion", "MediaStorageSOPClassUID", "TransferSyntaxUID"):
            if keyword in meta:
                setattr(kept, keyword, getattr(meta, keyword))
        if "MediaStorageSOPInstanceUID" in meta:
            kept.MediaStorageSOPInstanceUID = UID(self._mapped(str(meta.MediaStorageSOPInstanceUID)))
        return kept


def _refuse_burned_in(dataset: Dataset) -> None:
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        raise BurnedInTextError("This object says that text is burned into its pixels; remove it there first.")
    if str(dataset.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE) or dataset.get("Modality") in ("OT", "SC"):
        raise BurnedInTextError("This is a picture of a screen or a document, which may show a name; leave it out.")


def _parts(dataset: Dataset) -> frozenset[str]:
    """Give what of the patient's names and numbers no text may repeat, in lower case and without accents."""
    texts: list[str] = []
    for element in dataset.iterall():
        is_theirs = element.VR == "PN" or element.keyword in ("PatientID", "OtherPatientIDs", "AccessionNumber")
        if is_theirs and element.value:
            texts.append(str(element.value))
    return frozenset(word for text in texts for word in _words(text) if len(word) >= _SHORTEST_PART)


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold())
    signs = (sign for sign in plain if unicodedata.category(sign) != "Mn")
    return "".join(sign if sign.isalnum() else " " for sign in signs).split()


def _repeats(text: str, parts: frozenset[str]) -> bool:
    words = " ".join(_words(text))
    return any(part in words for part in parts)


def _is_of_group(pair: tuple[int, int]) -> bool:
    return any(
        pair[0] & group_bits == group and pair[1] & element_bits == element
        for group, element, group_bits, element_bits in _PATTERNS
    )


def _is_of_a_life(tag: int) -> bool:
    keyword = keyword_for_tag(tag)
    return "Birth" in keyword or "Death" in keyword


def _each(element: DataElement, change: Callable[[str], str]) -> str | list[str] | None:
    if element.value is None:
        return None
    if isinstance(element.value, str | date) or element.VM <= 1:
        return change(str(element.value))
    return [change(str(value)) for value in element.value]


def _plus(day: date, shift: timedelta) -> date:
    try:
        return day + shift
    except OverflowError:
        raise ValueError("a date outside of the calendar") from None


def _dummy(vr: str) -> str | int | None:
    if vr in _TEXTS:
        return DUMMY
    return 0 if vr in _NUMBERS else None


def _code_item(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
