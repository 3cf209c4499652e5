"""What goes to a patient's file: answers as a table and as CSV, masks as files, and figures and codes in words."""

from braintumor.reports.masks import has_mask, has_outline, mask_ending, mask_file, mask_name, masks_zip
from braintumor.reports.numbers import figure, in_words, interval, listed, percent, spread, stated
from braintumor.reports.tables import MEASURES, Answered, answers_csv, answers_table, guarded
from braintumor.reports.words import DECISION_WORDS, NOTE_WORDS, REFERRAL_WORDS, reason_words

__all__ = [
    "DECISION_WORDS",
    "MEASURES",
    "NOTE_WORDS",
    "REFERRAL_WORDS",
    "Answered",
    "answers_csv",
    "answers_table",
    "figure",
    "guarded",
    "has_mask",
    "has_outline",
    "in_words",
    "interval",
    "listed",
    "mask_ending",
    "mask_file",
    "mask_name",
    "masks_zip",
    "percent",
    "reason_words",
    "spread",
    "stated",
]
