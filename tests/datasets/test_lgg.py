import numpy as np
import pytest
from PIL import Image

from braintumor.datasets import build_index
from braintumor.datasets.lgg import convert

SIDE = 16


def _put(folder, hospital, patient, masked, *, count=8, lacks=None):
    """Slices 1 to ``count`` whose channels hold 10, 20 and 30 times the number; ``lacks`` shows FLAIR instead."""
    own = folder / "kaggle_3m" / f"TCGA_{hospital}_{patient}_19990101"
    own.mkdir(parents=True)
    for number in range(1, count + 1):
        color = np.zeros((SIDE, SIDE, 3), np.uint8) + np.array([10, 20, 30], np.uint8) * np.uint8(number)
        if lacks is not None:
            color[..., lacks] = color[..., 1]
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[2:5, 2:5] = 255 * (number in masked)
        Image.fromarray(color).save(own / f"{own.name}_{number}.tif")
        Image.fromarray(mask).save(own / f"{own.name}_{number}_mask.tif")


@pytest.fixture
def root(tmp_path):
    _put(tmp_path / "lgg", "DU", "5849", {4, 5})
    _put(tmp_path / "lgg", "FG", "A4MT", set(), lacks=2)
    return tmp_path


def test_each_sequence_becomes_a_picture_and_slices_beside_a_tumor_are_left_out(root):
    rows = convert(root / "lgg").query("institution == 'DU'")
    labels = {
        sequence: dict(zip(part["path"].str[12:14], part["label"], strict=True))
        for sequence, part in rows.groupby("sequence")
    }
    clear, tumor = "notumor", "glioma"
    assert labels == {
        "post": {"01": clear, "02": clear, "04": tumor, "05": tumor, "07": clear, "08": clear},
        "flair": {"01": clear, "05": tumor, "07": clear},
        "pre": {"01": clear, "04": tumor, "07": clear},
    }
    assert set(rows["group"]) == {"lgg-5849"}
    for sequence, value in (("pre", 40), ("post", 120)):
        picture = np.asarray(Image.open(root / "lgg" / f"images/5849_04_{sequence}.png"))
        assert (picture == value).all()
    masks = rows.query("label == 'glioma'")["mask"]
    assert set(masks) == {"masks/5849_04.png", "masks/5849_05.png"}
    assert (np.asarray(Image.open(root / "lgg" / masks.iloc[0])) == 255).sum() == 9


def test_a_sequence_that_a_patient_lacks_is_left_out(root):
    rows = convert(root / "lgg").query("institution == 'FG'")
    assert set(rows["sequence"]) == {"pre", "flair"}


def test_the_index_reads_them_and_the_second_time_their_list(root):
    first = build_index(root)
    assert (root / "lgg" / "index.csv").is_file()
    assert set(first["hospital"]) == {"DU", "FG"}
    assert set(first["dataset"]) == {"lgg"}
    assert first["group"].str.startswith("volume-lgg-").all()
    assert build_index(root).equals(first)


def test_a_folder_without_such_slices_gets_no_list(tmp_path):
    (tmp_path / "lgg" / "glioma").mkdir(parents=True)
    Image.fromarray(np.eye(SIDE, dtype=np.uint8)).save(tmp_path / "lgg" / "glioma" / "a.png")
    assert list(build_index(tmp_path)["path"]) == ["lgg/glioma/a.png"]
    assert not (tmp_path / "lgg" / "index.csv").exists()
