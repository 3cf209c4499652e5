import gzip
import io
import itertools
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nibabel import orientations
from PIL import Image

import braintumor
from braintumor.scans import ScanError, phantom, read, read_all, walk
from tests.scans.nifti_files import FILE, SHAPE, VALUES, in_members, nifti, with_fields

SPACINGS = {"axial": (1, 1, 4), "coronal": (1, 4, 1), "sagittal": (4, 1, 1)}
ALL_WAYS = [
    "".join(signs)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for signs in itertools.product(*order)
]  # fmt: skip


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
    scan = read(nifti(values, np.diag([*SPACINGS[plane], 1])), "head.nii")
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
    data = nifti(values, affine)
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
    scan = read(nifti(values, np.diag([*spacing, 1])), "head.nii")
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
    data = with_fields(image.to_bytes(), scl_slope=slope, scl_inter=intercept)
    assert nibabel.Nifti1Header(data[:348]).endianness == order
    scan = read(data, "head.nii")
    expected = nibabel.Nifti1Image.from_bytes(data).get_fdata()
    np.testing.assert_allclose(scan.pixels, _shown(expected, "axial"), rtol=1e-6)
    assert (scan.pixels.dtype, scan.pixels.flags.c_contiguous) == (np.float32, True)
    assert scan.facts["bits"] == np.dtype(dtype).itemsize * 8


def test_a_volume_of_many_pieces_is_read_whole():
    values = np.random.default_rng(0).integers(0, 1000, (128, 130, 70)).astype(np.int16)
    assert values.size > 2**20
    np.testing.assert_array_equal(read(gzip.compress(nifti(values), 1), "x").pixels, _shown(values, "axial"))


def test_what_the_file_tells_is_told():
    scan = read(FILE, "fol\x00der/head.nii")
    assert dict(scan.facts) == {
        **{"format": "NIfTI", "bits": 16, "color": "gray", "plane": "axial", "oriented": True},
        "weighting": "unknown",
    }
    assert (scan.source, scan.modality, len(scan.sha256)) == ("folder/head.nii", None, 64)


SAME = {
    "plain": FILE,
    "gzip": gzip.compress(FILE),
    "gzip with a file name": b"\x1f\x8b\x08\x08\0\0\0\0\0\xffhead.nii\0" + gzip.compress(FILE)[10:],
    "gzip in members": in_members(FILE, 1000),
    "gzip in members, one empty": gzip.compress(b"") + in_members(FILE, 5000),
    "gzip and padding": gzip.compress(FILE) + bytes(512),
    "gzip and one byte more": gzip.compress(FILE) + b"\x1f",
    "stored gzip": gzip.compress(FILE, 0),
    "volume and leftovers": FILE + bytes(999),
    "gzip of volume and leftovers": gzip.compress(FILE + bytes(999)),
    "gzip of volume and many leftovers": gzip.compress(FILE + bytes(2**22)),
    "version 2": nifti(kind=nibabel.Nifti2Image),
    "version 2 in gzip": gzip.compress(nifti(kind=nibabel.Nifti2Image)),
    "with space before the voxels": with_fields(FILE[:352] + bytes(9648) + FILE[352:], vox_offset=10_000),
    "no offset": with_fields(FILE, vox_offset=0),
    "odd offset": with_fields(FILE[:352] + b"\0" + FILE[352:], vox_offset=353),
    "wrong header size": with_fields(FILE, sizeof_hdr=7),
    "wrong bits": with_fields(FILE, bitpix=64),
    "no handedness": with_fields(FILE, pixdim=[0, 1, 1, 4, 0, 0, 0, 0]),
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
    np.testing.assert_array_equal(read(nifti(values), "x").pixels, _shown(expected, "axial"))


@pytest.mark.parametrize(
    ("units", "scale"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (2 + 8, 1), (1 + 16, 1000), (5, 1), (255, 1)]
)
def test_lengths_are_in_millimeters(units, scale):
    affine = np.diag([2.0, 2, 5, 1])
    affine[:3, 3] = 7, -9, 11
    scan = read(nifti(affine=affine, xyzt_units=units), "x")
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
    scan = read(nifti(values, **fields), "x")
    assert scan.facts["oriented"] is oriented
    assert scan.pixels[:, :, 0].all() == right_is_stored_last
    assert scan.pixels[:, :, -1].all() != right_is_stored_last


def test_a_slab_of_a_few_thin_slices_keeps_them():
    (found,) = read_all(nifti(np.zeros((40, 40, 5), np.uint8), np.diag([1, 4, 1, 1])), "slab.nii")
    assert (found.shape, found.facts["plane"]) == ((5, 40, 40), "axial")


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
    assert outcomes == [(19, 18, 17), (19, 18, 17), (1, 32, 32), "This volume is damaged or cut short."]


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
    assert read(nifti(**fields), "x.nii").spacing == spacing


def test_an_empty_sform_gives_way_to_qform():
    image = nibabel.Nifti1Image(VALUES, np.diag([1, 1, 4, 1]))
    image.set_qform(np.diag([2, 2, 5, 1]), 1)
    data = with_fields(image.to_bytes(), sform_code=1, srow_x=0, srow_y=0, srow_z=0)
    scan = read(data, "x.nii")
    assert scan.spacing == pytest.approx((5, 2, 2))
    assert scan.facts["oriented"] is True


def test_leading_axes_of_length_one_are_left_out():
    plain, wrapped = read(nifti(), "x.nii"), read(nifti(VALUES[np.newaxis]), "x.nii")
    assert np.array_equal(wrapped.pixels, plain.pixels)
    assert wrapped.facts["oriented"] is False


@pytest.mark.parametrize("intercept", [np.nan, np.inf])
def test_an_intercept_that_is_no_number_counts_as_none(intercept):
    assert np.array_equal(read(nifti(scl_slope=1, scl_inter=intercept), "x.nii").pixels, read(nifti(), "x.nii").pixels)


def test_a_quaternion_that_is_none_is_named():
    fields = {"sform_code": 0, "qform_code": 1, "quatern_b": 0.9, "quatern_c": 0.9, "quatern_d": 0.9}
    with pytest.raises(ScanError, match="quaternion"):
        read(nifti(**fields), "x.nii")
