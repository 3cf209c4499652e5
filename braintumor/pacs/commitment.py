"""Storage commitment, push model (DICOM PS3.4, annex J): what is asked, and what is answered."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

_REQUEST = 1
_ALL_KEPT, _SOME_MISSING = 1, 2
_NO_SUCH_OBJECT = 0x0112
_MOST_OBJECTS = 20_000


@dataclass(frozen=True)
class Request:
    """A transaction and the objects that it asks for, as class and UID."""

    transaction: str
    objects: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Report:
    """What is answered: the kind of the event, and what it says."""

    event: int
    information: Dataset


def read_request(action: int, information: Dataset) -> Request | None:
    """Read what is asked for; None for another action, without objects, or for too many."""
    if action != _REQUEST:
        return None
    items = information.ReferencedSOPSequence
    objects = [(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in items]
    return Request(str(information.TransactionUID), objects) if 0 < len(objects) <= _MOST_OBJECTS else None


def report(request: Request, held: Sequence[bool]) -> Report:
    """Say which objects of a request are kept here, in its order."""
    information = Dataset()
    information.TransactionUID = request.transaction
    kept = [_item(*one) for one, is_held in zip(request.objects, held, strict=True) if is_held]
    missing = [_item(*one) for one, is_held in zip(request.objects, held, strict=True) if not is_held]
    if kept:
        information.ReferencedSOPSequence = DicomSequence(kept)
    if missing:
        for item in missing:
            item.FailureReason = _NO_SUCH_OBJECT
        information.FailedSOPSequence = DicomSequence(missing)
    return Report(_SOME_MISSING if missing else _ALL_KEPT, information)


def _item(kind: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = kind, uid
    return item
