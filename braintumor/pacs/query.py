"""What an archive is asked at the level of studies (DICOM PS3.4, annex C.6.2), and what it answers."""

import re
from dataclasses import dataclass
from datetime import date

from pydicom.dataset import Dataset

from braintumor.database import RefusedError
from braintumor.reports.values import parsed_day, person
from braintumor.scans.dicom.parser import number as number_of
from braintumor.scans.dicom.parser import text as text_of

_LONGEST = 64
_SHORTEST_NAME = 2
_MOST_WORDS = 5
_SPECIAL = re.compile(r"[\\*?^=\x00-\x1f\x7f-\x9f]")
"""Signs that mean something to an archive: several values, anything, parts of a name, and what is no text."""
_MODALITY = re.compile(r"[A-Z]{2,16}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


class QueryError(RefusedError):
    """A query that is not put, or that an archive does not answer."""


@dataclass(frozen=True)
class Query:
    """Whom and when: ``number`` in full, the beginnings of the words of a ``name``, first and last day, modality."""

    number: str = ""
    name: str = ""
    since: date | None = None
    until: date | None = None
    modality: str = ""

    def dataset(self) -> Dataset:
        """Give what is asked for, and what is to be said of each study."""
        asked = Dataset()
        asked.SpecificCharacterSet = "ISO_IR 192"
        asked.QueryRetrieveLevel = "STUDY"
        asked.PatientID = self.number
        # Family name first, as archives sort it: doe*jan* finds Doe^Jane.
        asked.PatientName = "".join(f"{word}*" for word in _words(self.name))
        days = [day.strftime("%Y%m%d") if day else "" for day in (self.since, self.until)]
        asked.StudyDate = "-".join(days) if any(days) else ""
        asked.ModalitiesInStudy = self.modality
        for keyword in ("StudyInstanceUID", "StudyTime", "StudyDescription", "PatientBirthDate"):
            setattr(asked, keyword, "")
        asked.NumberOfStudyRelatedInstances = None
        return asked


@dataclass(frozen=True)
class FoundStudy:
    """One study as an archive tells of it; what it does not say is empty or None."""

    uid: str
    number: str
    name: str
    birth_date: date | None
    taken_on: date | None
    description: str
    modalities: tuple[str, ...]
    objects: int | None


@dataclass(frozen=True)
class FoundStudies:
    """The studies that an archive found, the newest first; ``is_all`` tells whether there are no more."""

    studies: tuple[FoundStudy, ...]
    is_all: bool


@dataclass(frozen=True)
class Progress:
    """How many objects of a study an archive has sent, could not send, and has yet to send."""

    sent: int = 0
    failed: int = 0
    left: int = 0


def read_query(number: object, name: object, since: object, until: object, modality: object) -> Query:
    """Check what somebody typed, which may be anything; raises ``QueryError``.

    A query without number, name and first day would list the archive, and is refused.
    """
    query = Query(
        _typed(number, "number"),
        _typed(name, "name"),
        _day(since, "since"),
        _day(until, "until"),
        _typed(modality, "modality").upper(),
    )
    if query.modality and not _MODALITY.fullmatch(query.modality):
        raise QueryError("A modality is a code such as MR or CT.", "modality")
    words = _words(query.name)
    if (query.name and len("".join(words)) < _SHORTEST_NAME) or len(words) > _MOST_WORDS:
        raise QueryError(f"Give {_SHORTEST_NAME} letters of a name or more, and at most {_MOST_WORDS} words.", "name")
    if query.since and query.until and query.since > query.until:
        raise QueryError("The last day is before the first one; exchange them.", "until")
    if not (query.number or query.name or query.since):
        raise QueryError("Give a patient number, the beginning of a name, or a first day.", "number")
    return query


def read_uid(text: object) -> str:
    """Check what is to be the UID of a study; raises ``QueryError``."""
    if isinstance(text, str) and len(text) <= _LONGEST and _UID.fullmatch(text):
        return text
    raise QueryError("A study is named by its UID: numbers with dots between them.", "study")


def read_answer(dataset: Dataset) -> FoundStudy | None:
    """Read what an archive says of a study; None where it does not say which."""
    try:
        uid = read_uid(text_of(dataset, "StudyInstanceUID"))
    except QueryError:
        return None
    modalities = text_of(dataset, "ModalitiesInStudy").split("\\")
    objects = number_of(dataset, "NumberOfStudyRelatedInstances")
    return FoundStudy(
        uid,
        text_of(dataset, "PatientID"),
        person(text_of(dataset, "PatientName")),
        parsed_day(text_of(dataset, "PatientBirthDate")),
        parsed_day(text_of(dataset, "StudyDate")),
        text_of(dataset, "StudyDescription"),
        tuple(sorted({one.strip() for one in modalities if one.strip()})),
        None if objects is None or objects < 0 else int(objects),
    )


def _typed(value: object, field: str) -> str:
    text = value if isinstance(value, str) else ""
    if len(text) > _LONGEST or _SPECIAL.search(text):
        raise QueryError(f"Write at most {_LONGEST} letters, digits and plain signs, without * ? ^ = and \\.", field)
    return text.strip()


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", name) if word]


def _day(value: object, field: str) -> date | None:
    text = value.strip() if isinstance(value, str) else ""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise QueryError("Write the day as 2026-01-31, or leave it empty.", field) from None
