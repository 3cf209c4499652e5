"""Bytes to scans, and scans to what a network sees."""

from braintumor.scans.archive import expand
from braintumor.scans.color import COLORED, MARKED
from braintumor.scans.files import StoredFile
from braintumor.scans.fitness import drawn_ring, has_ct_skull, several_heads
from braintumor.scans.intake import bounded, gather, outcome, read, read_all
from braintumor.scans.limits import DEFAULT_LIMITS, Limits, PixelBudget
from braintumor.scans.paths import files_at, survey, walk
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
    with_square_pixels,
)
from braintumor.scans.restoration import BACKGROUND, FRAME, INVERTED, OUTLIERS, Restored, restore
from braintumor.scans.sample import phantom
from braintumor.scans.scan import LeftOutError, Placement, Scan, ScanError, safe_name
from braintumor.scans.series import Patient, Series, SeriesNote, Unjudged, Weighting, stated_weighting
from braintumor.scans.units import WEIGHTING_WORDS, NotJudgedError, Unit, kind_words
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
    "WEIGHTING_WORDS",
    "Box",
    "CoarseHead",
    "LeftOutError",
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
    "bounded",
    "coarse_head",
    "drawn_ring",
    "expand",
    "files_at",
    "fill_holes",
    "gather",
    "has_ct_skull",
    "in_file_axes",
    "in_window",
    "kind_words",
    "largest_region",
    "outcome",
    "phantom",
    "place_on_scan",
    "prepare",
    "prepare_outline",
    "prepare_within",
    "read",
    "read_all",
    "restore",
    "safe_name",
    "several_heads",
    "small_head",
    "stated_weighting",
    "survey",
    "walk",
    "with_square_pixels",
]
