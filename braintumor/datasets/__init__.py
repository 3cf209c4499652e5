"""Public datasets, what in them is the same picture, and splits that do not leak."""

from braintumor.datasets.audit import agreement_with, audit, label_conflicts, write_audit
from braintumor.datasets.catalogue import CATALOGUE, Dataset, download
from braintumor.datasets.duplicates import assign_groups, near_duplicates, signatures
from braintumor.datasets.foreign import foreign_pictures
from braintumor.datasets.index import INDEX_COLUMNS, DatasetError, build_index, write_index
from braintumor.datasets.pictures import load_outlines, load_pictures
from braintumor.datasets.splits import assign_splits

__all__ = [
    "CATALOGUE",
    "INDEX_COLUMNS",
    "Dataset",
    "DatasetError",
    "agreement_with",
    "assign_groups",
    "assign_splits",
    "audit",
    "build_index",
    "download",
    "foreign_pictures",
    "label_conflicts",
    "load_outlines",
    "load_pictures",
    "near_duplicates",
    "signatures",
    "write_audit",
    "write_index",
]
