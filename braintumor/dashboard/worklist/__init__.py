"""The worklist of the reading room: which scans lie on the desk, and which of them is open."""

from braintumor.dashboard.worklist.worklist import opened_case, show_worklist

__all__ = ["opened_case", "show_worklist"]
