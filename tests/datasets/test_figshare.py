import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from braintumor.datasets import build_index
from braintumor.datasets.figshare import convert

IMAGE = np.arange(20 * 30, dtype=np.int16).reshape(20, 30) * 7
MASK = np.zeros((20, 30), np.uint8)
MASK[3:8, 10:25] = 1


def _write(path, label=1, patient="100360", image=IMAGE, mask=MASK):
    """Write a slice as MATLAB 7.3 does: HDF5, arrays transposed, texts as a column of character codes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_group("cjdata")
        data["label"] = np.array([[float(label)]])
        data["PID"] = np.array([[ord(sign)] for sign in patient], np.uint16)
        data["image"] = image.T
        data["tumorMask"] = mask.T
        data["tumorBorder"] = np.zeros((1, 8))


@pytest.mark.parametrize(("number", "label"), [(1, "meningioma"), (2, "glioma"), (3, "pituitary")])
def test_slice_becomes_picture_mask_and_row(tmp_path, number, label):
    _write(tmp_path / "data" / "17.mat", number, "MR051290A")
    assert convert(tmp_path) == [
        {
            "path": "cheng/images/0017.png",
            "dataset": "cheng",
            "published_split": "",
            "label": label,
            "group": "patient-MR051290A",
            "mask": "cheng/masks/0017.png",
        }
    ]
    picture = np.asarray(Image.open(tmp_path / "cheng/images/0017.png"))
    np.testing.assert_array_equal(picture, np.rint(IMAGE / IMAGE.max() * 255))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "cheng/masks/0017.png")), MASK * 255)


def _not_hdf5(path):
    path.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(500))


def _without(key):
    def write(path):
        _write(path)
        with h5py.File(path, "a") as file:
            del file["cjdata"][key]

    return write


def _label_is(value):
    def write(path):
        _without("label")(path)
        with h5py.File(path, "a") as file:
            file["cjdata"]["label"] = value

    return write


def _label_is_a_group(path):
    _without("label")(path)
    with h5py.File(path, "a") as file:
        file["cjdata"].create_group("label")


def _cut(path):
    _write(path)
    path.write_bytes(path.read_bytes()[:1500])


def _data_is_an_array(path):
    with h5py.File(path, "w") as file:
        file["cjdata"] = np.zeros((3, 3))


@pytest.mark.parametrize(
    "write",
    [
        _not_hdf5,
        _cut,
        _without("label"),
        _without("image"),
        _without("tumorMask"),
        _without("PID"),
        _label_is(np.array([[4.0]])),
        _label_is(np.array([1.0])),
        _label_is(1.0),
        _label_is(np.zeros((0, 0))),
        _label_is_a_group,
        _data_is_an_array,
    ],
)
def test_file_that_is_no_slice_is_passed_over(tmp_path, write):
    _write(tmp_path / "2.mat")
    write(tmp_path / "1.mat")
    assert [row["path"] for row in convert(tmp_path)] == ["cheng/images/0002.png"]


def test_folder_without_slices_is_left_as_it_is(tmp_path):
    _not_hdf5(tmp_path / "1.mat")
    (tmp_path / "a.png").write_bytes(b"x")
    assert convert(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.mat", "a.png"]


def test_slices_come_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 100, 1):
        _write(tmp_path / f"{number}.mat")
    assert [row["path"] for row in convert(tmp_path)] == [
        f"cheng/images/{number:04d}.png" for number in (1, 9, 10, 100)
    ]


def test_flat_slice_is_black(tmp_path):
    _write(tmp_path / "1.mat", image=np.full_like(IMAGE, 900))
    convert(tmp_path)
    assert not np.asarray(Image.open(tmp_path / "cheng/images/0001.png")).any()


def test_index_knows_labels_and_patients_from_the_first_call_on(tmp_path):
    _write(tmp_path / "1.mat", 2, "p1")
    _write(tmp_path / "2.mat", 3, "p2")
    other = tmp_path / "br35h" / "yes" / "y1.png"
    other.parent.mkdir(parents=True)
    Image.fromarray(MASK).save(other)
    first = build_index(tmp_path)
    assert [tuple(row) for row in first.drop(columns=["hospital", "sequence", "modality"]).itertuples(index=False)] == [
        ("br35h/yes/y1.png", "br35h", "", "tumor", "", ""),
        ("cheng/images/0001.png", "cheng", "", "glioma", "patient-p1", "cheng/masks/0001.png"),
        ("cheng/images/0002.png", "cheng", "", "pituitary", "patient-p2", "cheng/masks/0002.png"),
    ]
    pd.testing.assert_frame_equal(build_index(tmp_path), first)
