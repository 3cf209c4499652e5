"""Reader of NIfTI volumes, plain or packed with gzip, by content and not by file name."""
# mypy: allow-untyped-calls
# nibabel annotates few of its functions.

import io
import logging
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braintumor.scans.scan import Scan, ScanError

SUFFIXES = frozenset({".nii", ".nii.gz"})
GZIP = b"\x1f\x8b"

# Plane by the patient's axis across it (0 right, 1 anterior, 2 superior), and where slices, rows and columns lead:
# radiological convention. Where spacings tie, the first plane here is taken.
_PLANES = {2: ("axial", "SPL"), 1: ("coronal", "AIL"), 0: ("sagittal", "RIP")}
_TIE = 0.99
_FLATTEST = 0.01  # volume of a voxel whose edges are made 1; below this it is flat, and no true scan
_SMALLEST_SIDE = 16
_MILLIMETERS = {1: 1000.0, 2: 1.0, 3: 0.001}  # by code of `xyzt_units`: meter, millimeter, micrometer

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLORS = (128, 2304)
_COMPLEX = (32, 1792, 2048)
_HEADER_SIZES = {b"n+1": 348, b"n+2": 540}
_ANALYZE_SIZES = ((348).to_bytes(4, "little"), (348).to_bytes(4, "big"))
_HEADER_READ = 544
_LONGEST_OFFSET = 16 * 2**20
_PIECE = 2**20
_PACKED_PIECE = 2**16
# Opening a member takes far longer than unpacking a byte; ordinary ones hold 64 KB or everything.
_MOST_MEMBERS = 2**16

_EXPORT = "Export it again as NIfTI and try once more."
_quiet = logging.getLogger(__name__)
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def is_nifti(data: bytes) -> bool:
    """Tell by its first bytes, unpacked where they are gzip, whether a file is NIfTI or the header of a pair."""
    try:
        return _magic(_open(data).read(_HEADER_READ)) is not None
    except zlib.error:
        return False


def read_nifti(data: bytes, source: str, sha256: str, max_pixels: int, max_voxels: int, max_slices: int) -> Scan:
    """Read a NIfTI-1 or NIfTI-2 volume as a scan, turned so that each slice is shown as radiologists look at it.

    Slices lie across the axis with the coarsest spacing (within 1 %; the patient's inferior-superior axis where several
    are as coarse), or across the only axis of length 1, and run from inferior to superior, posterior to anterior or
    left to right. Anterior or superior is up; the patient's right, or in sagittal slices the nose, is on the left.

    Slope and intercept are applied; what is no number, or none that float32 holds, becomes the lowest value there is.
    Spacing and affine, in millimeters, come from sform, else qform, else from the voxels' size alone (nibabel's
    ``get_best_affine``): then the fact ``oriented`` is False, for the orientation is assumed. Where the file gives no
    size either, spacing is None. Leading axes of length 1 are left out.

    Raises ``ScanError`` for what is no single grey volume, is damaged, has slices of more than ``max_pixels``, or more
    than ``max_voxels`` or ``max_slices``.
    """
    try:
        layout = _layout(_open(data).read(_HEADER_READ))
        turn, plane = _turn(layout.affine, layout.shape)
        _check_size(layout.shape, turn, max_pixels, max_voxels, max_slices)
        voxels = _finite(_voxels(_open(data), layout))
        return _scan(voxels, layout, turn, plane, source, sha256)
    except ScanError as error:
        error.source = source
        raise
    except MemoryError:
        raise _too_large(source) from None
    # A damaged header makes nibabel, NumPy and zlib raise nearly every built-in exception.
    except Exception:
        raise ScanError("This NIfTI volume is damaged or cut short.", _EXPORT, source) from None


@dataclass(frozen=True)
class _Layout:
    """What the header says: where the voxels are, how to read them and where they lie in space (RAS+, millimeters)."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    affine: NDArray[np.float64]
    oriented: bool
    sized: bool


class _Unpacker:
    """Unpacks gzip, of one member or many, no further than is asked for, whatever the file claims to hold."""

    def __init__(self, data: bytes) -> None:
        self._packed = io.BytesIO(data)
        self._pending = b""
        self._member = zlib.decompressobj(wbits=31)
        self._members = 1

    def read(self, size: int) -> bytes:
        """Give the next ``size`` bytes, fewer at the end; raises ``zlib.error`` on damage."""
        unpacked = bytearray()
        while len(unpacked) < size:
            self._pending = self._pending or self._packed.read(_PACKED_PIECE)
            if self._member.eof and not self._next_member():
                break
            piece = self._member.decompress(self._pending, size - len(unpacked))
            if not piece and not self._pending:
                break
            self._pending = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            unpacked += piece
        return bytes(unpacked)

    def ends_well(self) -> bool:
        """Tell whether the file goes on to a whole end, where its checksum is proven; long leftovers are not read."""
        return len(self.read(_PIECE)) == _PIECE or self._member.eof

    def _next_member(self) -> bool:
        if len(self._pending) < len(GZIP):
            self._pending += self._packed.read(_PACKED_PIECE)
        if not self._pending.startswith(GZIP):
            return False
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise zlib.error("too many members")
        self._member = zlib.decompressobj(wbits=31)
        return True


def _open(data: bytes) -> io.BytesIO | _Unpacker:
    return _Unpacker(data) if data.startswith(GZIP) else io.BytesIO(data)


def _magic(start: bytes) -> bytes | None:
    """Give the format's mark: n and the version for a single file, "ni" and the version (Analyze: 0) for a pair."""
    if start[344:347] in (b"n+1", b"ni1"):
        return start[344:347]
    if start[4:7] in (b"n+2", b"ni2"):
        return start[4:7]
    return b"ni0" if len(start) == 348 and start.startswith(_ANALYZE_SIZES) else None


def _layout(start: bytes) -> _Layout:
    magic = _magic(start) or b""
    if magic not in _HEADER_SIZES:
        raise ScanError(
            "This is the header of a NIfTI or Analyze pair.", "Convert the pair to one NIfTI file and try again."
        )
    header = _header(start[: _HEADER_SIZES[magic]], magic)
    dtype = _dtype(header)
    # Checking the header puts 1 mm where a size is missing.
    sized = _is_sized(header)
    header.check_fix(logger=_quiet, error_level=40)
    if not np.isfinite(header["scl_inter"]):
        header["scl_inter"] = 0
    shape, is_whole = _shape(header)
    offset = max(header.get_data_offset(), header.single_vox_offset)
    if offset > _LONGEST_OFFSET:
        raise ValueError
    slope, intercept = header.get_slope_inter()
    return _Layout(
        shape,
        dtype,
        offset,
        1.0 if slope is None else slope,
        intercept or 0.0,
        _affine(header),
        bool(header["sform_code"] or header["qform_code"]) and is_whole,
        sized,
    )


def _is_sized(header: Any) -> bool:
    """Tell whether a header gives the voxels' size, by its matrix or its pixel dimensions."""
    given = np.abs(header["pixdim"][1:4].astype(np.float64))
    return bool(header["sform_code"]) or bool((np.isfinite(given) & (given > 0)).all())


def _header(block: bytes, magic: bytes) -> Any:
    # Loading nibabel takes a while, and the login page needs none of it.
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    return (Nifti1Header if magic == b"n+1" else Nifti2Header)(block, check=False)


def _shape(header: Any) -> tuple[tuple[int, int, int], bool]:
    """Give the volume's shape, and whether its axes are the header's first three: leading ones of length 1 are not."""
    if not 1 <= int(header["dim"][0]) <= 7:
        raise ValueError
    sizes = tuple(int(size) for size in header.get_data_shape())
    if len(sizes) < 2 or min(sizes) < 1:
        raise ScanError("This NIfTI file holds no volume.", "Check that the right file was chosen.")
    given = sizes
    while len(sizes) > 3 and sizes[0] == 1:
        sizes = sizes[1:]
    if (count := math.prod(sizes[3:])) > 1:
        raise ScanError(
            f"This file holds {count} volumes.", "Save one volume of it as a file of its own and try again."
        )
    width, height, depth = (*sizes, 1)[:3]
    return (width, height, depth), sizes is given


def _dtype(header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code in _COLORS:
        raise ScanError("This volume holds colors, not grey values.", "Save it in shades of grey and try again.")
    if code in _COMPLEX:
        raise ScanError("This volume holds complex numbers.", "Save their magnitude and try again.")
    if code not in _TYPES:
        raise ScanError("The type of this volume's values cannot be read.", "Save it as 32-bit floats and try again.")
    return np.dtype(_TYPES[code]).newbyteorder(header.endianness)


def _affine(header: Any) -> NDArray[np.float64]:
    scale = _MILLIMETERS.get(int(header["xyzt_units"]) % 8, 1.0)
    with np.errstate(all="ignore"):
        affine = np.asarray(np.diag([scale, scale, scale, 1.0]) @ _best_affine(header), dtype=np.float64)
        sizes = _sizes(affine)
        spread = abs(np.linalg.det(affine[:3, :3] / sizes))
    if not np.isfinite([*affine.flat, *sizes, spread]).all() or spread < _FLATTEST:
        raise ScanError("This volume does not say how it lies in space.", _EXPORT)
    return affine


def _best_affine(header: Any) -> Any:
    """Give sform, else qform, else what the voxels' size alone says; a sform of no volume counts as none."""
    try:
        if header["sform_code"] and header["qform_code"] and not np.linalg.det(header.get_sform()[:3, :3]):
            return header.get_qform()
        return header.get_best_affine()
    except ValueError:
        raise ScanError(
            "This volume's orientation is given by a quaternion that is not of unit length.",
            "Write its qform again, or remove it, and try once more.",
        ) from None


def _sizes(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0), dtype=np.float64)


def _turn(affine: NDArray[np.float64], shape: tuple[int, int, int]) -> tuple[NDArray[np.float64], str]:
    """Choose the plane; give the turn (nibabel's orientation, (3, 2)) from the file's axes to it, and its name."""
    from nibabel import orientations

    stored = orientations.io_orientation(affine)
    spacing = _sizes(affine)
    across = np.equal(shape, 1) if 1 in shape else spacing >= _TIE * spacing.max()
    axis = next(axis for axis in _PLANES if axis in stored[across, 0])
    plane, directions = _PLANES[axis]
    return orientations.ornt_transform(stored, orientations.axcodes2ornt(directions)), plane


def _check_size(
    shape: tuple[int, int, int], turn: NDArray[np.float64], max_pixels: int, max_voxels: int, max_slices: int
) -> None:
    slices, height, width = (shape[axis] for axis in np.argsort(turn[:, 0]))
    if height * width > max_pixels or slices * height * width > max_voxels:
        raise _too_large()
    if min(height, width) < _SMALLEST_SIDE:
        raise ScanError(
            f"The slices of this volume are {width} × {height} pixels, too small to show a brain.",
            f"Use one of at least {_SMALLEST_SIDE} pixels a side.",
        )
    if slices > max_slices:
        raise ScanError(
            f"This volume has {slices} slices, more than are accepted.", f"Crop it to {max_slices} and try again."
        )


def _voxels(stream: io.BytesIO | _Unpacker, layout: _Layout) -> NDArray[np.float32]:
    """Read the voxels in the file's order, piece by piece, so that no second copy of them is held.

    Raises ``ValueError`` when there are fewer than the header says, ``EOFError`` when gzip is cut short after them.
    """
    stream.read(layout.offset)
    width, height, depth = layout.shape
    voxels = np.empty(width * height * depth, np.float32)
    for start in range(0, len(voxels), _PIECE):
        part = voxels[start : start + _PIECE]
        stored = np.frombuffer(stream.read(len(part) * layout.dtype.itemsize), layout.dtype, len(part))
        with np.errstate(all="ignore"):
            part[:] = stored.astype(np.float64) * layout.slope + layout.intercept
    if isinstance(stream, _Unpacker) and not stream.ends_well():
        raise EOFError
    return voxels


def _finite(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    finite = np.isfinite(voxels)
    if not finite.any():
        raise ScanError("This volume holds no values that are numbers.", _EXPORT)
    if not finite.all():
        voxels[~finite] = np.min(voxels, where=finite, initial=np.inf)
    return voxels


def _scan(
    voxels: NDArray[np.float32], layout: _Layout, turn: NDArray[np.float64], plane: str, source: str, sha256: str
) -> Scan:
    from nibabel.orientations import apply_orientation, inv_ornt_aff

    pixels = apply_orientation(voxels.reshape(layout.shape, order="F"), turn)
    affine = layout.affine @ inv_ornt_aff(turn, layout.shape)
    slices, row, column = (float(size) for size in _sizes(affine))
    return Scan(
        np.ascontiguousarray(pixels),
        source,
        sha256,
        spacing=(slices, row, column) if layout.sized else None,
        facts={
            "format": "NIfTI",
            "bits": layout.dtype.itemsize * 8,
            "color": False,
            "plane": plane,
            "oriented": layout.oriented,
        },
        affine=tuple(tuple(float(value) for value in line) for line in affine),
        turn=tuple((int(axis), int(direction)) for axis, direction in turn),
    )


def _too_large(source: str = "") -> ScanError:
    return ScanError("This volume has more voxels than are accepted.", "Crop it to the head and try again.", source)
