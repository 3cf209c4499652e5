"""Bytes to scans, and scans to what a network sees."""

from braintumor.scans.archive import expand
from braintumor.scans.color import COLORED, MARKED
from braintumor.scans.files import StoredFile
from braintumor.scans.fitness import drawn_ring, several_heads
from braintumor.scans.groups import Group, group_files, read_group
from braintumor.scans.limits import DEFAULT_LIMITS, Limits, PixelBudget
from braintumor.scans.preprocessing import (
    PREPROCESSING,
    Box,
    CoarseHead,
    Prepared,
    coarse_head,
    fill_holes,
    in_window,
    largest_region,
    place_on_scan,
    prepare,
    prepare_outline,
    prepare_within,
    small_head,
)
from braintumor.scans.reading import gather, outcome, read, read_all, survey, walk
from braintumor.scans.restoring import BACKGROUND, FRAME, INVERTED, OUTLIERS, Restored, restore
from braintumor.scans.sample import phantom
from braintumor.scans.scan import Placement, Scan, ScanError, safe_name
from braintumor.scans.series import Patient, Series, SeriesNote, Unjudged, Weighting
from braintumor.scans.units import NotJudgedError, Unit
from braintumor.scans.volumes import in_file_axes

__all__ = [
    "BACKGROUND",
    "COLORED",
    "DEFAULT_LIMITS",
    "FRAME",
    "INVERTED",
    "MARKED",
    "OUTLIERS",
    "PREPROCESSING",
    "Box",
    "CoarseHead",
    "Group",
    "Limits",
    "NotJudgedError",
    "Patient",
    "PixelBudget",
    "Placement",
    "Prepared",
    "Restored",
    "Scan",
    "ScanError",
    "Series",
    "SeriesNote",
    "StoredFile",
    "Unit",
    "Unjudged",
    "Weighting",
    "coarse_head",
    "drawn_ring",
    "expand",
    "fill_holes",
    "gather",
    "group_files",
    "in_file_axes",
    "in_window",
    "largest_region",
    "outcome",
    "phantom",
    "place_on_scan",
    "prepare",
    "prepare_outline",
    "prepare_within",
    "read",
    "read_all",
    "read_group",
    "restore",
    "safe_name",
    "several_heads",
    "small_head",
    "survey",
    "walk",
]
