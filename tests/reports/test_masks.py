import csv
import gzip
import io
import zipfile

import nibabel
import numpy as np
import pytest
from PIL import Image

from braintumor.reports import has_mask, mask_file, mask_name, masks_zip
from braintumor.reports.masks import MANIFEST
from braintumor.reports.tables import MANIFEST_COLUMNS
from tests.reports.made_predictions import AFFINE, answered, prediction


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "0123456789ab-mask.png"), ({"p_tumors": (0.875, 0.1)}, "0123456789ab-mask.nii.gz")],
)
def test_a_mask_is_named_by_the_content_of_its_scan_alone(options, name):
    assert mask_name(prediction("Jane Doe.png", sha256="0123456789abcdef" * 4, **options)) == name


def test_the_mask_of_a_slice_is_a_picture_of_its_size():
    made = prediction()
    picture = np.asarray(Image.open(io.BytesIO(mask_file(made))))
    np.testing.assert_array_equal(picture > 0, made.mask()[0])
    assert picture.shape == (40, 40)


def test_the_mask_of_a_volume_lies_where_its_scan_does():
    made = prediction(p_tumors=(0.875, 0.1, 0.6))
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(mask_file(made)))
    np.testing.assert_array_equal(np.asarray(image.dataobj).T > 0, made.mask())
    np.testing.assert_allclose(image.affine, AFFINE)


@pytest.mark.parametrize(
    ("options", "has_one"),
    [
        ({}, True),
        ({"decision": "refer"}, True),
        ({"decision": "no_tumor", "finding": "notumor", "p_tumors": (0.1,)}, True),
        ({"decision": "refer", "finding": None}, False),
        ({"located": False}, False),
    ],
)
def test_only_a_scan_that_was_judged_by_a_network_that_locates_has_a_mask(options, has_one):
    assert has_mask(prediction(**options)) == has_one


def test_no_mask_is_written_for_a_network_that_does_not_locate():
    with pytest.raises(ValueError, match="squeezenet 1 gives no mask"):
        mask_file(prediction(located=False))


def test_masks_are_packed_with_a_table_of_them():
    answers = [
        answered("=1+1.png", sha256="a" * 64),
        answered("again.png", sha256="a" * 64),
        answered("volume.nii", sha256="b" * 64, p_tumors=(0.875, 0.1)),
        answered("noise.png", sha256="c" * 64, decision="refer", finding=None),
    ]
    packed = masks_zip(answers)
    assert packed == masks_zip(answers)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["aaaaaaaaaaaa-mask.png", "bbbbbbbbbbbb-mask.nii.gz", MANIFEST]
        assert archive.read("aaaaaaaaaaaa-mask.png") == mask_file(answers[0][0])
        text = archive.read(MANIFEST).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == MANIFEST_COLUMNS
    assert [row["source"] for row in rows] == ["'=1+1.png", "again.png", "volume.nii", "noise.png"]
    assert [row["mask_file"][:13] for row in rows] == ["aaaaaaaaaaaa-"] * 2 + ["bbbbbbbbbbbb-", ""]
    assert [row["sha256"][0] for row in rows] == list("aabc")
    assert [row["lesions"] for row in rows] == ["1", "1", "1", ""]
    assert [bool(row["volume_ml"]) for row in rows] == [False, False, True, False]
