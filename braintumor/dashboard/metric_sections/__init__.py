"""The sections of the training-metrics page, a module each with a function ``show``."""
