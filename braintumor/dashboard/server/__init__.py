"""The server around the pages: who may upload and how much, what a response allows, whose turn it is to compute."""

from braintumor.dashboard.server.application import MIDDLEWARE, lifespan
from braintumor.dashboard.server.sessions import admit, at_end, dismiss, presence, release
from braintumor.dashboard.server.workload import turn

__all__ = ["MIDDLEWARE", "admit", "at_end", "dismiss", "lifespan", "presence", "release", "turn"]
