"""A scan as the viewer in the browser gets it: its slices and what the model says of each place of them, as bytes."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braintumor.dashboard.answers import Answer
from braintumor.dashboard.viewer.drawing import outlined, palette, square_on_stack, view
from braintumor.dashboard.viewer.kept import once
from braintumor.dashboard.viewer.planes import Plane, planes_of
from braintumor.dashboard.viewer.words import heatmap_words, shown_words
from braintumor.explanation import METHODS
from braintumor.taxonomy import ANY_TUMOR, FINDING_TITLES, NO_TUMOR

_MASKS = "_masks_of_scenes"


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

    def arguments(self) -> dict[str, Any]:
        """Give what the component takes: a layout that is JSON, and the bytes that it describes."""
        mask, maps = self._mask(), self._maps()
        return {
            "layout": self._layout(maps),
            "volume": self.stack.tobytes(),
            "maps": b"" if maps is None else maps.tobytes(),
            "mask": b"" if mask is None else mask,
            "heat": b"" if self.heatmap is None else _bytes_of(self.heatmap.values).tobytes(),
            "palette": palette().astype(np.uint8).tobytes(),
        }

    def _layout(self, maps: NDArray[np.uint8] | None) -> dict[str, Any]:
        answer, prediction = self.answer, self.answer.prediction
        squares = [square_on_stack(prediction, number, self.stack.shape[1:]) for number in self.numbers]
        own = self.numbers.index(prediction.slice_number)
        method = self.heatmap.method if self.heatmap else ""
        return {
            "key": f"{answer.key}-{prediction.sha256}-{method}",
            "title": "Viewer of the scan",
            "shape": self.stack.shape,
            "numbers": self.numbers,
            "count": len(prediction.slices),
            "own": own,
            "focus": self._focus(own, maps),
            "spacing": self._spacing(),
            "pixelsPer": prediction.shape[1] / self.stack.shape[1],
            "planes": [plane.told() for plane in self._planes()],
            "squares": [(square.top, square.left, square.side) for square in squares],
            "mapShape": None if maps is None else maps.shape[1:],
            "p": [self._p_tumor(number) for number in self.numbers] if len(self.numbers) > 1 else [],
            "line": prediction.outlined_from,
            "restsOn": self._rests_on(),
            "words": [shown_words(prediction, number) for number in self.numbers],
            "heatTitle": self._heat_title(method),
            "heatWords": heatmap_words(prediction.finding) if prediction.finding else "",
            "steps": self.steps,
        }

    def _heat_title(self, method: str) -> str:
        finding = self.answer.prediction.finding
        kind = "" if finding in (None, NO_TUMOR, ANY_TUMOR) else f" of {FINDING_TITLES[str(finding)].lower()}"
        return f"{METHODS[method]}{kind}" if method else ""

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

    def _p_tumor(self, number: int) -> float:
        found = self.answer.prediction.slices[number]
        # An empty slice has no say, whatever the network makes of it.
        return round(found.p_tumor, 4) if found.prepared.image.any() else 0.0

    def _rests_on(self) -> list[int]:
        """First and last of the sent slices that the answer rests on, by their place; empty where it rests on none."""
        held = [place for place, number in enumerate(self.numbers) if number in self.answer.prediction.rests_on]
        return [held[0], held[-1]] if held else []

    def _focus(self, own: int, maps: NDArray[np.uint8] | None) -> tuple[int, int]:
        """Row and column that the other planes go through at first: where the tumor map is highest, else the middle."""
        rows, columns = self.stack.shape[1:]
        if maps is None or not maps[own].any():
            return rows // 2, columns // 2
        row, column = np.unravel_index(int(maps[own].argmax()), maps[own].shape)
        square = square_on_stack(self.answer.prediction, self.numbers[own], (rows, columns))
        down = square.top + (float(row) + 0.5) / maps.shape[1] * square.side
        across = square.left + (float(column) + 0.5) / maps.shape[2] * square.side
        return min(max(int(down), 0), rows - 1), min(max(int(across), 0), columns - 1)

    def _maps(self) -> NDArray[np.uint8] | None:
        """The tumor map of each slice, uint8 (slices, h, w); None from a network that does not locate."""
        found = [self.answer.prediction.slices[number].tumor_map for number in self.numbers]
        placed = [values for values in found if values is not None]
        return np.stack([_bytes_of(values) for values in placed]) if len(placed) == len(found) else None

    def _mask(self) -> bytes | None:
        """What the outlines enclose, a bit a voxel; None where nothing is outlined. Made once a session."""
        prediction = self.answer.prediction
        drawn = [number for number in self.numbers if prediction.outlines(number)]
        if prediction.finding is None or not prediction.locates or not drawn:
            return None

        if len(self.numbers) == 1:
            return np.packbits(np.asarray(outlined(self.answer, self.numbers[0]))).tobytes()

        def make() -> bytes:
            shape = self.stack.shape[1:]
            mask = np.zeros(self.stack.shape, dtype=bool)
            for number in drawn:
                square = square_on_stack(prediction, number, shape)
                mask[self.numbers.index(number)] = prediction.slices[number].outlined(square, shape)
            return zlib.compress(np.packbits(mask).tobytes(), 1)

        return zlib.decompress(once(_MASKS, (prediction.sha256, self.stack.shape), make))


def _bytes_of(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(shares, 0, 1) * 255), dtype=np.uint8)
