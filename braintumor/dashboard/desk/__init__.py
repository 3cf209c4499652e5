"""A user's desk: the scans that lie on it, and the job that answers them while the user looks at something else."""

from braintumor.dashboard.desk.case import Case
from braintumor.dashboard.desk.desk import Desk, Intake, Progress
from braintumor.dashboard.desk.desks import desk_of, forgetting, sweep

__all__ = ["Case", "Desk", "Intake", "Progress", "desk_of", "forgetting", "sweep"]
