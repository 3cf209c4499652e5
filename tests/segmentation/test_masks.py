import gzip
import io

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nibabel import orientations
from PIL import Image

from braintumor.scans import Prepared, phantom, prepare, read
from braintumor.segmentation import dice_threshold, mask_nifti, mask_png, tumor_mask


def square(top, left, side, size=64):
    return Prepared(np.zeros((size, size), np.uint8), top, left, side)


def spots(*boxes, size=64, value=0.9):
    """A map of zeros with boxes (top, left, height, width) of one value."""
    values = np.zeros((size, size), np.float32)
    for top, left, height, width in boxes:
        values[top : top + height, left : left + width] = value
    return values


def loaded(data):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(data))


def test_mask_lies_where_the_map_says():
    found = tumor_mask(spots((10, 20, 8, 6)), square(5, 7, 64), (100, 90), 0.5)
    expected = np.zeros((100, 90), bool)
    expected[15:23, 27:33] = True
    assert found.dtype == bool
    np.testing.assert_array_equal(found, expected)


def test_map_of_another_size_is_enlarged():
    found = tumor_mask(spots((4, 4, 8, 8), size=16), square(0, 0, 160), (160, 160), 0.45)
    expected = np.zeros((160, 160), bool)
    expected[40:120, 40:120] = True
    assert (found != expected).sum() < 0.02 * expected.sum()


@pytest.mark.parametrize(("threshold", "kept"), [(0.4, True), (0.5, True), (0.51, False)])
def test_reaching_the_threshold_is_enough(threshold, kept):
    assert tumor_mask(spots((10, 10, 9, 9), value=0.5), square(0, 0, 64), (64, 64), threshold).any() == kept


@pytest.mark.parametrize(
    ("boxes", "pixels"),
    [
        # 0.05 % of 200 x 200 are 20 pixels.
        ([(50, 50, 4, 5)], 20),
        ([(50, 50, 1, 19)], 0),
        ([(50, 50, 1, 19), (100, 100, 10, 10)], 100),
        ([(50, 50, 2, 5), (52, 55, 2, 5)], 20),
        ([(50, 50, 2, 5), (53, 55, 2, 5)], 0),
    ],
    ids=["just enough", "speck", "speck beside a lesion", "joined by a corner", "two specks"],
)
def test_specks_are_dropped(boxes, pixels):
    assert tumor_mask(spots(*boxes, size=200), square(0, 0, 200), (200, 200), 0.5).sum() == pixels


def test_size_of_a_speck_follows_the_square_and_not_the_slice():
    box, values = (30, 30, 3, 3), spots((30, 30, 3, 3))
    assert tumor_mask(values, square(0, 0, 64), (900, 900), 0.5).sum() == box[2] * box[3]


def expected_dice(tumor_map, threshold):
    taken = tumor_map[tumor_map >= np.float32(threshold)].astype(np.float64)
    return 2 * taken.sum() / (len(taken) + tumor_map.sum(dtype=np.float64))


@pytest.mark.parametrize(
    ("tumor_map", "low", "high"),
    [
        (spots((10, 10, 8, 8), value=0.9), 0.1, 0.9),
        (spots((10, 10, 8, 8), value=0.9) + spots((30, 30, 8, 8), value=0.3), 0.3, 0.9),
        (spots((10, 10, 8, 8), value=0.4) + spots((30, 30, 8, 8), value=0.3), 0.1, 0.301),
        (spots((10, 10, 3, 3), value=0.02), 0.1, 0.1),
        (np.zeros((64, 64), np.float32), 0.1, 0.1),
        (np.ones((64, 64), np.float32), 0.5, 0.5),
    ],
    ids=["clear", "faint beside clear", "two faint", "hardly anything", "nothing", "everything"],
)
def test_a_faint_lesion_is_cut_lower_than_a_clear_one(tumor_map, low, high):
    assert low <= dice_threshold(tumor_map) <= high


@given(hnp.arrays(np.float32, (6, 6), elements=st.floats(0.25, 0.484375, width=32)))
def test_no_other_threshold_lets_one_expect_a_higher_dice(tumor_map):
    best = expected_dice(tumor_map, dice_threshold(tumor_map))
    assert all(best >= expected_dice(tumor_map, value) - 1e-6 for value in np.unique(tumor_map))


@pytest.mark.parametrize("threshold", [0, 1, -0.1, 1.5, float("nan")])
def test_threshold_must_lie_between_0_and_1(threshold):
    with pytest.raises(ValueError, match="threshold"):
        tumor_mask(spots(), square(0, 0, 64), (64, 64), threshold)


@given(
    hnp.arrays(np.float32, (6, 6), elements=st.floats(0, 1, width=32)),
    st.integers(-60, 60),
    st.integers(-60, 60),
    st.integers(1, 90),
    st.floats(0.01, 0.99),
)
def test_there_is_never_tumor_outside_the_square(values, top, left, side, threshold):
    found = tumor_mask(values, square(top, left, side), (31, 47), threshold)
    rows, columns = np.nonzero(found)
    assert found.shape == (31, 47)
    assert ((rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)).all()


def test_a_mass_of_a_phantom_comes_back_whole():
    picture = phantom(300, tumor=False).astype(np.float32)
    picture[90:130, 160:190] = 255
    prepared = prepare(picture, 192)
    found = tumor_mask((prepared.image >= 250).astype(np.float32), prepared, picture.shape, 0.5)
    expected = np.zeros(picture.shape, bool)
    expected[90:130, 160:190] = True
    assert (found & expected).sum() > 0.9 * expected.sum()
    assert (found[80:140, 150:200] & ~expected[80:140, 150:200]).sum() < 0.1 * expected.sum()


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (40, 25)])
def test_png_holds_the_mask_and_nothing_else(shape):
    mask = np.random.default_rng(0).random(shape) < 0.5
    with Image.open(io.BytesIO(mask_png(mask))) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        np.testing.assert_array_equal(np.asarray(picture), np.where(mask, 255, 0))


MASK = np.random.default_rng(1).random((3, 5, 7)) < 0.4
# Columns to the patient's left, rows to the back, slices to the head, tilted a little.
OBLIQUE = np.array([[-0.9, 0.1, 0.0, 80.0], [0.1, -0.8, 0.2, 90.0], [0.0, 0.1, 4.9, -40.0], [0, 0, 0, 1]])
PLACE = [
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
]


def test_nifti_without_a_placement_is_of_no_known_size_or_place():
    image = loaded(mask_nifti(MASK))
    np.testing.assert_array_equal(np.asarray(image.dataobj), MASK)
    assert image.get_data_dtype() == np.uint8
    header = image.header
    assert (header["sform_code"], header["qform_code"], header.get_xyzt_units()) == (0, 0, ("unknown", "unknown"))


@pytest.mark.parametrize("directions", ["RAS", "LPS", "SPL", "AIL", "PIR", "LAI"])
def test_the_mask_of_a_turned_volume_fits_it_voxel_by_voxel(directions):
    turned = orientations.axcodes2ornt(directions)
    shape = np.array([20, 24, 28])[turned[:, 0].astype(int)]
    affine = np.diag([1.0, 1.0, 4.0, 1.0]) @ orientations.inv_ornt_aff(
        orientations.ornt_transform(orientations.axcodes2ornt("RAS"), turned), (20, 24, 28)
    )
    drawn = np.random.default_rng(2).random(shape) < 0.3
    stored = nibabel.Nifti1Image(drawn.astype(np.float32), affine)
    scan = read(gzip.compress(stored.to_bytes()), "volume.nii.gz")
    image = loaded(mask_nifti(scan.pixels > 0.5, scan.placement))
    np.testing.assert_array_equal(np.asarray(image.dataobj), drawn)
    np.testing.assert_allclose(image.affine, affine, atol=1e-4)


def _with_header(shape=(20, 24, 18), kind=nibabel.Nifti1Image, **fields):
    """A scan whose file has these fields in its header, and that header."""
    image = kind(np.arange(np.prod(shape), dtype=np.int32).reshape(shape), OBLIQUE)
    header = image.header.copy()
    for name, value in {"descrip": b"Jane Doe", **fields}.items():
        header[name] = value
    header["vox_offset"] = header.single_vox_offset
    data = header.binaryblock + bytes(4) + np.asarray(image.dataobj).tobytes(order="F")
    return read(data, "head.nii"), header


@pytest.mark.parametrize(
    "fields",
    [
        {"sform_code": 1, "qform_code": 4},
        {"sform_code": 0, "qform_code": 1},
        {"sform_code": 3, "qform_code": 0},
        {"sform_code": 0, "qform_code": 0},
        {"sform_code": 0, "qform_code": 0, "pixdim": [1, 0, 0, 0, 0, 0, 0, 0]},
        {"sform_code": 1, "qform_code": 1, "srow_x": 0, "srow_y": 0, "srow_z": 0},
        {"xyzt_units": 3},
        {"xyzt_units": 0},
        {"kind": nibabel.Nifti2Image, "sform_code": 1, "qform_code": 2},
        {"shape": (1, 20, 24, 18)},
        {"shape": (20, 24, 18, 1)},
        {"shape": (20, 24)},
    ],
)
def test_a_mask_says_of_its_place_what_its_scan_says_and_no_more(fields):
    scan, header = _with_header(**fields)
    data = gzip.decompress(mask_nifti(scan.pixels > 5, scan.placement))
    written = type(header)(data[: header.sizeof_hdr], check=False)
    for name in PLACE:
        np.testing.assert_array_equal(written[name], header[name], err_msg=name)
    assert written.get_data_shape() == header.get_data_shape()
    assert not bytes(written["descrip"]).strip(b"\0")
    stored = np.frombuffer(data[header.single_vox_offset :], np.uint8)
    np.testing.assert_array_equal(stored, np.ravel(np.arange(stored.size).reshape(header.get_data_shape()), "F") > 5)


def test_nifti_is_read_from_a_file_by_its_suffix(tmp_path):
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(mask_nifti(MASK))
    np.testing.assert_array_equal(nibabel.load(path).get_fdata(), MASK)


def test_nifti_bytes_do_not_depend_on_the_time(monkeypatch):
    first = mask_nifti(MASK)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert mask_nifti(MASK) == first


@pytest.mark.parametrize(
    ("shape", "is_placed", "words"),
    [((5, 7), False, "three axes"), ((1, 1, 32_768), False, "32767"), ((3, 5, 7), True, "file")],
)
def test_what_no_nifti_can_hold_is_refused(shape, is_placed, words):
    with pytest.raises(ValueError, match=words):
        mask_nifti(np.zeros(shape, bool), _with_header()[0].placement if is_placed else None)
