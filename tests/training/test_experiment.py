import shutil

import numpy as np
import pytest

from braintumor.datasets import DatasetError
from braintumor.training.experiment import labelled_index, prepare_pictures, split_index
from tests.conftest import png_bytes


@pytest.fixture(scope="module")
def index(picture_folder):
    return split_index(labelled_index(picture_folder), folds=3, fold=0, seed=0)


@pytest.fixture
def data(picture_folder, index, tmp_path):
    return prepare_pictures(picture_folder, index, 48, tmp_path)


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


def test_the_cache_serves_the_same_pictures_and_no_others(data, picture_folder, index, tmp_path):
    kept = next(tmp_path.glob("*.npy"))
    np.save(kept, np.full_like(data.pictures, 7))
    assert (prepare_pictures(picture_folder, index, 48, tmp_path).pictures == 7).all()
    other = split_index(index.drop(columns="split"), folds=3, fold=1, seed=0)
    elsewhere = shutil.copytree(picture_folder, tmp_path / "elsewhere")
    for fresh in (
        prepare_pictures(picture_folder, other, 48, tmp_path),
        prepare_pictures(elsewhere, index, 48, tmp_path),
    ):
        np.testing.assert_array_equal(fresh.pictures, data.pictures)


def test_disputed_and_unreadable_pictures_are_left_out(picture_folder, tmp_path):
    root = shutil.copytree(picture_folder, tmp_path / "clinic")
    first = sorted(root.glob("glioma/*.png"))[0]
    shutil.copy(first, root / "meningioma" / "copy.png")
    (root / "notumor" / "broken.png").write_bytes(png_bytes(np.zeros((64, 64)))[:40])
    index = labelled_index(root)
    assert len(index) == 60 - 2
    assert not index["path"].str.contains("broken|copy").any()
    assert f"glioma/{first.name}" not in set(index["path"])


def test_a_folder_without_labels_is_refused(tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "a.png").write_bytes(png_bytes(np.eye(64) * 255))
    with pytest.raises(DatasetError, match="no labelled pictures"):
        labelled_index(tmp_path)


def test_too_few_groups_are_refused_in_a_sentence(index):
    with pytest.raises(DatasetError, match="too few for 5 folds"):
        split_index(index.drop(columns="split").head(8), folds=5, fold=0, seed=0)
