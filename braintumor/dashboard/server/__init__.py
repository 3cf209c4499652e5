"""The server around the pages: who may upload and how much, what a response allows, whose turn it is to compute."""

from braintumor.dashboard.server.application import MIDDLEWARE, lifespan
from braintumor.dashboard.server.sessions import admit, dismiss
from braintumor.dashboard.server.workload import turn

__all__ = ["MIDDLEWARE", "admit", "dismiss", "lifespan", "turn"]
