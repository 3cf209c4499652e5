import nibabel
import numpy as np
import pytest
from PIL import Image

from braintumor.datasets import build_index
from braintumor.datasets.volumes import convert
from braintumor.training.experiment import labelled_index

SHAPE = (24, 20, 5)
VOLUME = np.random.default_rng(0).normal(300, 80, SHAPE).astype(np.float32)
MASK = np.zeros(SHAPE, np.float32)
MASK[4:9, 6:12, 1:3] = 1
AFFINE = np.diag([1.0, 1.0, 5.0, 1.0])


def write(path, values=VOLUME):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)


def test_slices_become_pictures_masks_and_rows(tmp_path):
    root = tmp_path / "clinic"
    write(root / "one" / "head_t1.nii.gz")
    write(root / "one" / "head_mask.nii.gz", MASK)
    rows = convert(root)
    assert [row["label"] for row in rows] == ["notumor", "tumor", "tumor", "notumor", "notumor"]
    assert rows[1] == {
        "path": "volumes/images/one-head-001.png",
        "dataset": "clinic",
        "published_split": "",
        "label": "tumor",
        "group": "volume-one-head",
        "mask": "volumes/masks/one-head-001.png",
    }
    assert [bool(row["mask"]) for row in rows] == [False, True, True, False, False]
    # As radiologists look at it: rows from front to back, columns from the patient's right to left.
    scaled = (VOLUME - VOLUME.min()) / (VOLUME.max() - VOLUME.min()) * 65535
    picture = np.asarray(Image.open(root / rows[1]["path"]), np.float32)
    np.testing.assert_allclose(picture, scaled[::-1, ::-1, 1].T, atol=0.51)
    np.testing.assert_array_equal(np.asarray(Image.open(root / rows[1]["mask"])), MASK[::-1, ::-1, 1].T * 255)


OTHER = VOLUME[::-1].copy()


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ({"a.nii": VOLUME, "a_seg.nii": MASK}, VOLUME),
        ({"a-t1n.nii.gz": OTHER, "a-t1c.nii.gz": VOLUME, "a-seg.nii.gz": MASK}, VOLUME),
        ({"a_t1.nii.gz": OTHER, "a_t1ce.nii.gz": VOLUME, "a_SEG.nii.gz": MASK}, VOLUME),
        ({"a_t1.nii.gz": VOLUME, "a_t1_seg.nii.gz": OTHER, "a_mask.nii.gz": MASK}, VOLUME),
        ({"a.nii.gz": VOLUME, "a_mask.nii.gz": MASK, "a_seg.nii.gz": OTHER}, VOLUME),
        ({"a.nii.gz": VOLUME, "a-mask.nii.gz": MASK}, None),
        ({"a_t1_brain.nii.gz": VOLUME, "a_t1_brain_mask.nii.gz": MASK}, None),
        ({"a_flair.nii.gz": VOLUME, "a_mask.nii.gz": MASK}, None),
        ({"ab.nii.gz": VOLUME, "a_mask.nii.gz": MASK}, None),
        ({"a.nii.gz": VOLUME}, None),
        ({"a.nii.gz": VOLUME[:, :, :4], "a_mask.nii.gz": MASK}, None),
    ],
    ids=[
        "seg",
        "BraTS 2023",
        "after contrast agent",
        "no mask for a volume",
        "the first of two masks",
        "a mask of this software",
        "a mask of the brain",
        "no T1",
        "another name",
        "no mask",
        "another shape",
    ],
)
def test_masks_find_their_volume(files, taken, tmp_path):
    for name, values in files.items():
        write(tmp_path / name, values)
    rows = [row for row in convert(tmp_path) if row["group"] == "volume-a"]
    assert len(rows) == (0 if taken is None else 5)
    if taken is not None:
        picture = np.asarray(Image.open(tmp_path / rows[0]["path"]), np.float32)
        scaled = (taken - taken.min()) / (taken.max() - taken.min()) * 65535
        np.testing.assert_allclose(picture, scaled[::-1, ::-1, 0].T, atol=0.51)
        assert [row["label"] for row in rows] == ["notumor", "tumor", "tumor", "notumor", "notumor"]


def test_a_mask_that_lies_elsewhere_is_passed_over(tmp_path):
    write(tmp_path / "a.nii.gz")
    mirrored = np.diag([-1.0, 1.0, 5.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(MASK, mirrored), tmp_path / "a_mask.nii.gz")
    assert convert(tmp_path) == []


def test_empty_slices_are_left_out(tmp_path):
    padded = VOLUME.copy()
    padded[:, :, 3:] = padded.min()
    write(tmp_path / "a.nii.gz", padded)
    write(tmp_path / "a_mask.nii.gz", MASK)
    assert [row["label"] for row in convert(tmp_path)] == ["notumor", "tumor", "tumor"]


def test_neighboring_slices_are_no_copies_of_each_other(tmp_path):
    thin = VOLUME[:, :, :1] + np.linspace(0, 1, 5, dtype=np.float32)
    write(tmp_path / "a.nii.gz", thin)
    write(tmp_path / "a_mask.nii.gz", MASK)
    index = labelled_index(tmp_path)
    assert index["picture"].nunique() == len(index) == 5
    assert index["group"].nunique() == 1


def test_one_damaged_volume_does_not_stop_the_others(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.nii.gz")
        write(tmp_path / f"{name}_mask.nii.gz", MASK)
    (tmp_path / "a.nii.gz").write_bytes(b"broken")
    assert {row["group"] for row in convert(tmp_path)} == {"volume-b"}


def test_an_index_lists_the_slices_once_and_those_of_volumes_added_later(tmp_path):
    write(tmp_path / "head.nii.gz")
    write(tmp_path / "head_mask.nii.gz", MASK)
    first, again = build_index(tmp_path), build_index(tmp_path)
    assert len(first) == 5
    assert first.equals(again)
    write(tmp_path / "second.nii.gz")
    write(tmp_path / "second_mask.nii.gz", MASK)
    assert len(build_index(tmp_path)) == 10
