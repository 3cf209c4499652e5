"""What the viewer in the browser asks for, which may be anything: a browser is not trusted."""

from dataclasses import dataclass

_LONGEST_KEY = 256


@dataclass(frozen=True)
class Wish:
    """A wish for the next case (1) or the one before (-1), made ``at`` a time; ``whole`` is the scene wanted whole."""

    step: int = 0
    at: float = 0.0
    whole: str = ""


def read_wish(value: object) -> Wish:
    """Read what a browser sent; whatever is no wish wishes nothing."""
    if not isinstance(value, dict):
        return Wish()
    step, at, whole = value.get("step"), value.get("at"), value.get("whole")
    return Wish(
        step if type(step) is int and step in (1, -1) else 0,
        # NaN is no time, and equals not even itself.
        at if isinstance(at, int | float) and not isinstance(at, bool) and at == at else 0.0,
        whole if isinstance(whole, str) and len(whole) <= _LONGEST_KEY else "",
    )
