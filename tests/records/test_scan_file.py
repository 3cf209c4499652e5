import gzip

import nibabel as nib
import numpy as np
import pytest

from braintumor.records.scan_file import mask_file, read_scan_file, scan_file
from braintumor.records.vault import VaultError

AFFINE = ((0.0, 0.0, -1.0, 10.0), (0.0, -1.0, 0.0, 20.0), (3.0, 0.0, 0.0, -5.0), (0.0, 0.0, 0.0, 1.0))


def pixels(dtype):
    return np.random.default_rng(3).normal(500, 300, (4, 5, 6)).astype(dtype).astype(np.float32)


@pytest.mark.parametrize(("dtype", "stored"), [(np.int16, np.int16), (np.float32, np.float32)])
@pytest.mark.parametrize("largest", [None, 40_000.5])
def test_values_and_place_come_back_exactly(dtype, stored, largest):
    scan = pixels(dtype)
    if largest is not None:
        scan[0, 0, 0], stored = largest, np.float32
    image = nib.Nifti1Image.from_bytes(gzip.decompress(scan_file(scan, AFFINE)))
    assert image.get_data_dtype() == stored
    assert (np.asarray(image.dataobj) == scan).all()
    assert np.allclose(image.affine, AFFINE)


def test_without_a_place_only_the_spacing_is_said():
    image = nib.Nifti1Image.from_bytes(gzip.decompress(scan_file(pixels(np.int16), None, (3.0, 0.5, 0.5))))
    assert image.header.get_zooms() == (3.0, 0.5, 0.5)
    assert (image.header["sform_code"], image.header["qform_code"]) == (0, 0)


def test_the_header_holds_no_text_and_the_bytes_are_the_same_each_time():
    scan = pixels(np.int16)
    header = nib.Nifti1Image.from_bytes(gzip.decompress(scan_file(scan, AFFINE))).header
    assert [
        bytes(header[name].tobytes()).strip(b"\0") for name in ("descrip", "aux_file", "db_name", "intent_name")
    ] == [b""] * 4
    assert scan_file(scan, AFFINE) == scan_file(scan, AFFINE)


@pytest.mark.parametrize(
    ("affine", "spacing", "known"),
    [(AFFINE, (3.0, 1.0, 1.0), (3.0, 1.0, 1.0)), (None, (3.0, 0.5, 0.4), (3.0, 0.5, 0.4)), (None, None, None)],
)
def test_what_was_written_is_read_again(affine, spacing, known):
    scan, mask = pixels(np.int16), pixels(np.int16) > 600
    for written, content in ((scan, scan_file(scan, affine, spacing)), (mask, mask_file(mask, affine, spacing))):
        read = read_scan_file(content)
        assert (read.pixels == written).all()
        assert read.spacing == (known and pytest.approx(known))
        assert (read.affine is None) == (affine is None)
        assert affine is None or np.allclose(read.affine, affine)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a mask",
        gzip.compress(b"a mask", mtime=0),
        scan_file(pixels(np.int16))[:40],
        gzip.compress(bytes(5000), mtime=0),
    ],
)
def test_what_is_no_stored_scan_is_refused(content):
    with pytest.raises(VaultError):
        read_scan_file(content)
