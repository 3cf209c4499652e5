"""The page of patients: searching, who a patient is, and the history with readers' verdicts."""

from braintumor.dashboard.patients.agreement import show_agreement
from braintumor.dashboard.patients.archive import has_archives, show_archive
from braintumor.dashboard.patients.filed_study import show_filing
from braintumor.dashboard.patients.group_forms import show_groups
from braintumor.dashboard.patients.history import show_history
from braintumor.dashboard.patients.identity import show_identity, show_new
from braintumor.dashboard.patients.search import choose
from braintumor.dashboard.patients.store import groups

__all__ = [
    "choose",
    "groups",
    "has_archives",
    "show_agreement",
    "show_archive",
    "show_filing",
    "show_groups",
    "show_history",
    "show_identity",
    "show_new",
]
