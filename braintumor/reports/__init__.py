"""Answers and figures in the forms that people read and take away."""

from braintumor.reports.failures import referral_reasons
from braintumor.reports.headlines import HEADLINES, MIRRORED, PUBLISHED, SPLITS, TEST, Headline, bounds
from braintumor.reports.hospitals import hospital_sentence
from braintumor.reports.masks import has_mask, mask_ending, mask_file, mask_name, masks_zip
from braintumor.reports.model_card import model_card
from braintumor.reports.names import source
from braintumor.reports.numbers import figure, in_words, interval, listed, percent, spread, stated
from braintumor.reports.tables import MEASURES, Answered, answers_csv, answers_table, guarded
from braintumor.reports.words import DECISION_WORDS, NOTE_WORDS, reason_words

__all__ = [
    "DECISION_WORDS",
    "HEADLINES",
    "MEASURES",
    "MIRRORED",
    "NOTE_WORDS",
    "PUBLISHED",
    "SPLITS",
    "TEST",
    "Answered",
    "Headline",
    "answers_csv",
    "answers_table",
    "bounds",
    "figure",
    "guarded",
    "has_mask",
    "hospital_sentence",
    "in_words",
    "interval",
    "listed",
    "mask_ending",
    "mask_file",
    "mask_name",
    "masks_zip",
    "model_card",
    "percent",
    "reason_words",
    "referral_reasons",
    "source",
    "spread",
    "stated",
]
