"""The command ``braintumor``, which is ``python -m braintumor``; each module adds its verbs to the app."""

from braintumor.cli import accounts, api, audit, data, federated, models, pacs, predict, series, training, vault
from braintumor.cli.app import main

__all__ = [
    "accounts",
    "api",
    "audit",
    "data",
    "federated",
    "main",
    "models",
    "pacs",
    "predict",
    "series",
    "training",
    "vault",
]
