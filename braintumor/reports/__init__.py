"""Answers and figures in the forms that people read and take away."""

from braintumor.reports.numbers import figure, in_words, interval, percent, stated
from braintumor.reports.tables import DECISION_WORDS, answers_csv, answers_table, guarded

__all__ = [
    "DECISION_WORDS",
    "answers_csv",
    "answers_table",
    "figure",
    "guarded",
    "in_words",
    "interval",
    "percent",
    "stated",
]
