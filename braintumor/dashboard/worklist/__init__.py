"""The worklist of the reading room: which scans lie on the desk, and which of them is open."""

from braintumor.dashboard.worklist.worklist import open_beside, opened_case, show_worklist

__all__ = ["open_beside", "opened_case", "show_worklist"]
