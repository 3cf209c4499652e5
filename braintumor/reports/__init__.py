"""Answers in the forms that people take away."""

from braintumor.reports.tables import answers_csv, answers_table

__all__ = ["answers_csv", "answers_table"]
