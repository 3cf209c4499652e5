import gzip
import io
import itertools
import re
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nibabel import orientations
from PIL import Image

import braintumor
from braintumor.scans import Limits, Scan, ScanError, phantom, prepare, read, read_all, walk

SHAPE = (17, 18, 19)
VALUES = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
SPACINGS = {"axial": (1, 1, 4), "coronal": (1, 4, 1), "sagittal": (4, 1, 1)}
ALL_WAYS = [
    "".join(signs)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for signs in itertools.product(*order)
]  # fmt: skip

DAMAGED = "This volume is damaged or cut short."
TOO_LARGE = "This volume has more voxels than are accepted."
NO_VOLUME = "This NIfTI file holds no volume."
NOWHERE = "This volume does not say how it lies in space."
QUATERNION = "This volume's orientation is given by a quaternion that is not of unit length."
PAIR = "This is the header of a NIfTI or Analyze pair."
COLORS = "This volume holds colors, not gray values."
COMPLEX = "This volume holds complex numbers."
NO_NUMBERS = "This file holds no values that are numbers."
OTHER_TYPE = "The type of this volume's values cannot be read."
NOT_A_PICTURE = "This file is not a picture that can be read."
ONLY_NIFTI = "Of files packed with gzip only NIfTI and FreeSurfer volumes can be read."


def _file(values=VALUES, affine=None, kind=nibabel.Nifti1Image, **fields):
    """A NIfTI file of the values; fields of its header are overwritten afterwards, whatever they then mean."""
    affine = np.diag([1, 1, 4, 1]) if affine is None else affine
    data = kind(values, affine, dtype=values.dtype).to_bytes()
    return _changed(data, kind.header_class, **fields)


def _changed(data, header_class=nibabel.Nifti1Header, **fields):
    size = header_class.template_dtype.itemsize
    header = header_class(data[:size], check=False)
    for name, value in fields.items():
        header.structarr[name] = value
    return header.binaryblock + data[size:]


def _head(side=32, slices=8):
    return np.stack([phantom(side, seed=number) for number in range(slices)], axis=-1)


FILE = _file()


def _shown(values, plane):
    """What a radiologist expects of values stored toward right, anterior, superior."""
    across = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}[plane]
    return values.transpose(across)[:, ::-1, ::-1]


@pytest.mark.parametrize(
    ("way", "plane"), [(way, plane) for plane in SPACINGS for way in ALL_WAYS[:: 1 if plane == "axial" else 8]]
)
def test_however_a_volume_is_stored_it_is_shown_the_same_way(way, plane):
    upright = nibabel.Nifti1Image(VALUES, np.diag([*SPACINGS[plane], 1]))
    turn = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt(way))
    stored = upright.as_reoriented(turn)
    assert "".join(nibabel.aff2axcodes(stored.affine)) == way
    scan = read(stored.to_bytes(), "head.nii")
    np.testing.assert_array_equal(scan.pixels, _shown(VALUES, plane))
    assert scan.facts["plane"] == plane
    assert scan.spacing == (4, 1, 1)


@pytest.mark.parametrize(
    ("place", "plane", "index"),
    [
        ("right anterior superior", "axial", (18, 0, 0)),
        ("left anterior superior", "axial", (18, 0, 16)),
        ("right posterior superior", "axial", (18, 17, 0)),
        ("right anterior inferior", "axial", (0, 0, 0)),
        ("right anterior superior", "coronal", (17, 0, 0)),
        ("left anterior superior", "coronal", (17, 0, 16)),
        ("right posterior superior", "coronal", (0, 0, 0)),
        ("right anterior inferior", "coronal", (17, 18, 0)),
        ("right anterior superior", "sagittal", (16, 0, 0)),
        ("left anterior superior", "sagittal", (0, 0, 0)),
        ("right posterior superior", "sagittal", (16, 0, 17)),
        ("right anterior inferior", "sagittal", (16, 18, 0)),
    ],
)
def test_corner_of_the_patient_is_where_radiologists_expect_it(place, plane, index):
    corner = tuple(-1 if side in ("right", "anterior", "superior") else 0 for side in place.split())
    values = np.zeros(SHAPE, np.uint8)
    values[corner] = 1
    scan = read(_file(values, np.diag([*SPACINGS[plane], 1])), "head.nii")
    assert [tuple(found) for found in np.argwhere(scan.pixels)] == [index]


def _rotation(angles):
    turns = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        turns = turns @ turn
    return turns


ANGLES = st.tuples(*[st.floats(-np.pi, np.pi)] * 3)
SIZES = st.tuples(*[st.floats(0.2, 9)] * 3)
OFFSETS = st.tuples(*[st.floats(-300, 300)] * 3)
SHEARS = st.tuples(*[st.floats(-0.3, 0.3)] * 3)


@settings(max_examples=150)
@given(
    order=st.permutations(range(3)),
    flips=st.tuples(*[st.sampled_from((-1, 1))] * 3),
    angles=st.one_of(st.just((0.0, 0.0, 0.0)), ANGLES),
    sizes=SIZES,
    offset=OFFSETS,
    shear=st.one_of(st.just((0.0, 0.0, 0.0)), SHEARS),
    shape=st.tuples(*[st.integers(16, 20)] * 3),
    place=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3),
)
@example([0, 1, 2], (1, 1, 1), (np.pi / 4, np.pi / 4, np.pi / 4), (1, 1, 1), (0, 0, 0), (0, 0, 0), SHAPE, (0.1, 0.5, 0))
def test_every_voxel_keeps_its_place_in_the_patient(order, flips, angles, sizes, offset, shear, shape, place):
    axes = (np.eye(3)[list(order)] * flips + np.array([[0, *shear[:2]], [0, 0, shear[2]], [0, 0, 0]])) * sizes
    affine = nibabel.affines.from_matvec(_rotation(angles) @ axes, offset)
    marked = tuple(int(share * size) for share, size in zip(place, shape, strict=True))
    values = np.zeros(shape, np.uint8)
    values[marked] = 1
    data = _file(values, affine)
    stated = nibabel.Nifti1Image.from_bytes(data).affine
    scan = read(data, "head.nii")
    (found,) = np.argwhere(scan.pixels)
    np.testing.assert_allclose(np.array(scan.affine) @ [*found, 1], stated @ [*marked, 1], rtol=0, atol=1e-9)
    between, down, across = np.array(scan.affine)[:3, :3].T
    sides = [np.linalg.norm(down), np.linalg.norm(across)]
    # The product is a voxel's volume, also where shear of more than 2.6 degrees brings slices closer.
    apart = abs(np.dot(between, np.cross(down, across))) / np.prod(sides)
    length = np.linalg.norm(between)
    expected = [apart if apart < 0.999 * length else length, *sides]
    np.testing.assert_allclose(scan.spacing, expected, rtol=1e-9)
    sizes_stated = sorted(nibabel.affines.voxel_sizes(stated))
    assert sorted([np.linalg.norm(between), *expected[1:]]) == pytest.approx(sizes_stated, rel=1e-9)
    assert np.linalg.norm(between) >= 0.99 * max(sizes_stated)


@pytest.mark.parametrize(
    ("shape", "spacing", "plane", "shown"),
    [
        ((17, 18, 19), (1, 1, 1), "axial", (19, 18, 17)),
        ((17, 18, 19), (2, 2, 1), "coronal", (18, 19, 17)),
        ((17, 18, 19), (2, 1, 2), "axial", (19, 18, 17)),
        ((17, 18, 19), (1.009, 1, 1), "axial", (19, 18, 17)),
        ((17, 18, 19), (1.02, 1, 1), "sagittal", (17, 19, 18)),
        ((17, 18, 19), (1, 1.02, 1), "coronal", (18, 19, 17)),
        ((1, 18, 19), (1, 1, 9), "sagittal", (1, 19, 18)),
        ((17, 1, 19), (1, 1, 9), "coronal", (1, 19, 17)),
        ((17, 18, 1), (9, 1, 1), "axial", (1, 18, 17)),
        ((17, 18), (1, 1, 1), "axial", (1, 18, 17)),
        ((17, 18, 19, 1), (1, 1, 1), "axial", (19, 18, 17)),
        ((17, 18, 19, 1, 1, 1, 1), (1, 1, 1), "axial", (19, 18, 17)),
    ],
)
def test_slices_lie_in_the_plane_of_acquisition(shape, spacing, plane, shown):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    scan = read(_file(values, np.diag([*spacing, 1])), "head.nii")
    assert (scan.facts["plane"], scan.shape) == (plane, shown)
    np.testing.assert_array_equal(scan.pixels, _shown(values.reshape((*shape, 1)[:3]), plane))


TYPES = ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


@pytest.mark.parametrize(
    ("dtype", "slope", "intercept"),
    [
        *((dtype, 0.25, -1024) for dtype in TYPES),
        *((TYPES[0], *line) for line in ((1, 0), (0, 7), (np.nan, 3), (-3, 5))),
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_gray_values_are_those_that_the_header_makes_of_the_stored_ones(dtype, order, slope, intercept):
    stored = np.random.default_rng(4).integers(0, 100, SHAPE).astype(dtype)
    image = nibabel.Nifti1Image(stored, np.diag([1, 1, 4, 1]), nibabel.Nifti1Header(endianness=order), dtype=dtype)
    data = _changed(image.to_bytes(), scl_slope=slope, scl_inter=intercept)
    assert nibabel.Nifti1Header(data[:348]).endianness == order
    scan = read(data, "head.nii")
    expected = nibabel.Nifti1Image.from_bytes(data).get_fdata()
    np.testing.assert_allclose(scan.pixels, _shown(expected, "axial"), rtol=1e-6)
    assert (scan.pixels.dtype, scan.pixels.flags.c_contiguous) == (np.float32, True)
    assert scan.facts["bits"] == np.dtype(dtype).itemsize * 8


def test_a_volume_of_many_pieces_is_read_whole():
    values = np.random.default_rng(0).integers(0, 1000, (128, 130, 70)).astype(np.int16)
    assert values.size > 2**20
    np.testing.assert_array_equal(read(gzip.compress(_file(values), 1), "x").pixels, _shown(values, "axial"))


def test_what_the_file_tells_is_told():
    scan = read(FILE, "fol\x00der/head.nii")
    assert dict(scan.facts) == {
        **{"format": "NIfTI", "bits": 16, "color": "gray", "plane": "axial", "oriented": True},
        "weighting": "unknown",
    }
    assert (scan.source, scan.modality, len(scan.sha256)) == ("folder/head.nii", None, 64)


def _in_members(data, size):
    return b"".join(gzip.compress(data[start : start + size]) for start in range(0, len(data), size))


SAME = {
    "plain": FILE,
    "gzip": gzip.compress(FILE),
    "gzip with a file name": b"\x1f\x8b\x08\x08\0\0\0\0\0\xffhead.nii\0" + gzip.compress(FILE)[10:],
    "gzip in members": _in_members(FILE, 1000),
    "gzip in members, one empty": gzip.compress(b"") + _in_members(FILE, 5000),
    "gzip and padding": gzip.compress(FILE) + bytes(512),
    "gzip and one byte more": gzip.compress(FILE) + b"\x1f",
    "stored gzip": gzip.compress(FILE, 0),
    "volume and leftovers": FILE + bytes(999),
    "gzip of volume and leftovers": gzip.compress(FILE + bytes(999)),
    "gzip of volume and many leftovers": gzip.compress(FILE + bytes(2**22)),
    "version 2": _file(kind=nibabel.Nifti2Image),
    "version 2 in gzip": gzip.compress(_file(kind=nibabel.Nifti2Image)),
    "with space before the voxels": _changed(FILE[:352] + bytes(9648) + FILE[352:], vox_offset=10_000),
    "no offset": _changed(FILE, vox_offset=0),
    "odd offset": _changed(FILE[:352] + b"\0" + FILE[352:], vox_offset=353),
    "wrong header size": _changed(FILE, sizeof_hdr=7),
    "wrong bits": _changed(FILE, bitpix=64),
    "no handedness": _changed(FILE, pixdim=[0, 1, 1, 4, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("name", ["head.nii", "head.png", ""])
@pytest.mark.parametrize("data", SAME.values(), ids=SAME)
def test_content_counts_and_not_the_name(data, name):
    scan = read(data, name)
    np.testing.assert_array_equal(scan.pixels, _shown(VALUES, "axial"))
    assert scan.spacing == (4, 1, 1)


FLOATS = VALUES.astype(np.float32) + 1000
LOWEST = FLOATS.min()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, -1e300])
def test_what_is_no_number_becomes_the_lowest_value(bad):
    values = FLOATS.astype(np.float64)
    values[3:6, :, 2] = bad
    expected = FLOATS.copy()
    expected[3:6, :, 2] = LOWEST
    np.testing.assert_array_equal(read(_file(values), "x").pixels, _shown(expected, "axial"))


@pytest.mark.parametrize(
    ("units", "scale"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (2 + 8, 1), (1 + 16, 1000), (5, 1), (255, 1)]
)
def test_lengths_are_in_millimeters(units, scale):
    affine = np.diag([2.0, 2, 5, 1])
    affine[:3, 3] = 7, -9, 11
    scan = read(_file(affine=affine, xyzt_units=units), "x")
    assert scan.spacing == pytest.approx((5 * scale, 2 * scale, 2 * scale))
    # The corner at the first slice's top left: the patient's right, front and lowest.
    corner = np.array([7 + 2 * 16, -9 + 2 * 17, 11]) * scale
    np.testing.assert_allclose(np.array(scan.affine) @ [0, 0, 0, 1], [*corner, 1])


@pytest.mark.parametrize(
    ("fields", "oriented", "right_is_stored_last"),
    [
        ({}, True, True),
        ({"qform_code": 0}, True, True),
        ({"sform_code": 0, "qform_code": 1}, True, True),
        ({"sform_code": 0, "qform_code": 0}, False, False),
        ({"sform_code": 99, "qform_code": -1}, False, False),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 0, "quatern_c": 1}, True, False),
        ({"sform_code": 1, "qform_code": 1, "quatern_c": 1}, True, True),
    ],
)
def test_sform_counts_before_qform_before_a_guess(fields, oriented, right_is_stored_last):
    values = np.zeros(SHAPE, np.uint8)
    values[-1] = 1
    scan = read(_file(values, **fields), "x")
    assert scan.facts["oriented"] is oriented
    assert scan.pixels[:, :, 0].all() == right_is_stored_last
    assert scan.pixels[:, :, -1].all() != right_is_stored_last


def _rgb(shape=SHAPE, kind="RGB"):
    return np.zeros(shape, [(name, "u1") for name in kind])


def _rows(*rows):
    return {f"srow_{name}": row for name, row in zip("xyz", rows, strict=True)}


UPRIGHT = ([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4, 0])
FLAT = {"sform_code": 0, "qform_code": 1}

REFUSED = {
    "four volumes": (_file(np.zeros((17, 18, 19, 4), np.uint8)), "This file holds 4 volumes."),
    "vectors": (_file(np.zeros((17, 18, 19, 1, 3), np.uint8)), "This file holds 3 volumes."),
    "volumes of vectors": (_file(np.zeros((17, 18, 19, 5, 3), np.uint8)), "This file holds 15 volumes."),
    "colors": (_file(_rgb()), COLORS),
    "colors with alpha": (_file(_rgb(kind="RGBA")), COLORS),
    "complex": (_file(VALUES.astype(np.complex64)), COMPLEX),
    "double complex": (_file(VALUES.astype(np.complex128)), COMPLEX),
    "long double": (_changed(FILE, datatype=1536), OTHER_TYPE),
    "long double complex": (_changed(FILE, datatype=2048), COMPLEX),
    "NaN alone": (_file(FLOATS * np.float32(np.nan)), NO_NUMBERS),
    "infinity alone": (_file(np.full(SHAPE, np.inf)), NO_NUMBERS),
    "one dimension": (_changed(FILE, dim=[1, 17, 1, 1, 1, 1, 1, 1]), NO_VOLUME),
    "no voxels": (_changed(FILE, dim=[3, 17, 0, 19, 1, 1, 1, 1]), NO_VOLUME),
    "fewer voxels than none": (_changed(FILE, dim=[3, 17, -18, 19, 1, 1, 1, 1]), NO_VOLUME),
    "no fourth dimension": (_changed(FILE, dim=[4, 17, 18, 19, 0, 1, 1, 1]), NO_VOLUME),
    "no dimensions": (_changed(FILE, dim=[0] * 8), DAMAGED),
    "eight dimensions": (_changed(FILE, dim=[8, *[1] * 7]), DAMAGED),
    "dimensions below none": (_changed(FILE, dim=[-3, 17, 18, 19, 1, 1, 1, 1]), DAMAGED),
    "surface": (_changed(FILE, dim=[3, -1, 1, 1, 1, 1, 1, 1]), DAMAGED),
    "too small": (
        _file(np.zeros((15, 40, 5), np.uint8)),
        "The slices of this volume are 15 × 40 pixels, too small to show a brain.",
    ),
    "too narrow in the plane": (
        _file(np.zeros((40, 15, 5), np.uint8), np.diag([1, 4, 1, 1])),
        "The slices of this volume are 40 × 5 pixels, too small to show a brain.",
    ),
    "too many slices": (
        _file(np.zeros((16, 16, 769), np.uint8)),
        "This volume has 769 slices, more than are accepted.",
    ),
    "more voxels than there are": (_changed(FILE, dim=[3, 17, 18, 20, 1, 1, 1, 1]), DAMAGED),
    "more voxels than there are in gzip": (gzip.compress(_changed(FILE, dim=[3, 17, 18, 20, 1, 1, 1, 1])), DAMAGED),
    "one voxel fewer": (FILE[:-2], DAMAGED),
    "half a voxel fewer": (FILE[:-1], DAMAGED),
    "all but one voxel of a piece": (_file(np.zeros((1024, 1025, 1), np.uint8))[: 352 + 2**20 + 1], DAMAGED),
    "no voxels at all": (FILE[:352], DAMAGED),
    "header alone": (FILE[:348], DAMAGED),
    "header cut short": (FILE[:347], DAMAGED),
    "unknown type": (_changed(FILE, datatype=3), OTHER_TYPE),
    "bits for a type": (_changed(FILE, datatype=1), OTHER_TYPE),
    "no type": (_changed(FILE, datatype=0), OTHER_TYPE),
    "voxels inside the header": (_changed(FILE, vox_offset=100), DAMAGED),
    "voxels before the file": (_changed(FILE, vox_offset=-5000), DAMAGED),
    "voxels behind the file": (_changed(FILE, vox_offset=1_000_000), DAMAGED),
    "voxels far behind the file": (_changed(FILE, vox_offset=1e30), DAMAGED),
    "voxels at infinity": (_changed(FILE, vox_offset=np.inf), DAMAGED),
    "voxels nowhere": (_changed(FILE, vox_offset=np.nan), DAMAGED),
    "flat sform": (_changed(FILE, **_rows(*UPRIGHT[:2], [0, 0, 0, 0])), NOWHERE),
    "sform with two axes alike": (_changed(FILE, **_rows([1, 1, 0, 0], [1, 1, 0, 0], UPRIGHT[2])), NOWHERE),
    "sform of zeros": (_changed(FILE, **_rows([0] * 4, [0] * 4, [0] * 4)), NOWHERE),
    "sform with NaN": (_changed(FILE, **_rows([np.nan, 0, 0, 0], *UPRIGHT[1:])), NOWHERE),
    "sform with an infinite place": (_changed(FILE, **_rows([1, 0, 0, np.inf], *UPRIGHT[1:])), NOWHERE),
    "sform too large for its size": (
        _file(kind=nibabel.Nifti2Image, **_rows([1e200, 0, 0, 0], *UPRIGHT[1:])),
        NOWHERE,
    ),
    "sform too small for its size": (
        _file(kind=nibabel.Nifti2Image, **_rows([1e-200, 0, 0, 0], *UPRIGHT[1:])),
        NOWHERE,
    ),
    "sform almost flat": (_changed(FILE, **_rows([1, 1, 0, 0], [0, 0.005, 0, 0], UPRIGHT[2])), NOWHERE),
    "quaternion too long": (_changed(FILE, **FLAT, quatern_b=1, quatern_c=1), QUATERNION),
    "quaternion of NaN": (_changed(FILE, **FLAT, quatern_b=np.nan), NOWHERE),
    "voxels of size NaN": (_changed(FILE, sform_code=0, qform_code=0, pixdim=[1, np.nan, 1, 1, 0, 0, 0, 0]), NOWHERE),
    "pair": (_changed(FILE, magic=b"ni1"), PAIR),
    "pair of version 2": (_file(kind=nibabel.Nifti2Image, magic=b"ni2"), PAIR),
    "pair in gzip": (gzip.compress(_changed(FILE, magic=b"ni1")), PAIR),
    "Analyze": (struct.pack("<i", 348) + bytes(344), PAIR),
    "Analyze from a big-endian machine": (struct.pack(">i", 348) + bytes(344), PAIR),
    "size of an Analyze header before more": (struct.pack("<i", 348) + bytes(345), NOT_A_PICTURE),
    "gzip of Analyze": (gzip.compress(struct.pack("<i", 348) + bytes(344)), PAIR),
    "version 2 with line ends mended": (_file(kind=nibabel.Nifti2Image, eol_check=[10] * 4), DAMAGED),
    "gzip of a picture": (gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(999)), ONLY_NIFTI),
    "gzip of nothing": (gzip.compress(b""), ONLY_NIFTI),
    "gzip mark alone": (b"\x1f\x8b", ONLY_NIFTI),
    "gzip of gzip": (gzip.compress(gzip.compress(FILE)), ONLY_NIFTI),
    "noise behind a gzip mark": (b"\x1f\x8b\x08" + np.random.default_rng(1).bytes(4000), ONLY_NIFTI),
    "gzip with a wrong checksum": (gzip.compress(FILE)[:-8] + bytes(8), DAMAGED),
    "gzip without its end": (gzip.compress(FILE)[:-1], DAMAGED),
    "gzip without its last member": (_in_members(FILE, 5000)[:-30], DAMAGED),
    "gzip with a damaged second member": (gzip.compress(FILE[:5000]) + b"\x1f\x8b" + bytes(99), DAMAGED),
}  # fmt: skip
SENTENCE = re.compile(r"[A-Z][^.!?\n\r]*\.")


def test_a_slab_of_a_few_thin_slices_keeps_them():
    (found,) = read_all(_file(np.zeros((40, 40, 5), np.uint8), np.diag([1, 4, 1, 1])), "slab.nii")
    assert (found.shape, found.facts["plane"]) == ((5, 40, 40), "axial")


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_its_reason(data, reason):
    with pytest.raises(ScanError) as caught:
        read(data, "some/head\x00.nii")
    error = caught.value
    assert (error.reason, error.source) == (reason, "some/head.nii")
    assert SENTENCE.fullmatch(error.reason)
    assert SENTENCE.fullmatch(error.hint)


HUGE = _changed(FILE, dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
HUGE_2 = _file(kind=nibabel.Nifti2Image, dim=[3, 2**62, 2**62, 2**62, 1, 1, 1, 1])
SLAB = (20, 30, 40)


@pytest.mark.parametrize(
    ("data", "limits", "reason"),
    [
        (HUGE, Limits(), TOO_LARGE),
        (gzip.compress(HUGE), Limits(), TOO_LARGE),
        (HUGE_2, Limits(), TOO_LARGE),
        (_changed(FILE, dim=[3, 8000, 8000, 1, 1, 1, 1, 1]), Limits(), TOO_LARGE),
        (_changed(FILE, dim=[2, 5001, 5000, 1, 1, 1, 1, 1]), Limits(), TOO_LARGE),
        (_changed(FILE, dim=[2, 5000, 5000, 1, 1, 1, 1, 1]), Limits(), DAMAGED),
        (_changed(FILE, dim=[3, 400, 400, 401, 1, 1, 1, 1]), Limits(), TOO_LARGE),
        (_changed(FILE, dim=[3, 382, 382, 383, 1, 1, 1, 1]), Limits(), DAMAGED),
        (_file(np.zeros(SLAB, np.uint8)), Limits(max_voxels=20 * 30 * 40), None),
        (_file(np.zeros(SLAB, np.uint8)), Limits(max_voxels=20 * 30 * 40 - 1), TOO_LARGE),
        (_file(np.zeros(SLAB, np.uint8)), Limits(max_pixels=20 * 30), None),
        (_file(np.zeros(SLAB, np.uint8)), Limits(max_pixels=20 * 30 - 1), TOO_LARGE),
        (_file(np.zeros((16, 16, 768), np.uint8)), Limits(), None),
        (FILE, Limits(max_bytes=len(FILE) - 1, max_voxels=10**9), "This file is larger than 0 MB."),
    ],
)
def test_size_is_bounded_by_what_the_header_claims(data, limits, reason):
    (outcome,) = read_all(data, "head.nii", limits)
    assert (outcome.reason if isinstance(outcome, ScanError) else None) == reason


HEAD = {"plain": _file(_head()), "gzip": gzip.compress(_file(_head()))}


@pytest.mark.parametrize("packing", HEAD)
@pytest.mark.parametrize("share", [0.02, 0.1, 0.35, 0.5, 0.8, 0.9, 0.99, 0.999])
def test_a_volume_cut_short_is_never_taken_for_whole(packing, share):
    (outcome,) = read_all(HEAD[packing][: int(len(HEAD[packing]) * share)], "head.nii")
    assert isinstance(outcome, ScanError)


@settings(max_examples=300)
@given(
    packing=st.sampled_from(sorted(HEAD)),
    flips=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 7)), min_size=1, max_size=6),
    far=st.booleans(),
)
def test_a_damaged_volume_is_an_error_or_a_whole_scan(packing, flips, far):
    broken = np.frombuffer(HEAD[packing], np.uint8).copy()
    for place, bit in flips:
        broken[place * (len(broken) // 352 if far else 1)] ^= 1 << bit
    started = time.process_time()
    (outcome,) = read_all(broken.tobytes(), "head.nii", Limits(max_voxels=10**6))
    assert time.process_time() - started < 5
    if isinstance(outcome, Scan):
        assert outcome.pixels.size <= 10**6
        assert prepare(outcome.pixels[0], 32).image.shape == (32, 32)
    else:
        assert SENTENCE.fullmatch(outcome.reason)


def _bomb(mebibytes, head=FILE, tail=b""):
    packer = zlib.compressobj(1, wbits=31)
    parts = [packer.compress(head)]
    parts += [packer.compress(bytes(2**20)) for _ in range(mebibytes)]
    return b"".join(parts) + packer.flush() + tail


def test_no_gzip_takes_much_time_or_memory():
    tiny = gzip.compress(b"\0")
    cases = {
        "leftovers": _bomb(150),
        "no NIfTI": _bomb(150, head=b""),
        "far voxels": _bomb(150, head=_changed(FILE, vox_offset=2**28)[:352]),
        "claims much": _bomb(0, head=_changed(FILE, dim=[3, 382, 382, 383, 1, 1, 1, 1])),
        "tiny members": gzip.compress(FILE[:352]) + tiny * 200_000,
        "tiny members before": tiny * 200_000,
        "empty members": gzip.compress(FILE[:352]) + gzip.compress(b"") * 200_000,
        "long name": b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"n" * 20_000_000,
        "long comment": b"\x1f\x8b\x08\x10\0\0\0\0\0\xff" + b"n" * 20_000_000 + b"\0" + gzip.compress(FILE)[10:],
    }
    run = subprocess.run(
        [sys.executable, "-c", READER],
        input=b"".join(struct.pack("<I", len(data)) + data for data in cases.values()),
        cwd=Path(braintumor.__file__).parents[1],
        capture_output=True,
        check=True,
        timeout=60,
    )
    told = [line.split("\t") for line in run.stdout.decode().splitlines()]
    assert [reason for reason, _, _ in told] == [
        "a scan", ONLY_NIFTI, DAMAGED, DAMAGED, DAMAGED, ONLY_NIFTI, ONLY_NIFTI, ONLY_NIFTI, "a scan",
    ]  # fmt: skip
    for name, (_, seconds, mebibytes) in zip(cases, told, strict=True):
        assert float(seconds) < 5, name
        assert int(mebibytes) < 100, name


READER = """
import resource, struct, sys, time
import nibabel
from braintumor.scans import Scan, read_all
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
cases = []
while size := sys.stdin.buffer.read(4):
    cases.append(sys.stdin.buffer.read(struct.unpack("<I", size)[0]))
before = peak()
for data in cases:
    started = time.monotonic()
    (outcome,) = read_all(data, "head.nii.gz")
    told = "a scan" if isinstance(outcome, Scan) else outcome.reason
    print(told, time.monotonic() - started, peak() - before, sep="\\t")
    before = peak()
"""


def test_archive_may_hold_volumes_beside_pictures():
    picture = io.BytesIO()
    Image.fromarray(phantom(32)).save(picture, "PNG")
    members = {"a.nii": FILE, "b.nii.gz": gzip.compress(FILE), "c.png": picture.getvalue(), "d.nii": FILE[:400]}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    outcomes = [
        item.reason if isinstance(item, ScanError) else item.shape for item in read_all(stream.getvalue(), "all.zip")
    ]
    assert outcomes == [(19, 18, 17), (19, 18, 17), (1, 32, 32), DAMAGED]


def test_walk_finds_volumes_and_no_other_gzip(tmp_path):
    for name in ("a.nii", "B.NII.GZ", "scan.1.nii.gz", "notes.gz", "data.tar.gz", "x.nii.txt", ".nii.gz", "c.hdr"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in walk([tmp_path])] == ["B.NII.GZ", "a.nii", "scan.1.nii.gz"]


def test_nibabel_is_not_loaded_until_a_volume_comes():
    code = """
import io, sys
from PIL import Image
import braintumor.cli
from braintumor.scans import read
file = io.BytesIO()
Image.new("L", (32, 32)).save(file, "PNG")
read(file.getvalue(), "a.png")
print("nibabel" in sys.modules)
read(sys.stdin.buffer.read(), "a.nii")
print("nibabel" in sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=SAME["wrong header size"],
        cwd=Path(braintumor.__file__).parents[1],
        capture_output=True,
        check=True,
    )
    assert run.stdout.split() == [b"False", b"True"]
    # nibabel would report there what it mends.
    assert run.stderr == b""


NO_CODES = {"sform_code": 0, "qform_code": 0}


@pytest.mark.parametrize(
    ("fields", "spacing"),
    [
        ({**NO_CODES, "pixdim": [1, 0, 0, 0, 0, 0, 0, 0]}, None),
        ({**NO_CODES, "pixdim": [1, 2, 2, 0, 0, 0, 0, 0]}, None),
        ({**NO_CODES, "pixdim": [1, 2, 2, 5, 0, 0, 0, 0]}, (5, 2, 2)),
        ({"sform_code": 1, "pixdim": [1, 0, 0, 0, 0, 0, 0, 0]}, (4, 1, 1)),
    ],
)
def test_a_size_that_the_file_does_not_give_stays_unknown(fields, spacing):
    assert read(_file(**fields), "x.nii").spacing == spacing


def test_an_empty_sform_gives_way_to_qform():
    image = nibabel.Nifti1Image(VALUES, np.diag([1, 1, 4, 1]))
    image.set_qform(np.diag([2, 2, 5, 1]), 1)
    data = _changed(image.to_bytes(), sform_code=1, srow_x=0, srow_y=0, srow_z=0)
    scan = read(data, "x.nii")
    assert scan.spacing == pytest.approx((5, 2, 2))
    assert scan.facts["oriented"] is True


def test_leading_axes_of_length_one_are_left_out():
    plain, wrapped = read(_file(), "x.nii"), read(_file(VALUES[np.newaxis]), "x.nii")
    assert np.array_equal(wrapped.pixels, plain.pixels)
    assert wrapped.facts["oriented"] is False


@pytest.mark.parametrize("intercept", [np.nan, np.inf])
def test_an_intercept_that_is_no_number_counts_as_none(intercept):
    assert np.array_equal(read(_file(scl_slope=1, scl_inter=intercept), "x.nii").pixels, read(_file(), "x.nii").pixels)


def test_a_quaternion_that_is_none_is_named():
    fields = {"sform_code": 0, "qform_code": 1, "quatern_b": 0.9, "quatern_c": 0.9, "quatern_d": 0.9}
    with pytest.raises(ScanError, match="quaternion"):
        read(_file(**fields), "x.nii")
