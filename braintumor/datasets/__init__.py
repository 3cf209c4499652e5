"""Public datasets, what in them is the same picture, and splits that do not leak."""

from braintumor.datasets.audit import agreement_with, audit, label_conflicts, write_audit
from braintumor.datasets.catalogue import CATALOGUE, Dataset, download
from braintumor.datasets.changes import CHANGES, UNCHANGED, Change
from braintumor.datasets.duplicates import assign_groups, near_duplicates, signatures
from braintumor.datasets.foreign import foreign_pictures
from braintumor.datasets.index import INDEX_COLUMNS, DatasetError, build_index, write_index
from braintumor.datasets.marks import Marked, draw_marks
from braintumor.datasets.pictures import load_outlines, load_pictures, map_pictures
from braintumor.datasets.splits import assign_splits

__all__ = [
    "CATALOGUE",
    "CHANGES",
    "INDEX_COLUMNS",
    "UNCHANGED",
    "Change",
    "Dataset",
    "DatasetError",
    "Marked",
    "agreement_with",
    "assign_groups",
    "assign_splits",
    "audit",
    "build_index",
    "download",
    "draw_marks",
    "foreign_pictures",
    "label_conflicts",
    "load_outlines",
    "load_pictures",
    "map_pictures",
    "near_duplicates",
    "signatures",
    "write_audit",
    "write_index",
]
