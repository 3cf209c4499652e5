"""Two volumes of one head laid on each other, and what was outlined in both matched."""

from braintumor.registration.features import Volume
from braintumor.registration.lesion_pairs import Match, Outline, match
from braintumor.registration.rigid import Alignment, align, moved
from braintumor.registration.slices import slice_through

__all__ = ["Alignment", "Match", "Outline", "Volume", "align", "match", "moved", "slice_through"]
