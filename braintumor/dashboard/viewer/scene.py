"""A scan as the viewer in the browser gets it: its slices and what the model says of each place of them, as bytes."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braintumor.dashboard.answers import Answer
from braintumor.dashboard.viewer.kept import once
from braintumor.dashboard.viewer.planes import Plane, planes_of
from braintumor.dashboard.viewer.slice_layers import outlined, palette, square_on_stack, view
from braintumor.dashboard.viewer.words import heatmap_words, shown_words
from braintumor.explanation import METHODS
from braintumor.taxonomy import ANY_TUMOR, FINDING_TITLES, NO_TUMOR

_MASKS = "_masks_of_scenes"
_SENT_AT_ONCE = 2**18
"""Voxels of a stack that is sent as one; ahead of a larger one goes its first picture."""
_COARSE = 4
"""Of the rest of a stack every fourth voxel goes with the first picture."""


@dataclass(frozen=True)
class Heatmap:
    """A heatmap of the slice that answers: its method, and float32 (h, w) from 0 to 1 over the prepared square."""

    method: str
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """What the viewer shows of an answer; ``steps`` tells whether its keys lead to other cases."""

    answer: Answer
    heatmap: Heatmap | None = None
    steps: bool = False

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The slices of the scan that are shown, by number, in order."""
        return tuple(self.answer.slices) or (self.answer.prediction.slice_number,)

    @cached_property
    def stack(self) -> NDArray[np.uint8]:
        """The slices as they are sent, uint8 (slices, height, width); one alone is enlarged, so that lines are fine."""
        if self.answer.slices:
            return np.stack([self.answer.slices[number] for number in self.numbers])
        return view(self.answer, self.answer.prediction.slice_number)[np.newaxis]

    @cached_property
    def key(self) -> str:
        """Tells what is shown from all else."""
        return f"{self.answer.key}-{self.answer.prediction.sha256}-{self._method}"

    @property
    def has_first(self) -> bool:
        """Whether the stack is so large that its first picture goes ahead of it."""
        return len(self.numbers) > 1 and self.stack.size > _SENT_AT_ONCE

    def arguments(self) -> dict[str, Any]:
        """Give what the component takes: a layout that is JSON, and the bytes that it describes."""
        mask, maps = self._mask(), self._maps(self.numbers)
        return self._arguments(
            self._layout(maps, is_whole=True),
            self.stack.tobytes(),
            b"" if maps is None else maps.tobytes(),
            b"" if mask is None else mask,
        )

    def first_arguments(self) -> dict[str, Any]:
        """Give what the component needs for the first picture, a fortieth of all: it asks for the rest by itself.

        ``volume`` then holds the planes through the focus, the own one first, and every fourth voxel of the stack along
        each axis; ``maps`` and ``mask`` are those of the own slice.
        """
        number = self.answer.prediction.slice_number
        maps = self._maps((number,))
        layout = self._layout(maps, is_whole=False)
        row, column = layout["focus"]
        stack, sparse = self.stack, slice(None, None, _COARSE)
        parts = (stack[layout["own"]], stack[:, row], stack[:, :, column], stack[sparse, sparse, sparse])
        return self._arguments(
            layout,
            b"".join(part.tobytes() for part in parts),
            b"" if maps is None else maps.tobytes(),
            np.packbits(self._outlined(number)).tobytes() if self._outlined_numbers() else b"",
        )

    def _arguments(self, layout: dict[str, Any], volume: bytes, maps: bytes, mask: bytes) -> dict[str, Any]:
        return {
            **{"layout": layout, "volume": volume, "maps": maps, "mask": mask},
            "heat": b"" if self.heatmap is None else _bytes_of(self.heatmap.values).tobytes(),
            "palette": palette().astype(np.uint8).tobytes(),
        }

    @property
    def _method(self) -> str:
        return self.heatmap.method if self.heatmap else ""

    @property
    def _own(self) -> int:
        return self.numbers.index(self.answer.prediction.slice_number)

    def _layout(self, maps: NDArray[np.uint8] | None, *, is_whole: bool) -> dict[str, Any]:
        prediction = self.answer.prediction
        squares = [square_on_stack(prediction, number, self.stack.shape[1:]) for number in self.numbers]
        own = self._own
        return {
            "key": self.key,
            "isWhole": is_whole,
            "coarse": _COARSE,
            "title": "Viewer of the scan",
            "shape": self.stack.shape,
            "numbers": self.numbers,
            "count": len(prediction.slices),
            "own": own,
            "focus": self._focus(None if maps is None else maps[own if is_whole else 0]),
            "spacing": self._spacing(),
            "pixelsPer": prediction.shape[1] / self.stack.shape[1],
            "planes": [plane.told() for plane in self._planes()],
            "squares": [(square.top, square.left, square.side) for square in squares],
            "mapShape": None if maps is None else maps.shape[1:],
            "p": self._curve(),
            "line": prediction.outlined_from,
            "restsOn": self._rests_on(),
            "words": [shown_words(prediction, number) for number in self.numbers],
            "heatTitle": self._heat_title(),
            "heatWords": heatmap_words(prediction.finding) if prediction.finding else "",
            "steps": self.steps,
        }

    def _heat_title(self) -> str:
        finding = self.answer.prediction.finding
        kind = "" if finding in (None, NO_TUMOR, ANY_TUMOR) else f" of {FINDING_TITLES[str(finding)].lower()}"
        return f"{METHODS[self._method]}{kind}" if self._method else ""

    def _planes(self) -> Sequence[Plane]:
        prediction = self.answer.prediction
        return planes_of(self.answer.affine, many=len(self.numbers) > 1, oriented=prediction.oriented)

    def _spacing(self) -> tuple[float, float, float] | None:
        """Size of a sent voxel in millimeters, (slice, row, column); None where the file does not tell it."""
        spacing, shape = self.answer.prediction.spacing, self.answer.prediction.shape
        if spacing is None:
            return None
        step = self.numbers[1] - self.numbers[0] if len(self.numbers) > 1 else 1
        rows, columns = self.stack.shape[1:]
        return spacing[0] * step, spacing[1] * shape[1] / rows, spacing[2] * shape[2] / columns

    def _curve(self) -> list[float]:
        """P(tumor) of each sent slice; empty for a single one, and where the scan is not assessed."""
        if len(self.numbers) == 1 or not self._is_assessed:
            return []
        return [self._p_tumor(number) for number in self.numbers]

    def _p_tumor(self, number: int) -> float:
        found = self.answer.prediction.slices[number]
        # An empty slice has no say, whatever the network makes of it.
        return round(found.p_tumor, 4) if found.prepared.image.any() else 0.0

    @property
    def _is_assessed(self) -> bool:
        return self.answer.prediction.finding is not None

    def _rests_on(self) -> list[int]:
        """First and last of the sent slices that the answer rests on, by their place; empty where it rests on none."""
        if not self._is_assessed:
            return []
        held = [place for place, number in enumerate(self.numbers) if number in self.answer.prediction.rests_on]
        return [held[0], held[-1]] if held else []

    def _focus(self, tumor_map: NDArray[np.uint8] | None) -> tuple[int, int]:
        """Row and column that the other planes go through at first: where the tumor map is highest, else the middle."""
        rows, columns = self.stack.shape[1:]
        if tumor_map is None or not tumor_map.any():
            return rows // 2, columns // 2
        row, column = np.unravel_index(int(tumor_map.argmax()), tumor_map.shape)
        square = square_on_stack(self.answer.prediction, self.numbers[self._own], (rows, columns))
        down = square.top + (float(row) + 0.5) / tumor_map.shape[0] * square.side
        across = square.left + (float(column) + 0.5) / tumor_map.shape[1] * square.side
        return min(max(int(down), 0), rows - 1), min(max(int(across), 0), columns - 1)

    def _maps(self, numbers: Sequence[int]) -> NDArray[np.uint8] | None:
        """The tumor map of each of these slices, uint8 (slices, h, w); None from a network that does not locate.

        A scan that is not assessed has none either.
        """
        if not self._is_assessed:
            return None
        found = [self.answer.prediction.slices[number].tumor_map for number in numbers]
        placed = [values for values in found if values is not None]
        return np.stack([_bytes_of(values) for values in placed]) if len(placed) == len(found) else None

    def _outlined_numbers(self) -> list[int]:
        """The slices on which something is outlined."""
        prediction = self.answer.prediction
        if not self._is_assessed or not prediction.locates:
            return []
        return [number for number in self.numbers if prediction.outlines(number)]

    def _outlined(self, number: int) -> NDArray[np.bool_]:
        """What the outlines of a slice enclose, bool (height, width)."""
        prediction, shape = self.answer.prediction, self.stack.shape[1:]
        found = prediction.slices[number].outlined(square_on_stack(prediction, number, shape), shape)
        return np.zeros(shape, dtype=bool) if found is None or not prediction.outlines(number) else found

    def _mask(self) -> bytes | None:
        """What the outlines enclose, a bit a voxel; None where nothing is outlined. Made once a session."""
        drawn = self._outlined_numbers()
        if not drawn:
            return None

        if len(self.numbers) == 1:
            return np.packbits(np.asarray(outlined(self.answer, self.numbers[0]))).tobytes()

        def make() -> bytes:
            mask = np.zeros(self.stack.shape, dtype=bool)
            for number in drawn:
                mask[self.numbers.index(number)] = self._outlined(number)
            return zlib.compress(np.packbits(mask).tobytes(), 1)

        return zlib.decompress(once(_MASKS, (self.answer.prediction.sha256, self.stack.shape), make))


def _bytes_of(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(shares, 0, 1) * 255), dtype=np.uint8)
