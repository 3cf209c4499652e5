"""Studies that scanners, archives and programs send: kept as they came, answered in the background, sent back."""

from braintumor.records.arrivals.archive_access import ArchiveAccess
from braintumor.records.arrivals.filer import Filer, filer
from braintumor.records.arrivals.intake import ArrivalError, Intake, Received
from braintumor.records.arrivals.jobs import Answered, Job, Jobs, Stored, SupersededError
from braintumor.records.arrivals.uploads import Part, Upload, Uploads
from braintumor.records.tables import ArrivalState

__all__ = [
    "Answered",
    "ArchiveAccess",
    "ArrivalError",
    "ArrivalState",
    "Filer",
    "Intake",
    "Job",
    "Jobs",
    "Part",
    "Received",
    "Stored",
    "SupersededError",
    "Upload",
    "Uploads",
    "filer",
]
