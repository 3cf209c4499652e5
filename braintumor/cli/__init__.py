"""The command ``braintumor``, which is ``python -m braintumor``; each module adds its verbs to the app."""

from braintumor.cli import accounts, data, models, predict, training
from braintumor.cli.app import main

__all__ = ["accounts", "data", "main", "models", "predict", "training"]
