"""Public datasets, what in them is the same picture, and splits that do not leak."""

from braintumor.datasets.audit import agreement_with, audit, label_conflicts, write_audit
from braintumor.datasets.catalogue import CATALOGUE, Dataset, download, known_or_any
from braintumor.datasets.changes import CHANGES, UNCHANGED, Change
from braintumor.datasets.duplicates import assign_groups, near_duplicates, signatures
from braintumor.datasets.foreign import foreign_pictures
from braintumor.datasets.index import INDEX_COLUMNS, DatasetError, at_home, build_index, write_index
from braintumor.datasets.marks import Marked, draw_marks
from braintumor.datasets.pictures import load_outlines, load_pictures, map_pictures
from braintumor.datasets.splits import (
    HOSPITAL_TEST,
    HOSPITAL_VALIDATION,
    Hospitals,
    Roles,
    assign_splits,
    hold_out,
    published_test,
)

__all__ = [
    "CATALOGUE",
    "CHANGES",
    "HOSPITAL_TEST",
    "HOSPITAL_VALIDATION",
    "INDEX_COLUMNS",
    "UNCHANGED",
    "Change",
    "Dataset",
    "DatasetError",
    "Hospitals",
    "Marked",
    "Roles",
    "agreement_with",
    "assign_groups",
    "assign_splits",
    "at_home",
    "audit",
    "build_index",
    "download",
    "draw_marks",
    "foreign_pictures",
    "hold_out",
    "known_or_any",
    "label_conflicts",
    "load_outlines",
    "load_pictures",
    "map_pictures",
    "near_duplicates",
    "published_test",
    "signatures",
    "write_audit",
    "write_index",
]
