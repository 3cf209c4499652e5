import numpy as np
import pandas as pd
import pytest
from PIL import Image

from braintumor.datasets import INDEX_COLUMNS, DatasetError, at_home, build_index, write_index


def _put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(root / name, "PNG")


def _rows(index):
    return [tuple(row) for row in index.drop(columns=["hospital", "sequence", "modality"]).itertuples(index=False)]


def test_folders_become_rows_sorted_by_path(tmp_path):
    root = tmp_path / "data"
    _put(
        root,
        "masoud/Training/glioma/b.jpg",
        "masoud/Training/glioma/a.jpg",
        "masoud/Testing/notumor/c.png",
        "br35h/yes/y1.jpg",
        "br35h/masks/y1.png",
        "br35h/Br35H-Mask-RCNN/train/y2.jpg",
        "hospital/healthy/h.tif",
        "top.png",
    )
    (root / "br35h" / "notes.txt").write_text("x")
    (root / "br35h" / "all.zip").write_bytes(b"PK")
    assert _rows(build_index(root)) == [
        ("br35h/yes/y1.jpg", "br35h", "", "tumor", "", "br35h/masks/y1.png"),
        ("hospital/healthy/h.tif", "data", "", "notumor", "", ""),
        ("masoud/Testing/notumor/c.png", "masoud", "test", "notumor", "", ""),
        ("masoud/Training/glioma/a.jpg", "masoud", "train", "glioma", "", ""),
        ("masoud/Training/glioma/b.jpg", "masoud", "train", "glioma", "", ""),
        ("top.png", "data", "", "", "", ""),
    ]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("path,label\nb.png,glioma\na.png,\n", [("a.png", "", "", "", "", ""), ("b.png", "", "", "glioma", "", "")]),
        (
            "label,path,group,dataset,published_split,mask,extra\ntumor,a.png,007,NA,train,m.png,z\n",
            [("a.png", "NA", "train", "tumor", "007", "m.png")],
        ),
    ],
)
def test_listing_is_taken_at_its_word(tmp_path, text, rows):
    _put(tmp_path, "glioma/not-listed.png")
    (tmp_path / "index.csv").write_text(text)
    index = build_index(tmp_path)
    assert tuple(index.columns) == INDEX_COLUMNS
    assert _rows(index) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"path,label\na.png,gliom\n",
            "has the label 'gliom'; use one of glioma, meningioma, pituitary, notumor, tumor",
        ),
        (b"path,label\na.png,Glioma\n", "has the label 'Glioma'"),
        (b"path,label\n", "holds no pictures"),
        (b"path,class\na.png,glioma\n", "lacks the column path or label"),
        (b"label\nglioma\n", "lacks the column path or label"),
        (b"", "no table that can be read"),
        (b'path,label\n"a.png,glioma\n', "no table that can be read"),
        (b"path,label\na,glioma,b,c\nb,c,d,e,f,g\n", "no table that can be read"),
        (b"path,label\n\xff\xfe\xfa,glioma\n", "no table that can be read"),
    ],
)
def test_listing_that_cannot_be_used_is_refused(tmp_path, content, message):
    (tmp_path / "index.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        build_index(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"), [("missing", "is not a folder"), ("file", "is not a folder"), ("empty", "holds no pictures")]
)
def test_place_without_pictures_is_refused(tmp_path, name, message):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=message):
        build_index(tmp_path / name)


def test_written_index_reads_back_the_same(tmp_path):
    _put(tmp_path, "train/glioma/a.png", "test/no/b.png", "masks/c.png", "test/masks/b.png")
    index = build_index(tmp_path)
    write_index(index, tmp_path / "deep" / "index.csv")
    pd.testing.assert_frame_equal(build_index(tmp_path / "deep").drop(columns="mask"), index.drop(columns="mask"))
    assert list(index["mask"]) == ["test/masks/b.png", ""]


LISTED = (
    "path,label,group,mask,institution,sequence\n"
    "images/1_post.png,glioma,p1,masks/1.png,FG,post\n"
    "images/1_flair.png,notumor,p1,,FG,flair\n"
    "images/2_post.png,notumor,,,,post\n"
)


def test_dataset_with_a_list_of_its_own_is_read_there_and_institutions_come_last(tmp_path):
    _put(tmp_path, "masoud/Training/glioma/a.jpg", "lgg/images/1_post.png", "lgg/unlisted.png")
    (tmp_path / "lgg" / "index.csv").write_text(LISTED)
    index = build_index(tmp_path)
    assert [tuple(row) for row in index.drop(columns=["published_split", "modality"]).itertuples(index=False)] == [
        ("lgg/images/2_post.png", "lgg", "notumor", "", "", "lgg", "post"),
        ("masoud/Training/glioma/a.jpg", "masoud", "glioma", "", "", "masoud", ""),
        ("lgg/images/1_flair.png", "lgg", "notumor", "volume-p1", "", "FG", "flair"),
        ("lgg/images/1_post.png", "lgg", "glioma", "volume-p1", "lgg/masks/1.png", "FG", "post"),
    ]
    assert list(at_home(index)) == [True, True, False, False]


def test_top_list_wins_over_the_one_of_a_folder_and_both_read_back_the_same(tmp_path):
    (tmp_path / "lgg").mkdir()
    (tmp_path / "lgg" / "index.csv").write_text(LISTED)
    (tmp_path / "index.csv").write_text("path,label\nlgg/images/1_post.png,tumor\na.png,notumor\n")
    index = build_index(tmp_path)
    assert list(index["label"]) == ["notumor", "tumor", "notumor", "notumor"]
    write_index(index, tmp_path / "copy" / "index.csv")
    pd.testing.assert_frame_equal(build_index(tmp_path / "copy"), index)


@pytest.mark.parametrize(
    ("content", "message"),
    [("path,class\na,b\n", "lgg/index.csv lacks the column path or label"), ("path,label\na,b\n", "has the label 'b'")],
)
def test_list_of_a_folder_that_cannot_be_used_is_refused(tmp_path, content, message):
    _put(tmp_path, "glioma/a.png")
    (tmp_path / "lgg").mkdir()
    (tmp_path / "lgg" / "index.csv").write_text(content)
    with pytest.raises(DatasetError, match=message):
        build_index(tmp_path)


@pytest.mark.parametrize(
    ("path", "modality"),
    [
        ("multimodal/Brain Tumor CT scan Images/Tumor/a.jpg", "CT"),
        ("multimodal/Brain Tumor MRI images/Healthy/a.jpg", "MR"),
        ("CT/glioma/a.png", "CT"),
        ("glioma/a.png", "MR"),
    ],
)
def test_folders_name_the_modality_and_mri_is_usual(path, modality, tmp_path):
    _put(tmp_path, path)
    assert list(build_index(tmp_path)["modality"]) == [modality]
