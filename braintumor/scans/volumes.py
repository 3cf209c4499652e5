"""Reader of volumes, whatever their format: from a layout and a stream of voxels to slices as radiologists see them."""
# mypy: allow-untyped-calls
# nibabel annotates few of its functions.

import math
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from braintumor.scans import mgh, nifti
from braintumor.scans.color import GRAY
from braintumor.scans.gzip_reader import Stream, Unpacker, unpacked
from braintumor.scans.layout import EXPORT, Layout, slice_sizes, voxel_sizes
from braintumor.scans.limits import Limits, PixelBudget
from braintumor.scans.scan import STATED, Placement, Scan, ScanError, fill_missing
from braintumor.scans.series import stated_weighting

_FORMATS = (nifti, mgh)
SUFFIXES = frozenset[str]().union(*(known.SUFFIXES for known in _FORMATS))

_LOADING = Lock()
_HEADER_READ = 544
# Plane by the patient's axis across it (0 right, 1 anterior, 2 superior), and where slices, rows and columns lead:
# radiological convention. Where spacings tie, the first plane here is taken.
_PLANES = {2: ("axial", "SPL"), 1: ("coronal", "AIL"), 0: ("sagittal", "RIP")}
_TIE = 0.99
_SMALLEST_SIDE = 16
_PIECE = 2**20
"""Voxels read at a time; as the doubles in which they are scaled they take 8 MB."""


def is_volume(data: bytes, name: str = "") -> bool:
    """Tell by its first bytes, unpacked where they are gzip, whether a file is a volume, or the header of a pair."""
    try:
        start = unpacked(data).read(_HEADER_READ)
    except zlib.error:
        return False
    return any(known.is_known(start) for known in _FORMATS)


def read_volume(data: bytes, source: str, sha256: str, limits: Limits, budget: PixelBudget) -> Scan:
    """Read a NIfTI or FreeSurfer volume as a scan, turned so that each slice is shown as radiologists look at it.

    Slices lie across the axis with the coarsest spacing (within 1 %; the patient's inferior-superior axis where several
    are as coarse) of those that leave slices of 16 pixels a side, or across the only axis of length 1. They run from
    inferior to superior, posterior to anterior or left to right. Anterior or superior is up; the patient's right, or in
    sagittal slices the nose, is on the left.

    Values are scaled as the file says; what is not a number, or none that float32 holds, becomes the lowest value there
    is. Where the file does not say how its axes lie, the fact ``oriented`` is False, and where it gives no size of its
    voxels, spacing is None.

    Raises ``ScanError`` for what is not a single gray volume, is damaged, exceeds ``max_pixels`` a slice,
    ``max_voxels`` or ``max_slices`` of ``limits``, or what is left of ``budget``.
    """
    # Two threads that are the first to need nibabel would meet it half loaded.
    with _LOADING:
        import_module("nibabel")
    try:
        start = unpacked(data).read(_HEADER_READ)
        layout = next(known for known in _FORMATS if known.is_known(start)).layout(start)
        return assemble(layout, partial(_read_voxels, unpacked(data), layout), source, sha256, limits, budget)
    except ScanError as error:
        error.source = source
        raise
    except MemoryError:
        raise _too_large(source) from None
    # A damaged header makes nibabel, NumPy and zlib raise nearly every built-in exception.
    except Exception:
        raise ScanError("This volume is damaged or cut short.", EXPORT, source) from None


def assemble(
    layout: Layout,
    fill: Callable[[NDArray[np.float32]], None],
    source: str,
    sha256: str,
    limits: Limits,
    budget: PixelBudget,
) -> Scan:
    """Make a scan of a volume, see ``read_volume``: ``fill`` gets an array along the file's axes to put voxels in.

    What is not a number there becomes the lowest value. Raises ``ScanError`` for what exceeds the limits or the budget.
    """
    turn, plane = _turn(layout.affine, layout.shape)
    shape = _checked_shape(layout.shape, turn, limits)
    budget.take(math.prod(shape), shape[0])
    pixels = np.empty(shape, np.float32)
    fill(in_file_axes(pixels, turn))
    return _scan(fill_missing(pixels), layout, turn, plane, source, sha256)


def in_file_axes(array: NDArray[Any], turn: npt.ArrayLike) -> NDArray[Any]:
    """Give a view of an array (slices, height, width) along the axes of its file; ``turn`` is a ``Placement``'s."""
    from nibabel.orientations import apply_orientation, ornt_transform

    unturned = np.array([[axis, 1] for axis in range(3)])
    view: NDArray[Any] = apply_orientation(array, ornt_transform(unturned, np.asarray(turn)))
    return view


def _turn(affine: NDArray[np.float64], shape: tuple[int, int, int]) -> tuple[NDArray[np.float64], str]:
    """Choose the plane; give the turn (nibabel's orientation, (3, 2)) from the file's axes to it, and its name."""
    from nibabel import orientations

    stored = orientations.io_orientation(affine)
    spacing = voxel_sizes(affine)
    fitting = np.array([min(np.delete(shape, axis)) >= _SMALLEST_SIDE for axis in range(3)])
    fitting = fitting if fitting.any() else np.ones(3, bool)
    coarsest = spacing[fitting].max()
    across = np.equal(shape, 1) if 1 in shape else fitting & (spacing >= _TIE * coarsest)
    axis = next(axis for axis in _PLANES if axis in stored[across, 0])
    plane, directions = _PLANES[axis]
    return orientations.ornt_transform(stored, orientations.axcodes2ornt(directions)), plane


def _checked_shape(stored: tuple[int, int, int], turn: NDArray[np.float64], limits: Limits) -> tuple[int, int, int]:
    slices, height, width = (stored[axis] for axis in np.argsort(turn[:, 0]))
    if height * width > limits.max_pixels or slices * height * width > limits.max_voxels:
        raise _too_large()
    if min(height, width) < _SMALLEST_SIDE:
        raise ScanError(
            f"The slices of this volume are {width} × {height} pixels, too small to show a brain.",
            f"Use one of at least {_SMALLEST_SIDE} pixels a side.",
        )
    if slices > limits.max_slices:
        raise ScanError(
            f"This volume has {slices} slices, more than are accepted.",
            f"Crop it to {limits.max_slices} and try again.",
        )
    return slices, height, width


def _read_voxels(stream: Stream, layout: Layout, voxels: NDArray[np.float32]) -> None:
    """Read the voxels, part by part, to where they are shown, so that no second copy of them is held.

    Raises ``ValueError`` when there are fewer than the header says, ``EOFError`` when gzip is cut short after them.
    """
    stream.read(layout.offset)
    for part in _parts(layout.shape):
        target = voxels[part]
        stored = np.frombuffer(stream.read(target.size * layout.dtype.itemsize), layout.dtype, target.size)
        with np.errstate(all="ignore"):
            scaled = stored.astype(np.float64)
            scaled *= layout.slope
            scaled += layout.intercept
            target[...] = scaled.reshape(target.shape, order="F")
    if isinstance(stream, Unpacker) and not stream.ends_well():
        raise EOFError


def _parts(shape: tuple[int, int, int]) -> Iterator[tuple[slice, slice, slice]]:
    """Cut a volume whose first axis runs fastest into parts, each of which is one stretch of the file.

    A part is some planes or, where a plane is larger than a piece, some of its rows.
    """
    width, height, depth = shape
    planes = max(1, _PIECE // (width * height))
    rows = height if width * height <= _PIECE else max(1, _PIECE // width)
    for plane in range(0, depth, planes):
        for row in range(0, height, rows):
            yield slice(None), slice(row, row + rows), slice(plane, plane + planes)


def _scan(
    pixels: NDArray[np.float32], layout: Layout, turn: NDArray[np.float64], plane: str, source: str, sha256: str
) -> Scan:
    from nibabel.orientations import inv_ornt_aff

    affine = layout.affine @ inv_ornt_aff(turn, layout.shape)
    return Scan(
        pixels,
        source,
        sha256,
        spacing=slice_sizes(affine) if layout.sized else None,
        facts={
            "format": layout.format,
            "bits": layout.dtype.itemsize * 8,
            "color": GRAY,
            "plane": plane,
            "oriented": layout.oriented,
            STATED: stated_weighting(source),
        },
        affine=tuple(tuple(float(value) for value in line) for line in affine),
        placement=Placement(layout.placed, tuple((int(axis), int(direction)) for axis, direction in turn)),
    )


def _too_large(source: str = "") -> ScanError:
    return ScanError("This volume has more voxels than are accepted.", "Crop it to the head and try again.", source)
