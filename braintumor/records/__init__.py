"""What the app keeps of scans: encrypted in the vault, listed in the database."""

from braintumor.records.desk_store import DeskEntry, DeskStore
from braintumor.records.errors import PatientError
from braintumor.records.groups import Group, Groups
from braintumor.records.patients import Patient, Patients
from braintumor.records.research import Judged, Research
from braintumor.records.studies import NewFinding, NewSeries, Studies, Study
from braintumor.records.sweep import sweep_patients
from braintumor.records.tables import VerdictKind

__all__ = [
    "DeskEntry",
    "DeskStore",
    "Group",
    "Groups",
    "Judged",
    "NewFinding",
    "NewSeries",
    "Patient",
    "PatientError",
    "Patients",
    "Research",
    "Studies",
    "Study",
    "VerdictKind",
    "sweep_patients",
]
