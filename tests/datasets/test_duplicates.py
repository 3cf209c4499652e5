import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from braintumor.datasets import assign_groups, near_duplicates, signatures

COUNT = 60
SIDE = 96


def _picture(seed):
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), 6)
    return np.rint((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def _recompressed(picture):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream))


def _rescaled(picture):
    return np.asarray(Image.fromarray(picture).resize((70, 70), Image.Resampling.BICUBIC))


COPIES = {
    "same": lambda picture: picture,
    "rotated by 90°": lambda picture: np.rot90(picture),
    "rotated by 180°": lambda picture: np.rot90(picture, 2),
    "rotated by 270°": lambda picture: np.rot90(picture, 3),
    "mirrored": lambda picture: picture[:, ::-1],
    "upside down": lambda picture: picture[::-1],
    "transposed": lambda picture: picture.T,
    "transposed the other way": lambda picture: np.rot90(picture, 2).T,
    "rescaled": _rescaled,
    "recompressed": _recompressed,
    "brighter": lambda picture: np.rint(picture * 0.6 + 60).astype(np.uint8),
    "rescaled, mirrored and recompressed": lambda picture: _recompressed(_rescaled(picture)[:, ::-1].copy()),
}


def _marks(folder, pictures):
    names = []
    for number, picture in enumerate(pictures):
        names.append(f"{number:03d}.png")
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / names[-1])
    marks, failed = signatures(folder, names)
    assert not failed
    return marks


def _pairs(marks, **options):
    return [tuple(pair) for pair in near_duplicates(marks, **options).tolist()]


@pytest.fixture(scope="module")
def originals():
    return [_picture(seed) for seed in range(COUNT)]


def test_distinct_pictures_make_no_pair(originals, tmp_path):
    assert _pairs(_marks(tmp_path, originals)) == []


def test_every_copy_is_found_and_nothing_else(originals, tmp_path):
    changes = list(COPIES.values())
    copies = [changes[number % len(changes)](picture) for number, picture in enumerate(originals)]
    assert _pairs(_marks(tmp_path, originals + copies)) == [(number, number + COUNT) for number in range(COUNT)]


@pytest.mark.parametrize("name", COPIES)
def test_copy_is_found_on_either_side(originals, tmp_path, name):
    picture = originals[0]
    copy = COPIES[name](picture)
    assert _pairs(_marks(tmp_path, [originals[1], picture, copy])) == [(1, 2)]
    assert _pairs(_marks(tmp_path, [copy, originals[1], picture])) == [(0, 2)]


def test_the_threshold_decides(originals, tmp_path):
    noise = np.random.default_rng(9).normal(0, 80, (32, 32)).repeat(3, 0).repeat(3, 1)
    noisy = np.clip(originals[0] + noise, 0, 255).astype(np.uint8)
    marks = _marks(tmp_path, [originals[0], noisy])
    found = float((marks[0] * marks[1]).sum())
    assert 0.3 < found < 0.97
    assert _pairs(marks) == []


@pytest.mark.parametrize("value", [0.0, 0.1, 128.0, 33_333.3, 50_001.0, 57_664.695])
def test_flat_pictures_match_nothing(value, tmp_path):
    names = []
    for number in range(3):
        names.append(f"{number}.tif")
        Image.fromarray(np.full((41 + number, 53), value, np.float32)).save(tmp_path / names[-1])
    marks, failed = signatures(tmp_path, names)
    assert not failed
    assert not marks.any()
    assert _pairs(marks) == []


def test_unreadable_pictures_match_nothing_and_are_reported(tmp_path):
    Image.fromarray(_picture(0)).save(tmp_path / "good.png")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    marks, failed = signatures(tmp_path, ["a.png", "good.png", "b.png", "missing.png"])
    assert sorted(failed) == ["a.png", "b.png", "missing.png"]
    assert _pairs(marks) == []
    assert marks[1].any()
    assert not marks[[0, 2, 3]].any()


def test_signature_has_mean_zero_and_norm_one(originals, tmp_path):
    marks = _marks(tmp_path, originals[:5])
    assert (marks.shape, marks.dtype) == ((5, 32, 32), np.float32)
    np.testing.assert_allclose(marks.mean(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose((marks**2).sum(axis=(1, 2)), 1, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_make_no_pair(count):
    assert near_duplicates(np.ones((count, 32, 32), np.float32)).shape == (0, 2)


def test_pairs_across_blocks_are_found():
    random = np.random.default_rng(1)
    marks = ndimage.gaussian_filter(random.normal(size=(2100, 32, 32)), (0, 2, 2)).astype(np.float32)
    marks[2099] = np.rot90(marks[3])
    marks[2098] = marks[2097][::-1]
    marks -= marks.mean(axis=(1, 2), keepdims=True)
    marks /= np.sqrt((marks**2).sum(axis=(1, 2), keepdims=True))
    assert _pairs(marks) == [(3, 2099), (2097, 2098)]


def _index(*rows):
    return pd.DataFrame(rows, columns=["path", "dataset", "group"])


def _partition(column):
    return [sorted(rows.index) for _, rows in column.groupby(column)]


@pytest.mark.parametrize(
    ("rows", "pairs", "pictures", "groups"),
    [
        ([("a", "x", ""), ("b", "x", ""), ("c", "x", "")], [], [[0], [1], [2]], [[0], [1], [2]]),
        ([("a", "x", ""), ("b", "x", ""), ("c", "x", "")], [(0, 2)], [[0, 2], [1]], [[0, 2], [1]]),
        ([("a", "x", "")] * 4, [(0, 1), (1, 2), (2, 3)], [[0, 1, 2, 3]], [[0, 1, 2, 3]]),
        ([("a", "x", "p"), ("b", "x", ""), ("c", "y", "p")], [], [[0], [1], [2]], [[0, 2], [1]]),
        (
            [("a", "x", "p"), ("b", "x", "p"), ("c", "y", "q"), ("d", "y", "q"), ("e", "y", "")],
            [(1, 2)],
            [[0], [1, 2], [3], [4]],
            [[0, 1, 2, 3], [4]],
        ),
        (
            [(f"images/{number:04d}.png", "cheng", "") for number in (1, 60, 61, 120, 121)],
            [],
            [[0], [1], [2], [3], [4]],
            [[0, 1], [2, 3], [4]],
        ),
        (
            [("1.png", "cheng", "patient-a"), ("2.png", "cheng", "patient-b"), ("3.png", "cheng", "")],
            [],
            [[0], [1], [2]],
            [[0], [1], [2]],
        ),
        ([("1.png", "masoud", ""), ("2.png", "masoud", "")], [], [[0], [1]], [[0], [1]]),
        ([("a1.png", "cheng", ""), ("a2.png", "cheng", "")], [], [[0], [1]], [[0], [1]]),
    ],
    ids=["apart", "pair", "chain", "given", "through others", "figshare blocks", "patients", "numbers", "no number"],
)
def test_groups_join_what_must_stay_together(rows, pairs, pictures, groups):
    grouped = assign_groups(_index(*rows), np.array(pairs, np.int64).reshape(-1, 2))
    assert _partition(grouped["picture"]) == pictures
    assert _partition(grouped["group"]) == groups


def test_grouping_leaves_the_index_given_as_it_is():
    index = _index(("a", "x", "p"))
    grouped = assign_groups(index, np.empty((0, 2), np.int64))
    assert list(index.columns) == ["path", "dataset", "group"]
    assert list(index["group"]) == ["p"]
    assert (grouped.loc[0, "picture"], grouped.loc[0, "group"]) == ("p00000", "g00000")
