"""The comparison of networks: its files, and the tables and sections that pages make of them."""

from braintumor.dashboard.comparison.files import (
    COMMAND,
    Comparison,
    ComparisonError,
    comparison_stamp,
    read_comparison,
)
from braintumor.dashboard.comparison.tables import interval_table, overview, paired_intervals, same_pictures

__all__ = [
    "COMMAND",
    "Comparison",
    "ComparisonError",
    "comparison_stamp",
    "interval_table",
    "overview",
    "paired_intervals",
    "read_comparison",
    "same_pictures",
]
