import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from braintumor.datasets import build_index
from braintumor.datasets.via import convert

WIDTH, HEIGHT = 60, 40
OUTLINED = "br35h/Br35H-Mask-RCNN"


def _put(root, *names, size=(WIDTH, HEIGHT), exif=None):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 90).save(root / name, **({"exif": exif} if exif else {}))


def _polygon(*points):
    return {"name": "polygon", "all_points_x": [x for x, _ in points], "all_points_y": [y for _, y in points]}


SQUARE = _polygon((10, 5), (30, 5), (30, 25), (10, 25))


def _region(shape):
    return {"shape_attributes": shape, "region_attributes": {"tumor": "1"}}


def _entry(name, *shapes):
    return {"filename": name, "size": 12345, "regions": [_region(shape) for shape in shapes], "file_attributes": {}}


def _listing(*entries):
    return {f"{entry['filename']}{entry['size']}": entry for entry in entries}


def _list(root, name, content):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def _row(path, split, mask):
    return {
        "path": path,
        "dataset": "br35h",
        "published_split": split,
        "label": "tumor",
        "group": "",
        "mask": f"br35h/masks/{mask}.png",
    }


def _mask(root, name="y1"):
    image = Image.open(root / f"br35h/masks/{name}.png")
    assert image.mode == "L"
    values = np.asarray(image)
    assert set(np.unique(values)) <= {0, 255}
    return values > 0


def _one(root, *shapes):
    """Rows of a folder with one picture that carries these shapes."""
    _put(root, f"{OUTLINED}/TRAIN/y1.jpg")
    _list(root, f"{OUTLINED}/TRAIN/annotations.json", _listing(_entry("y1.jpg", *shapes)))
    return convert(root)


@pytest.mark.parametrize(
    ("folder", "split"),
    [("TRAIN", "train"), ("VAL", "validation"), ("TEST", "test"), ("train", "train"), ("other", ""), (".", "")],
)
def test_outline_becomes_mask_and_row_with_the_split_of_its_folder(tmp_path, folder, split):
    _put(tmp_path, f"{OUTLINED}/{folder}/y1.jpg", f"{OUTLINED}/{folder}/y2.jpg")
    _list(tmp_path, f"{OUTLINED}/{folder}/via.json", _listing(_entry("y1.jpg", SQUARE)))
    path = f"{OUTLINED}/{folder}/y1.jpg".replace("/./", "/")
    assert convert(tmp_path) == [_row(path, split, "y1")]
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[5:26, 10:31] = True
    np.testing.assert_array_equal(_mask(tmp_path), expected)


ENTRY = _entry("y1.jpg", SQUARE)


@pytest.mark.parametrize(
    "content",
    [
        _listing(ENTRY),
        {"_via_settings": {}, "_via_img_metadata": _listing(ENTRY), "_via_attributes": {}},
        _listing({**ENTRY, "regions": {"0": _region(SQUARE)}}),
        _listing({**ENTRY, "size": -1}),
        _listing({**ENTRY, "filename": "/home/someone/TRAIN/y1.jpg"}),
        _listing({**ENTRY, "filename": "C:\\pictures\\y1.jpg"}),
        b"\xef\xbb\xbf" + json.dumps(_listing(ENTRY)).encode(),
        json.dumps(_listing(ENTRY)).encode("utf-16"),
    ],
    ids=["VIA 2 export", "VIA 2 project", "VIA 1", "no size", "path", "Windows path", "byte order mark", "UTF-16"],
)
def test_every_form_of_listing_is_read(tmp_path, content):
    _put(tmp_path, f"{OUTLINED}/TRAIN/y1.jpg")
    _list(tmp_path, f"{OUTLINED}/TRAIN/via_region_data.json", content)
    assert convert(tmp_path) == [_row(f"{OUTLINED}/TRAIN/y1.jpg", "train", "y1")]
    assert _mask(tmp_path).sum() == 21 * 21


Y, X = np.mgrid[:HEIGHT, :WIDTH]


def _turned(cx, cy, rx, ry, theta):
    along = (X - cx) * math.cos(theta) + (Y - cy) * math.sin(theta)
    across = -(X - cx) * math.sin(theta) + (Y - cy) * math.cos(theta)
    return np.hypot(along / rx, across / ry)


def _ellipse(cx=30, cy=20, rx=18, ry=7, **theta):
    return {"name": "ellipse", "cx": cx, "cy": cy, "rx": rx, "ry": ry, **theta}


@pytest.mark.parametrize(
    ("shape", "distance"),
    [
        (_ellipse(), _turned(30, 20, 18, 7, 0)),
        (_ellipse(theta=0), _turned(30, 20, 18, 7, 0)),
        (_ellipse(theta=0.6), _turned(30, 20, 18, 7, 0.6)),
        (_ellipse(theta=-0.6), _turned(30, 20, 18, 7, -0.6)),
        (_ellipse(theta=math.pi / 2), _turned(30, 20, 7, 18, 0)),
        (_ellipse(cx=2.5, cy=38.5, theta=1), _turned(2.5, 38.5, 18, 7, 1)),
        ({"name": "circle", "cx": 20, "cy": 15, "r": 9.5}, _turned(20, 15, 9.5, 9.5, 0)),
        ({"name": "circle", "cx": 60, "cy": 40, "r": 12}, _turned(60, 40, 12, 12, 0)),
    ],
)
def test_round_shapes_are_drawn_where_they_lie(tmp_path, shape, distance):
    assert len(_one(tmp_path, shape)) == 1
    drawn = _mask(tmp_path)
    # Within a pixel of the edge either is right.
    assert drawn[distance < 0.85].all()
    assert not drawn[distance > 1.2].any()


@settings(max_examples=40)
@given(
    cx=st.floats(0, WIDTH),
    cy=st.floats(0, HEIGHT),
    rx=st.floats(4, 90),
    ry=st.floats(4, 90),
    theta=st.floats(-4, 4),
)
def test_any_ellipse_covers_what_is_inside_it(tmp_path_factory, cx, cy, rx, ry, theta):
    root = tmp_path_factory.mktemp("ellipse")
    assert len(_one(root, _ellipse(cx, cy, rx, ry, theta=theta))) == 1
    drawn, distance = _mask(root), _turned(cx, cy, rx, ry, theta)
    edge = 1.5 / min(rx, ry)
    assert drawn[distance < 1 - edge].all()
    assert not drawn[distance > 1 + edge].any()


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ({"name": "rect", "x": 12, "y": 6, "width": 20, "height": 9}, slice(6, 16), slice(12, 33)),
        ({"name": "rect", "x": -5, "y": -5, "width": 15, "height": 9}, slice(0, 5), slice(0, 11)),
        ({"name": "rect", "x": 50, "y": 30, "width": 1e9, "height": 1e9}, slice(30, 40), slice(50, 60)),
        (_polygon((10, 5), (30, 5), (30, 25), (10, 25)), slice(5, 26), slice(10, 31)),
        (_polygon((10, 5), (60, 5), (60, 40), (10, 40)), slice(5, 40), slice(10, 60)),
        (_polygon((10, 5), (500, 9), (30, 5), (30, 25), (-1, 3), (10, 25)), slice(5, 26), slice(10, 31)),
        (_polygon((10, 5), (1e300, 1e300), (30, 5), (30, 25), (10, 25)), slice(5, 26), slice(10, 31)),
    ],
)
def test_straight_shapes_are_drawn_where_they_lie(tmp_path, shape, rows, columns):
    assert len(_one(tmp_path, shape)) == 1
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[rows, columns] = True
    np.testing.assert_array_equal(_mask(tmp_path), expected)


UNUSABLE = [
    {"name": "polyline", "all_points_x": [10, 30, 30], "all_points_y": [5, 5, 25]},
    {"name": "point", "cx": 10, "cy": 10},
    {"name": ["polygon"]},
    {"name": None},
    {},
    [],
    None,
    "polygon",
    {"name": "polygon"},
    {"name": "polygon", "all_points_x": [10, 30, 30, 10], "all_points_y": [5, 5, 25]},
    {"name": "polygon", "all_points_x": None, "all_points_y": None},
    {"name": "polygon", "all_points_x": "123", "all_points_y": "123"},
    {"name": "polygon", "all_points_x": [True, 30, 30], "all_points_y": [5, 5, 25]},
    _polygon((10, 5), (30, 5), (30, None)),
    _polygon((10, 5), (30, 5), (30, float("nan"))),
    _polygon((10, 5), (30, 5), (30, 10**400)),
    _polygon((10, 5), (30, 5)),
    _polygon((10, 5), (30, 5), (61, 25)),
    _polygon((10, 5), (30, 5), (30, 41)),
    _polygon((10, 5), (30, 5), (-0.1, 20)),
    _polygon(),
    _ellipse(rx=0),
    _ellipse(ry=-3),
    _ellipse(rx=float("inf")),
    _ellipse(rx=101),
    _ellipse(cx=61),
    _ellipse(cy=-1),
    _ellipse(theta="0"),
    _ellipse(theta=float("nan")),
    _ellipse(theta=float("inf")),
    {"name": "circle", "cx": 10, "cy": 10},
    {"name": "circle", "cx": 10, "cy": 10, "r": 0},
    {"name": "rect", "x": 5, "y": 5, "width": 0, "height": 9},
    {"name": "rect", "x": 5, "y": 5, "width": 9, "height": -9},
    {"name": "rect", "x": 60, "y": 5, "width": 9, "height": 9},
    {"name": "rect", "x": -9, "y": 5, "width": 9, "height": 9},
]


@pytest.mark.parametrize("shape", UNUSABLE, ids=str)
def test_shape_that_cannot_be_drawn_is_passed_over(tmp_path, shape):
    assert _one(tmp_path / "alone", shape) == []
    assert not (tmp_path / "alone" / "br35h" / "masks").exists()
    assert len(_one(tmp_path / "beside", shape, SQUARE)) == 1
    assert _mask(tmp_path / "beside").sum() == 21 * 21


def test_all_shapes_of_a_picture_are_drawn_together(tmp_path):
    _one(tmp_path, SQUARE, {"name": "rect", "x": 40, "y": 30, "width": 5, "height": 5})
    assert _mask(tmp_path).sum() == 21 * 21 + 6 * 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"\xff\xfe\xfa",
        b"[" * 100_000,
        b"9" * 5000,
        [],
        [ENTRY],
        17,
        None,
        {},
        {"images": [], "annotations": []},
        {"_via_img_metadata": [ENTRY]},
        {"_via_img_metadata": None},
        {"a": None, "b": 3, "c": [], "d": "y1.jpg"},
        {"a": {**ENTRY, "filename": 5}},
        {"a": {**ENTRY, "filename": ""}},
        {"a": {**ENTRY, "filename": ".."}},
        {"a": {**ENTRY, "filename": "y1\x00.jpg"}},
        {"a": {**ENTRY, "filename": "y" * 5000 + ".jpg"}},
        {"a": {**ENTRY, "filename": "../../outside.jpg"}},
        {"a": {**ENTRY, "filename": "missing.jpg"}},
        {"a": {**ENTRY, "filename": "broken.jpg"}},
        {"a": {**ENTRY, "regions": None}},
        {"a": {**ENTRY, "regions": "polygon"}},
        {"a": {**ENTRY, "regions": []}},
        {"a": {**ENTRY, "regions": {}}},
        {"a": {**ENTRY, "regions": [None, 3, [], {}, "x"]}},
        {"a": {key: value for key, value in ENTRY.items() if key != "regions"}},
        {"a": {key: value for key, value in ENTRY.items() if key != "filename"}},
    ],
    ids=lambda content: str(content)[:60],
)
def test_malformed_listing_gives_no_row_and_stops_no_other(tmp_path, content):
    _put(tmp_path, "outside.jpg", f"{OUTLINED}/TRAIN/y1.jpg", f"{OUTLINED}/VAL/y2.jpg")
    (tmp_path / OUTLINED / "TRAIN" / "broken.jpg").write_bytes(b"no picture")
    _list(tmp_path, f"{OUTLINED}/TRAIN/a.json", content)
    _list(tmp_path, f"{OUTLINED}/VAL/b.json", _listing(_entry("y2.jpg", SQUARE)))
    assert convert(tmp_path) == [_row(f"{OUTLINED}/VAL/y2.jpg", "validation", "y2")]
    assert [path.name for path in (tmp_path / "br35h" / "masks").iterdir()] == ["y2.png"]


@pytest.mark.parametrize(
    ("original", "size", "path"),
    [
        ("br35h/yes/y1.jpg", (WIDTH, HEIGHT), "br35h/yes/y1.jpg"),
        ("br35h/yes/y1.jpg", (HEIGHT, WIDTH), f"{OUTLINED}/TEST/y1.jpg"),
        ("br35h/yes/y1.jpg", (WIDTH + 1, HEIGHT), f"{OUTLINED}/TEST/y1.jpg"),
        ("br35h/yes/y1.png", (WIDTH, HEIGHT), f"{OUTLINED}/TEST/y1.jpg"),
        ("br35h/no/y1.jpg", (WIDTH, HEIGHT), f"{OUTLINED}/TEST/y1.jpg"),
        ("navoneel/yes/y1.jpg", (WIDTH, HEIGHT), f"{OUTLINED}/TEST/y1.jpg"),
    ],
)
def test_original_is_taken_where_it_is_the_same_picture(tmp_path, original, size, path):
    _put(tmp_path, f"{OUTLINED}/TEST/y1.jpg")
    _put(tmp_path, original, size=size)
    _list(tmp_path, f"{OUTLINED}/TEST/via.json", _listing(_entry("y1.jpg", SQUARE)))
    assert convert(tmp_path) == [_row(path, "test", "y1")]


def test_mask_has_the_size_of_the_picture_as_it_is_read(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    _put(tmp_path, f"{OUTLINED}/TRAIN/y1.jpg", exif=exif)
    _list(tmp_path, f"{OUTLINED}/TRAIN/via.json", _listing(_entry("y1.jpg", SQUARE)))
    convert(tmp_path)
    assert _mask(tmp_path).shape == (WIDTH, HEIGHT)


def test_listing_of_all_pictures_adds_only_what_the_nearer_ones_lack(tmp_path):
    _put(tmp_path, *(f"{OUTLINED}/{name}" for name in ("TRAIN/y1.jpg", "TEST/y2.jpg", "VAL/y3.jpg")))
    _list(tmp_path, f"{OUTLINED}/TRAIN/annotations_train.json", _listing(_entry("y1.jpg", SQUARE)))
    tiny = {"name": "rect", "x": 1, "y": 1, "width": 2, "height": 2}
    everything = _listing(*(_entry(f"y{number}.jpg", tiny) for number in (1, 2, 3)))
    _list(tmp_path, f"{OUTLINED}/annotations_all.json", everything)
    assert convert(tmp_path) == [
        _row(f"{OUTLINED}/TRAIN/y1.jpg", "train", "y1"),
        _row(f"{OUTLINED}/TEST/y2.jpg", "test", "y2"),
        _row(f"{OUTLINED}/VAL/y3.jpg", "validation", "y3"),
    ]
    assert [int(_mask(tmp_path, f"y{number}").sum()) for number in (1, 2, 3)] == [21 * 21, 9, 9]


@pytest.mark.parametrize("listings", [("TRAIN/a.json", "TEST/a.json"), ("all.json",)])
def test_name_in_two_parts_is_taken_once(tmp_path, listings):
    _put(tmp_path, f"{OUTLINED}/TRAIN/y1.jpg", f"{OUTLINED}/TEST/y1.jpg")
    for name in listings:
        _list(tmp_path, f"{OUTLINED}/{name}", _listing(_entry("y1.jpg", SQUARE)))
    assert convert(tmp_path) == [_row(f"{OUTLINED}/TEST/y1.jpg", "test", "y1")]


@pytest.mark.parametrize(
    ("root", "folder", "rows"),
    [
        ("data", "BR35H/TRAIN", 1),
        ("data", "Br35H-Mask-RCNN", 1),
        ("br35h", "TRAIN", 1),
        ("data", "masoud/TRAIN", 0),
        ("data", ".", 0),
        ("data", "own/br36h", 0),
    ],
)
def test_only_listings_below_a_folder_of_br35h_count(tmp_path, root, folder, rows):
    _put(tmp_path / root, f"{folder}/y1.jpg")
    _list(tmp_path / root, f"{folder}/via.json", _listing(ENTRY))
    assert len(convert(tmp_path / root)) == rows
    assert (tmp_path / root / "br35h" / "masks").exists() == bool(rows)


def test_folder_without_listings_is_left_as_it_is(tmp_path):
    _put(tmp_path, "br35h/yes/y1.jpg", f"{OUTLINED}/TRAIN/y1.jpg")
    before = sorted(tmp_path.rglob("*"))
    assert convert(tmp_path) == []
    assert sorted(tmp_path.rglob("*")) == before


def _rows(index):
    return [tuple(row) for row in index.drop(columns=["hospital", "sequence", "modality"]).itertuples(index=False)]


def test_index_has_one_row_a_picture_from_the_first_call_on(tmp_path):
    _put(tmp_path, *(f"br35h/{name}" for name in ("yes/y1.jpg", "yes/y2.jpg", "no/no1.jpg", "pred/p.jpg")))
    _put(tmp_path, *(f"{OUTLINED}/{name}" for name in ("TRAIN/y1.jpg", "VAL/y3.jpg", "TEST/y4.jpg")))
    _list(tmp_path, f"{OUTLINED}/TRAIN/a.json", _listing(_entry("y1.jpg", SQUARE)))
    _list(tmp_path, f"{OUTLINED}/VAL/b.json", _listing(_entry("y3.jpg", SQUARE)))
    _put(tmp_path, "masoud/Training/glioma/g.jpg")
    first = build_index(tmp_path)
    assert _rows(first) == [
        (f"{OUTLINED}/VAL/y3.jpg", "br35h", "validation", "tumor", "", "br35h/masks/y3.png"),
        ("br35h/no/no1.jpg", "br35h", "", "notumor", "", ""),
        ("br35h/pred/p.jpg", "br35h", "", "", "", ""),
        ("br35h/yes/y1.jpg", "br35h", "train", "tumor", "", "br35h/masks/y1.png"),
        ("br35h/yes/y2.jpg", "br35h", "", "tumor", "", ""),
        ("masoud/Training/glioma/g.jpg", "masoud", "train", "glioma", "", ""),
    ]
    pd.testing.assert_frame_equal(build_index(tmp_path), first)


def test_index_of_the_published_folder_itself_has_no_second_rows(tmp_path):
    root = tmp_path / "br35h"
    _put(root, "yes/y1.jpg", "no/no1.jpg", "Br35H-Mask-RCNN/TRAIN/y1.jpg")
    _list(root, "Br35H-Mask-RCNN/TRAIN/a.json", _listing(_entry("y1.jpg", SQUARE)))
    assert _rows(build_index(root)) == [
        ("no/no1.jpg", "br35h", "", "notumor", "", ""),
        ("yes/y1.jpg", "br35h", "train", "tumor", "", "br35h/masks/y1.png"),
    ]


def test_volumes_are_no_pictures_of_an_index(tmp_path):
    _put(tmp_path, "yes/a.png")
    for name in ("a.nii", "a.nii.gz"):
        (tmp_path / "yes" / name).write_bytes(b"")
    assert list(build_index(tmp_path)["path"]) == ["yes/a.png"]
