"""Brain tumor classification of MRI slices: decision support, never a diagnosis."""

__version__ = "5.2.0.dev0"
