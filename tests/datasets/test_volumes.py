import nibabel
import numpy as np
import pytest
from PIL import Image

from braintumor.datasets import build_index
from braintumor.datasets.volumes import convert

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


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ({"a.nii": VOLUME, "a_seg.nii": MASK}, VOLUME),
        ({"a.nii.gz": VOLUME, "a-mask.nii.gz": MASK}, VOLUME),
        ({"a_t1.nii.gz": VOLUME, "a_t1ce.nii.gz": VOLUME[::-1], "a_SEG.nii.gz": MASK}, VOLUME[::-1]),
        ({"a_flair.nii.gz": VOLUME, "a_mask.nii.gz": MASK}, None),
        ({"ab.nii.gz": VOLUME, "a_mask.nii.gz": MASK}, None),
        ({"a.nii.gz": VOLUME}, None),
        ({"a.nii.gz": VOLUME[:, :, :4], "a_mask.nii.gz": MASK}, None),
    ],
    ids=["seg", "dash", "the last of several", "no T1", "another name", "no mask", "another shape"],
)
def test_masks_find_their_volume(files, taken, tmp_path):
    for name, values in files.items():
        write(tmp_path / name, values)
    rows = convert(tmp_path)
    assert len(rows) == (0 if taken is None else 5)
    assert (tmp_path / "volumes").exists() == (taken is not None)
    if taken is not None:
        picture = np.asarray(Image.open(tmp_path / rows[0]["path"]), np.float32)
        scaled = (taken - taken.min()) / (taken.max() - taken.min()) * 65535
        np.testing.assert_allclose(picture, scaled[::-1, ::-1, 0].T, atol=0.51)


def test_one_damaged_volume_does_not_stop_the_others(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.nii.gz")
        write(tmp_path / f"{name}_mask.nii.gz", MASK)
    (tmp_path / "a.nii.gz").write_bytes(b"broken")
    assert {row["group"] for row in convert(tmp_path)} == {"volume-b"}


def test_an_index_lists_the_slices_once(tmp_path):
    write(tmp_path / "head.nii.gz")
    write(tmp_path / "head_mask.nii.gz", MASK)
    first, again = build_index(tmp_path), build_index(tmp_path)
    assert len(first) == 5
    assert first.equals(again)
    assert (tmp_path / "index.csv").is_file()
