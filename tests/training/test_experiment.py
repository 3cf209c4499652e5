import shutil

import numpy as np
import pandas as pd
import pytest

from braintumor.datasets import DatasetError, Hospitals, at_home
from braintumor.training.experiment import (
    ExperimentData,
    index_digest,
    labelled_index,
    prepare_pictures,
    split_index,
)
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


def test_every_mask_becomes_the_outline_of_its_picture(data):
    assert data.outlines.shape == (8, 48, 48)
    assert sorted(data.index["outline"]) == [-1] * 52 + list(range(8))
    assert ((data.index["outline"] >= 0) == (data.index["mask"] != "")).all()
    for row in np.flatnonzero(data.index["outline"] >= 0):
        drawn = data.outline(row) > 127
        # The mass of the phantom is brighter than nearly all of its head.
        assert 20 < drawn.sum() < 120
        assert np.median(data.pictures[row][drawn]) > np.percentile(data.pictures[row], 80)


@pytest.mark.parametrize(
    ("label", "outline", "expected"),
    [("glioma", 1, 9), ("glioma", -1, None), ("tumor", -1, None), ("notumor", -1, 0), ("notumor", 0, 5)],
)
def test_an_outline_is_empty_without_a_tumor_and_unknown_where_nobody_drew_one(label, outline, expected):
    outlines = np.stack([np.full((4, 4), value, np.uint8) for value in (5, 9)])
    index = pd.DataFrame({"label": [label], "outline": [outline]})
    found = ExperimentData(np.ones((1, 4, 4), np.uint8), outlines, index).outline(0)
    assert (found is None) == (expected is None)
    if expected is not None:
        assert (found.shape, found.dtype) == ((4, 4), np.uint8)
        assert (found == expected).all()


def test_copies_are_told_apart_from_distinct_pictures(data):
    part, distinct = data.part("train"), data.distinct("train")
    assert len(part.pictures) == len(part.index) == 2 * len(distinct.index)
    assert len(distinct.pictures) == distinct.index["picture"].nunique()
    assert set(distinct.index["picture"]) == set(part.index["picture"])


def test_of_copies_the_outlined_one_is_the_distinct_one(data):
    for split in ("train", "validation", "test"):
        distinct = data.distinct(split)
        assert ((distinct.index["outline"] >= 0) == (distinct.index["label"] == "glioma")).all()
        for row in np.flatnonzero(distinct.index["outline"] >= 0):
            where = data.index["path"] == distinct.index["path"].iloc[row]
            np.testing.assert_array_equal(distinct.pictures[row], data.pictures[where][0])
            np.testing.assert_array_equal(distinct.outline(row), data.outline(int(np.flatnonzero(where)[0])))


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([("p0", "a", -1), ("p0", "a", -1)], [0]),
        ([("p0", "a", -1), ("p0", "a", 0)], [1]),
        ([("p0", "a", 0), ("p0", "a", 1)], [0]),
        ([("p0", "a", -1), ("p1", "a", 0), ("p0", "a", 1), ("p1", "a", -1)], [1, 2]),
        # A copy in another dataset counts there once more.
        ([("p0", "a", -1), ("p0", "b", 0), ("p0", "b", -1)], [0, 1]),
    ],
)
def test_distinct_rows_keep_their_order(rows, kept):
    index = pd.DataFrame(rows, columns=["picture", "dataset", "outline"]).assign(split="train", row=range(len(rows)))
    pictures = np.arange(len(rows), dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    distinct = ExperimentData(pictures, np.zeros((2, 2, 2), np.uint8), index).distinct("train")
    assert distinct.index["row"].tolist() == kept
    assert distinct.pictures[:, 0, 0].tolist() == kept
    assert distinct.index.index.tolist() == list(range(len(kept)))


def test_chosen_rows_and_more_of_them_keep_their_outlines(data):
    outlined = (data.index["outline"] >= 0).to_numpy()
    some, others = data.chosen(outlined), data.chosen(~outlined)
    joined = others.with_more(some)
    assert len(joined.index) == len(joined.pictures) == 60
    for row in range(8):
        np.testing.assert_array_equal(joined.outline(52 + row), some.outline(row))
        np.testing.assert_array_equal(joined.pictures[52 + row], some.pictures[row])


@pytest.mark.parametrize("kind", ["pictures", "outlines"])
def test_the_cache_serves_the_same_arrays_and_no_others(kind, data, picture_folder, index, tmp_path):
    kept = next(tmp_path.glob(f"*-{kind}.npy"))
    np.save(kept, np.full_like(getattr(data, kind), 7))
    # How pictures are split changes nothing in them.
    for fold in (0, 1):
        split = split_index(index.drop(columns="split"), folds=3, fold=fold, seed=0)
        assert (getattr(prepare_pictures(picture_folder, split, 48, tmp_path), kind) == 7).all()
    other = index.assign(picture=index["picture"] + "x")
    elsewhere = shutil.copytree(picture_folder, tmp_path / "elsewhere")
    unmasked = index.assign(mask=index["mask"].where(index["path"] != "traced/glioma/01.png", ""))
    for fresh in (
        prepare_pictures(picture_folder, other, 48, tmp_path),
        prepare_pictures(elsewhere, index, 48, tmp_path),
        prepare_pictures(picture_folder, index, 48),
    ):
        np.testing.assert_array_equal(getattr(fresh, kind), getattr(data, kind))
    assert len(prepare_pictures(picture_folder, unmasked, 48, tmp_path).outlines) == 7


@pytest.mark.parametrize(
    ("path", "content", "sentence"),
    [
        ("traced/glioma/01.png", b"\x00no picture", r"traced/glioma/01.png cannot be prepared \(This file is not"),
        ("traced/masks/01.png", b"\x00no picture", r"traced/glioma/01.png cannot be prepared \(This file is not"),
        ("traced/masks/01.png", png_bytes(np.eye(32)), r"traced/glioma/01.png cannot be prepared .*another size"),
    ],
)
def test_what_cannot_be_prepared_is_named(path, content, sentence, picture_folder, index, tmp_path):
    root = shutil.copytree(picture_folder, tmp_path / "clinic")
    (root / path).write_bytes(content)
    with pytest.raises(DatasetError, match=sentence):
        prepare_pictures(root, index, 48, tmp_path / "cache")


def test_disputed_and_unreadable_pictures_are_left_out(picture_folder, tmp_path):
    root = shutil.copytree(picture_folder, tmp_path / "clinic")
    first = sorted(root.glob("traced/glioma/*.png"))[0]
    shutil.copy(first, root / "meningioma" / "copy.png")
    (root / "notumor" / "broken.png").write_bytes(png_bytes(np.zeros((64, 64)))[:40])
    index = labelled_index(root)
    assert len(index) == 60 - 2
    assert not index["path"].str.contains("broken|copy").any()
    assert f"traced/glioma/{first.name}" not in set(index["path"])


def test_a_folder_without_labels_is_refused(tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "a.png").write_bytes(png_bytes(np.eye(64) * 255))
    with pytest.raises(DatasetError, match="no labeled pictures"):
        labelled_index(tmp_path)


def test_too_few_groups_are_refused_in_a_sentence(index):
    with pytest.raises(DatasetError, match="too few for 5 folds"):
        split_index(index.drop(columns="split").head(8), folds=5, fold=0, seed=0)


@pytest.mark.parametrize(
    ("column", "changed"),
    [("label", "glioma"), ("group", "g9"), ("path", "z.png"), ("split", "test"), ("mask", "m.png")],
)
def test_the_digest_notices_other_data_but_not_another_order(column, changed):
    index = pd.DataFrame(
        {
            "path": ["a.png", "b.png"],
            "dataset": "x",
            "published_split": "",
            "label": "notumor",
            "picture": ["p1", "p2"],
            "group": ["g1", "g2"],
            "mask": "",
            "split": "train",
        }
    )
    assert index_digest(index) == index_digest(index[::-1])
    assert index_digest(index.assign(outline=-1)) == index_digest(index)
    other = index.copy()
    other.loc[1, column] = changed
    assert index_digest(other) != index_digest(index)


@pytest.fixture(scope="module")
def abroad(picture_folder, tmp_path_factory):
    """The sixty heads, and beside them two institutions of six stacked slices each, one of them a copy of a head."""
    root = shutil.copytree(picture_folder, tmp_path_factory.mktemp("abroad") / "clinic")
    rows = ["path,label,group,mask,institution,sequence"]
    for number, (place, label) in enumerate([("X", "glioma"), ("X", "notumor"), ("Y", "glioma")] * 4):
        noise = np.random.default_rng(number).normal(120, 40, (64, 64))
        path = root / "lgg" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png_bytes(noise))
        rows.append(f"{number}.png,{label},{place}{number % 2},,{place},{('post', 'pre')[number % 2]}")
    shutil.copy(sorted(root.glob("notumor/*.png"))[0], root / "lgg" / "1.png")
    (root / "lgg" / "index.csv").write_text("\n".join(rows))
    return root


def test_institutions_change_nothing_in_the_folds_of_other_sets(abroad, index):
    found = labelled_index(abroad)
    assert len(found[~at_home(found)]) == 11
    split = split_index(found, folds=3, fold=0, seed=0, hospitals=Hospitals(("X",), ("Y",)))
    home = split[at_home(split)]
    assert index_digest(home.assign(hospital="", sequence="")) == index_digest(index)
    assert split[~at_home(split)].groupby("hospital")["split"].unique().str[0].to_dict() == {
        "X": "hospital_validation",
        "Y": "hospital_test",
    }


def test_hospitals_to_choose_on_stand_beside_the_validation_groups(abroad):
    found = labelled_index(abroad)
    split = split_index(found, folds=3, fold=0, seed=0, hospitals=Hospitals(("X",)))
    data = prepare_pictures(abroad, split, 48)
    chosen = data.to_choose_on().index
    assert set(chosen["split"]) == {"validation", "hospital_validation"}
    assert (chosen["hospital"] == "X").sum() == (split["hospital"] == "X").sum()
    weights = dict(zip(data.index["path"], data.outline_weights.tolist(), strict=True))
    assert [weights[f"lgg/{number}.png"] for number in (0, 2, 3, 4, 5)] == [0.5, 0.5, 0.25, 1.0, 0.25]
    assert weights["traced/glioma/01.png"] == 1.0


def test_an_unknown_hospital_is_refused_in_a_sentence(index):
    with pytest.raises(DatasetError, match="no hospital 'Z'"):
        split_index(index.drop(columns="split"), folds=3, fold=0, seed=0, hospitals=Hospitals(test=("Z",)))
