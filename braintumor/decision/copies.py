"""Was a picture, or a copy of it, in the training set: signatures that match under turns, mirrors and small crops."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]
Singles = npt.NDArray[np.float32]

SIDE = 64
"""Side in pixels to which squares are shrunk before they are compared."""

_CELLS = 32
_AXES, _BITS = 64, 448
"""Of 40 to 160 axes 64 know crops best where one in a thousand foreign slices matches; more bits are more bytes."""

_STEPS = 127
_RIDGE = 0.01
_TURNS = 8
_CROPS = (
    (2, 2, 2, 2), (4, 4, 4, 4), (3, 0, 3, 0), (3, 0, 0, 3), (0, 3, 3, 0), (0, 3, 0, 3),
    (3, 0, 0, 0), (0, 3, 0, 0), (0, 0, 3, 0), (0, 0, 0, 3),
)  # fmt: skip
"""Pixels of the square that may have been cut off above, below, left and right, to be put back before comparing."""
_WORTH_TRYING = 2
"""A picture with more than so many times the limit of wrong bits is no cropped copy, so that crops are not tried."""


@dataclass(frozen=True, eq=False)
class CopyDetector:
    """Signatures of the pictures that a network learned from, and what makes one.

    A signature is the signs of random directions in the ``axes`` that tell pictures apart best for how little small
    crops, another size and storing with loss move them (linear discriminant analysis, Fisher 1936; signs of random
    projections, Charikar 2002). A picture of 32 × 32 cells is centered by ``mean`` (1024,). ``axes`` (1024, k) are in
    steps of ``scale`` (k,), ``directions`` (k, bits) are -1 or 1, and ``signatures`` are packed, (n, bits / 8). In a
    copy at most ``limit`` bits differ.
    """

    mean: Singles
    axes: npt.NDArray[np.int8]
    scale: Singles
    directions: npt.NDArray[np.int8]
    signatures: Bytes
    limit: int

    @classmethod
    def fit(cls, squares: Bytes, changed: Bytes, of: npt.NDArray[np.integer], seed: int = 0) -> "CopyDetector":
        """Learn from squares (n, 64, 64), and from ``changed`` (m, 64, 64), upright, each of square number ``of`` (m,).

        No square is a copy before ``with_limit`` sets the limit.
        """
        from scipy.linalg import eigh

        cells = _cells(squares)
        moves = _turned(_cells(changed) - cells[of])
        pictures = _turned(cells)
        mean = pictures.mean(axis=0)
        within = moves.T @ moves / len(moves)
        within += _RIDGE * np.trace(within) / len(within) * np.eye(len(within))
        ratio, axes = eigh(np.cov(pictures.T), within, subset_by_index=(len(within) - _AXES, len(within) - 1))
        axes = axes / ((pictures - mean) @ axes).std(axis=0) * np.sqrt(ratio / (ratio + 1))
        scale = np.abs(axes).max(axis=0) / _STEPS
        directions = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), size=(_AXES, _BITS))
        steps = np.rint(axes / scale).astype(np.int8)
        made = cls(_singles(mean), steps, _singles(scale), directions, np.zeros((0, _BITS // 8), np.uint8), -1)
        return replace(made, signatures=np.packbits(made._bits(cells.reshape(len(cells), -1)), axis=1))

    def with_limit(self, squares: Bytes, most: float) -> "CopyDetector":
        """Set the limit so that of other pictures, squares (n, 64, 64), at most the share ``most`` counts as copies."""
        wrong = np.sort(self.distance(squares))
        return replace(self, limit=int(wrong[int(most * len(wrong))]) - 1)

    def distance(self, squares: Bytes) -> npt.NDArray[np.int64]:
        """Count the bits in which squares (n, 64, 64) differ from the signature they are most like: (n,).

        They are turned, mirrored, and, where that may make a copy, have a cropped rim put back.
        """
        wrong = self._wrong(squares)
        near = np.flatnonzero(wrong <= (_WORTH_TRYING * self.limit if self.limit >= 0 else _BITS))
        for crop in _CROPS if len(near) else ():
            wrong[near] = np.minimum(wrong[near], self._wrong(_uncropped(squares[near], crop)))
        return wrong

    def is_copy(self, squares: Bytes) -> npt.NDArray[np.bool_]:
        """Tell which squares (n, 64, 64) are copies of pictures that the network learned from: (n,) bool."""
        return np.asarray(self.distance(squares) <= self.limit)

    def save(self, path: Path) -> None:
        """Write everything to ``path`` as plain arrays (``.npz``)."""
        with path.open("wb") as file:
            np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "CopyDetector":
        """Read what ``save`` wrote; raises ``ValueError`` for a file that is something else."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                mean, axes, scale = stored["mean"], stored["axes"], stored["scale"]
                return cls(mean, axes, scale, stored["directions"], stored["signatures"], int(stored["limit"]))
        except (KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as problem:
            raise ValueError(f"{path.name} holds no signatures of pictures") from problem

    @cached_property
    def _signs(self) -> Singles:
        """Signatures as -1 and 1, (bits, n), so that a product counts the bits that are alike."""
        return np.ascontiguousarray((2.0 * np.unpackbits(self.signatures, axis=1) - 1).T.astype(np.float32))

    @cached_property
    def _projection(self) -> Singles:
        return (self.axes * self.scale) @ self.directions.astype(np.float32)

    def _bits(self, rows: Singles) -> npt.NDArray[np.bool_]:
        return np.asarray((rows - self.mean) @ self._projection > 0)

    def _wrong(self, squares: Bytes) -> npt.NDArray[np.int64]:
        cells = _cells(squares)
        alike = np.full(len(squares), -float(_BITS))
        for rows in _turns(cells):
            signs = np.where(self._bits(rows), np.float32(1), np.float32(-1))
            alike = np.maximum(alike, (signs @ self._signs).max(axis=1, initial=-_BITS))
        # A flat picture is a copy of none.
        alike[~cells.any(axis=(1, 2))] = -_BITS
        return np.asarray((_BITS - alike) / 2, dtype=np.int64)


def small_square(image: Bytes) -> Bytes:
    """Shrink what a network is shown, uint8 (side, side), to what is compared: uint8 (64, 64)."""
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX))


def _cells(squares: Bytes) -> Singles:
    """Give the cells (n, 32, 32) of squares, each of mean 0 and norm 1, or all 0 where a square is flat."""
    block = SIDE // _CELLS
    grey = squares.reshape(len(squares), _CELLS, block, _CELLS, block).mean(axis=(2, 4), dtype=np.float32)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    norm = np.sqrt((grey**2).sum(axis=(1, 2), keepdims=True))
    return _singles(np.divide(grey, norm, out=np.zeros_like(grey), where=norm > 1))


def _singles(values: npt.ArrayLike) -> Singles:
    return np.asarray(values, dtype=np.float32)


def _turns(cells: Singles) -> Iterator[Singles]:
    """Give pictures (n, 32, 32) in each of eight turns and mirrors, as rows (n, 1024)."""
    for turn in range(_TURNS):
        turned = np.rot90(cells, turn % 4, axes=(1, 2))
        yield (turned if turn < 4 else turned[:, :, ::-1]).reshape(len(cells), -1)


def _turned(cells: Singles) -> npt.NDArray[np.float64]:
    return np.concatenate(list(_turns(cells))).astype(np.float64)


def _uncropped(squares: Bytes, crop: tuple[int, int, int, int]) -> Bytes:
    above, below, left, right = crop
    wide = np.pad(squares, ((0, 0), (above, below), (left, right)))
    small = (Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for square in wide)
    return np.stack([np.asarray(square) for square in small])
