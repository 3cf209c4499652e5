"""The planes of a stack of slices: which axes they show, and which side of the patient lies where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
"""Where each axis of the patient's space (RAS+) comes from and goes to."""
_AT_TOP, _AT_LEFT = "SA", "RA"
"""What radiologists look for at the top of a picture and at its left."""
_PLANES = {"S": "Axial", "A": "Coronal", "R": "Sagittal"}


@dataclass(frozen=True)
class Plane:
    """One plane through a stack (slice, row, column): the axis it stands on, and those that run down and across.

    ``flip_down`` and ``flip_across`` tell that an axis runs the other way on the picture. ``sides`` are the letters at
    the top, bottom, left and right, L, R, A, P, S or I, with a question mark where the file leaves the sides open, and
    empty where they are unknown.
    """

    axis: int
    down: int
    across: int
    name: str
    sides: tuple[str, str, str, str] = ("", "", "", "")
    flip_down: bool = False
    flip_across: bool = False

    def told(self) -> dict[str, Any]:
        """Give the plane as the component in the browser reads it."""
        return {
            "axis": self.axis,
            "down": self.down,
            "across": self.across,
            "name": self.name,
            "sides": dict(zip(("top", "bottom", "left", "right"), self.sides, strict=True)),
            "flipDown": self.flip_down,
            "flipAcross": self.flip_across,
        }


def planes_of(affine: Sequence[Sequence[float]] | None, *, many: bool, oriented: bool = True) -> tuple[Plane, ...]:
    """Give the planes of a stack, its own first; of a single slice, or of one that lies nowhere, only its own.

    ``affine`` is a ``Scan``'s, ``many`` whether there are several slices, ``oriented`` whether the file says how its
    axes lie. The own plane is shown as the slices are stored; the others stand as radiologists expect them: the
    patient's top or front above, right or front at the left.
    """
    if affine is None:
        return (Plane(0, 1, 2, ""),)
    ends = _ends(np.asarray(affine, dtype=np.float64))
    doubt = "" if oriented else "?"
    own = Plane(0, 1, 2, _name(ends[0]), _sides(ends, 1, 2, doubt))
    if not many:
        return (own,)
    return (own, _standing(ends, 1, doubt), _standing(ends, 2, doubt))


def _ends(affine: np.ndarray[Any, np.dtype[np.float64]]) -> list[tuple[str, str]]:
    """Name where each axis of a stack comes from and goes to; each axis of the patient is named once."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    ends: list[tuple[str, str]] = [("", "")] * 3
    open_axes, open_spaces = [0, 1, 2], [0, 1, 2]
    while open_axes:
        axis, space = max(
            ((axis, space) for axis in open_axes for space in open_spaces),
            key=lambda pair: abs(directions[pair[1], pair[0]]),
        )
        low, high = _ENDS[space]
        ends[axis] = (low, high) if directions[space, axis] > 0 else (high, low)
        open_axes.remove(axis)
        open_spaces.remove(space)
    return ends


def _name(ends: tuple[str, str]) -> str:
    return next(name for letter, name in _PLANES.items() if letter in ends)


def _sides(ends: list[tuple[str, str]], down: int, across: int, doubt: str) -> tuple[str, str, str, str]:
    (top, bottom), (left, right) = ends[down], ends[across]
    return top + doubt, bottom + doubt, left + doubt, right + doubt


def _standing(ends: list[tuple[str, str]], axis: int, doubt: str) -> Plane:
    """Set a plane across the stack upright: the patient's top or, in axial ones, front is above."""
    others = [other for other in range(3) if other != axis]
    down = min(others, key=lambda other: ("S" not in ends[other], "A" not in ends[other]))
    (across,) = (other for other in others if other != down)
    flip_down, flip_across = ends[down][0] not in _AT_TOP, ends[across][0] not in _AT_LEFT
    turned = list(ends)
    turned[down] = ends[down][::-1] if flip_down else ends[down]
    turned[across] = ends[across][::-1] if flip_across else ends[across]
    return Plane(axis, down, across, _name(ends[axis]), _sides(turned, down, across, doubt), flip_down, flip_across)
