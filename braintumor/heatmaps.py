"""Where the cells of a network's last feature map lie on the picture it was given."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class CellGrid:
    """Placement of feature-map cells on a square input of ``size`` pixels a side.

    The first cell's center lies ``first`` pixels from the edge and the others ``step`` apart. A network that does not
    pad its convolutions sees the edges less, so its cells do not cover the whole picture. Raises ``ValueError``
    for a step that is not above 0.
    """

    size: int
    first: float
    step: float

    def __post_init__(self) -> None:
        if not self.step > 0:
            raise ValueError(f"step is {self.step}; it must be above 0 pixels")

    def to_square(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Spread (k, k) cells over the picture: float32 (size, size); beyond the outer cells their values go on."""
        reach = int(np.ceil(self.first / self.step)) + 1
        padded = Image.fromarray(np.pad(np.asarray(cells, dtype=np.float32), reach, mode="edge"))
        start = reach + 0.5 - self.first / self.step
        box = (start, start, start + self.size / self.step, start + self.size / self.step)
        square = padded.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        return np.clip(np.asarray(square, dtype=np.float32), cells.min(), cells.max())


def scaled_map(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale a map of values 0 or more so that its highest is 1; a map of zeros stays zero."""
    highest = float(values.max())
    return np.asarray(values / highest if highest > 0 else values, dtype=np.float32)
