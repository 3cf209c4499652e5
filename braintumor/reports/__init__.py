"""Answers and figures in the forms that people read and take away."""

from braintumor.reports.masks import has_mask, mask_ending, mask_file, mask_name, masks_zip
from braintumor.reports.numbers import figure, in_words, interval, percent, stated
from braintumor.reports.tables import DECISION_WORDS, MEASURES, Answered, answers_csv, answers_table, guarded

__all__ = [
    "DECISION_WORDS",
    "MEASURES",
    "Answered",
    "answers_csv",
    "answers_table",
    "figure",
    "guarded",
    "has_mask",
    "in_words",
    "interval",
    "mask_ending",
    "mask_file",
    "mask_name",
    "masks_zip",
    "percent",
    "stated",
]
