"""Two volumes of one head laid on each other."""

from braintumor.registration.features import Volume
from braintumor.registration.rigid import Alignment, align, moved

__all__ = ["Alignment", "Volume", "align", "moved"]
