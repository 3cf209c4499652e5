"""The viewer of the reading room: a scan with its overlays, and its answer beside it."""

from braintumor.dashboard.viewer.answer_card import show_answer
from braintumor.dashboard.viewer.scan_view import show_scan

__all__ = ["show_answer", "show_scan"]
