"""Brain tumor classification of MRI slices: decision support, never a diagnosis."""

__version__ = "0.1.0"
