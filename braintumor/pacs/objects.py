"""An object as it comes from another node: read as far as its header, and refused where a record would have to bend."""

import re

from braintumor.accounts import AccountError
from braintumor.records import PatientError
from braintumor.records.arrivals import Received
from braintumor.records.patients import incoming_identity
from braintumor.reports.values import parsed_day, person
from braintumor.scans import Limits, ScanError, StoredFile
from braintumor.scans.dicom.instance import read_instance

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_LONGEST_UID = 64


class UnusableObjectError(Exception):
    """An object that is not taken; ``reason`` is a code for the log, ``status`` what the sender is told."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


DAMAGED = 0xC000
NOBODY = 0xC001
CONTRADICTS = 0xC002
OTHER_OBJECT = 0xA900
"""Statuses of C-STORE (PS3.4, B.2.3): of class "cannot understand", and "data set does not match SOP class"."""


def read_object(sender: str, kind: str, uid: str, content: bytes, limits: Limits) -> Received:
    """Read what an object says of itself; ``kind`` and ``uid`` are the class and UID by which it was announced.

    Raises ``UnusableObjectError`` where it is damaged, is another one than was announced, or does not say whom it shows
    in a way that a record can repeat.
    """
    try:
        found = read_instance(StoredFile("DICOM file", lambda: content), content, limits)
    except ScanError:
        raise UnusableObjectError("damaged", DAMAGED) from None
    if found.uid != uid or found.text("SOPClassUID") != kind:
        raise UnusableObjectError("other object", OTHER_OBJECT)
    if not all(len(one) <= _LONGEST_UID and _UID.fullmatch(one) for one in (found.study, found.series, uid)):
        raise UnusableObjectError("no identifier", DAMAGED)
    said = found.patient
    born = parsed_day(said.birth_date)
    try:
        if said.birth_date and born is None:
            raise PatientError("This date of birth is none.")
        identity = incoming_identity(person(said.name), born, said.identifier)
    except (PatientError, AccountError):
        raise UnusableObjectError("no identity", NOBODY) from None
    return Received(sender, found.study, uid, kind, identity["name"], born, identity["number"], content)
