"""Networks by name; each is flat, Functional, backend-neutral Keras and answers with one logit a class."""

from braintumor.networks.registry import NETWORKS, Network, build, registered

__all__ = ["NETWORKS", "Network", "build", "registered"]
