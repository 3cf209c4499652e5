import shutil

import numpy as np
import pandas as pd
import pytest

from braintumor.datasets import DatasetError
from braintumor.training.experiment import load_data
from tests.conftest import png_bytes


@pytest.fixture
def data(picture_folder, tmp_path):
    return load_data(picture_folder, 48, tmp_path, folds=3, fold=0, seed=0)


def test_every_picture_is_prepared_and_in_one_split(data):
    assert data.pictures.shape == (60, 48, 48)
    assert data.pictures.dtype == np.uint8
    assert set(data.index["split"]) == {"train", "validation", "test"}
    assert data.index.groupby("group")["split"].nunique().max() == 1


def test_copies_are_told_apart_from_distinct_pictures(data):
    pictures, index = data.part("train")
    distinct_pictures, distinct = data.distinct("train")
    assert len(pictures) == len(index) == 2 * len(distinct)
    assert len(distinct_pictures) == distinct["picture"].nunique()


def test_the_second_time_comes_from_the_cache(data, picture_folder, tmp_path):
    again = load_data(picture_folder / "gone", 48, tmp_path, folds=3, fold=0, seed=0)
    np.testing.assert_array_equal(again.pictures, data.pictures)
    pd.testing.assert_frame_equal(again.index, data.index, check_dtype=False)


def test_disputed_and_unreadable_pictures_are_left_out(picture_folder, tmp_path):
    root = shutil.copytree(picture_folder, tmp_path / "clinic")
    first = sorted(root.glob("glioma/*.png"))[0]
    shutil.copy(first, root / "meningioma" / "copy.png")
    (root / "notumor" / "broken.png").write_bytes(png_bytes(np.zeros((64, 64)))[:40])
    index = load_data(root, 48, tmp_path / "cache", folds=3, fold=0, seed=0).index
    assert len(index) == 60 - 2
    assert not index["path"].str.contains("broken|copy").any()
    assert f"glioma/{first.name}" not in set(index["path"])


def test_a_folder_without_labels_is_refused(tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "a.png").write_bytes(png_bytes(np.eye(64) * 255))
    with pytest.raises(DatasetError, match="no labelled pictures"):
        load_data(tmp_path, 48, tmp_path / "cache", folds=3, fold=0, seed=0)
