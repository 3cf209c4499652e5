"""Figures in words, one way for pages, charts and documents."""

import math
from collections.abc import Mapping, Sequence


def percent(share: float | None) -> str:
    """Write a share in [0, 1] as ``91.3%``; a dash where undefined."""
    return figure(share)


def figure(value: float | None, is_share: bool = True) -> str:
    """Write a share in [0, 1] as ``91.3%``, and what is not a share as ``0.982``; a dash where undefined."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{_number(value, is_share)}%" if is_share else _number(value, is_share)


def interval(low: float, high: float, is_share: bool = True) -> str:
    """Write bounds of a figure as ``88.0 to 94.1`` or ``0.960 to 0.997``; ``no interval`` where undefined."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval"
    return f"{_number(low, is_share)} to {_number(high, is_share)}"


def in_words(value: float, low: float, high: float, is_share: bool = True) -> str:
    """Write a figure with its interval, as ``91.3% (88.0 to 94.1)``; without bounds it stands alone."""
    known = math.isfinite(value) and math.isfinite(low) and math.isfinite(high)
    return figure(value, is_share) + (f" ({interval(low, high, is_share)})" if known else "")


def stated(probability: float) -> str:
    """Write a probability that the model states, in whole percent; it never claims to be certain."""
    if probability > 0.99:
        return "over 99%"
    return "under 1%" if probability < 0.01 else f"{probability:.0%}"


def spread(figure: Mapping[str, float | None]) -> tuple[float, float, float]:
    """Take a figure {"value", "low", "high"} apart; NaN for what is None or not there."""
    value, low, high = (
        math.nan if (found := figure.get(key)) is None else float(found) for key in ("value", "low", "high")
    )
    return value, low, high


def listed(names: Sequence[str]) -> str:
    """Join names as ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _number(value: float, is_share: bool) -> str:
    return f"{100 * value:.1f}" if is_share else f"{value:.3f}"
