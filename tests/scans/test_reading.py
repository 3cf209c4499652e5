import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from braintumor.scans import DEFAULT_LIMITS, Limits, Scan, ScanError, phantom, read, read_all, walk


def _png(size=32, value=None):
    stream = io.BytesIO()
    picture = phantom(size) if value is None else np.full((size, size), value, np.uint8)
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def _zip(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


PNG = _png()
DICOM = bytes(128) + b"DICM" + bytes(100)
MEBIBYTE = Limits(max_bytes=2**20)
NOT_A_PICTURE = "This file is not a picture that can be read."
EXPORT_SLICE = "Export the slice as PNG or JPEG and try again."
EXPORT = "Export it again as PNG or JPEG and try once more."


@pytest.mark.parametrize(
    ("data", "limits", "reason", "hint"),
    [
        (b"", DEFAULT_LIMITS, "This file is empty.", "Check that it was saved or copied in full."),
        (bytes(2**20 + 1), MEBIBYTE, "This file is larger than 1 MB.", "Make it smaller and try again."),
        (bytes(2**20), MEBIBYTE, NOT_A_PICTURE, EXPORT),
        (DICOM, DEFAULT_LIMITS, "DICOM files cannot be read yet.", EXPORT_SLICE),
        (b"%PDF-1.7\n", DEFAULT_LIMITS, "This is a PDF document, not a picture.", EXPORT_SLICE),
        (DICOM[:131], DEFAULT_LIMITS, NOT_A_PICTURE, EXPORT),
        (gzip.compress(PNG), DEFAULT_LIMITS, "Of files packed with gzip only NIfTI volumes can be read.", EXPORT_SLICE),
        (_zip(a=PNG), DEFAULT_LIMITS, NOT_A_PICTURE, EXPORT),
        (
            PNG,
            Limits(max_pixels=32 * 32 - 1),
            "This picture has more pixels than are accepted.",
            "Make it smaller and try again.",
        ),
    ],
)
def test_file_that_cannot_be_read_says_why_and_what_next(data, limits, reason, hint):
    with pytest.raises(ScanError) as caught:
        read(data, "x\x00.png", limits)
    assert (caught.value.reason, caught.value.hint, caught.value.source) == (reason, hint, "x.png")


def test_limits_themselves_are_accepted():
    scan = read(PNG, "slice.png", Limits(max_bytes=len(PNG), max_pixels=32 * 32))
    np.testing.assert_array_equal(scan.pixels[0], phantom(32))


def test_default_limits():
    assert Limits(50 * 2**20, 200, 25_000_000, 500 * 2**20, 64_000_000) == DEFAULT_LIMITS


def test_one_picture_is_one_outcome():
    (scan,) = read_all(PNG, "a/b\u202e.png")
    assert isinstance(scan, Scan)
    assert scan.source == "a/b.png"


def test_a_bad_file_never_ends_the_others():
    data = _zip(**{"a.png": _png(value=10), "b.txt": b"text", "c.png": b"", "../d.png": PNG, "e.png": _png(value=20)})
    outcomes = list(read_all(data, "upload.zip"))
    assert [
        (item.source, item.reason if isinstance(item, ScanError) else float(item.pixels.mean())) for item in outcomes
    ] == [
        ("upload.zip/a.png", 10.0),
        ("upload.zip/b.txt", "This is a text file, not a scan."),
        ("upload.zip/c.png", "This file is empty."),
        ("upload.zip/../d.png", "This file's path points outside its archive."),
        ("upload.zip/e.png", 20.0),
    ]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(max_files=1), ["ok", "This archive holds 2 files; the first 1 were taken."]),
        (Limits(max_bytes=len(PNG) - 1), ["This file unpacks to more than is accepted."] * 2),
        (Limits(max_archive_bytes=2 * len(PNG) - 1), ["ok", "This file unpacks to more than is accepted."]),
        (Limits(max_archive_bytes=2 * len(PNG)), ["ok", "ok"]),
        (Limits(max_pixels=100), ["This picture has more pixels than are accepted."] * 2),
    ],
)
def test_limits_hold_inside_an_archive(limits, told):
    outcomes = read_all(_zip(**{"a.png": PNG, "b.png": PNG}), "upload.zip", limits)
    assert ["ok" if isinstance(item, Scan) else item.reason for item in outcomes] == told


def test_an_archive_may_be_larger_than_one_file():
    limits = Limits(max_bytes=len(PNG))
    data = _zip(**{"a.png": PNG, "b.png": PNG, "c.png": PNG})
    assert len(data) > limits.max_bytes
    assert all(isinstance(item, Scan) for item in read_all(data, "upload.zip", limits))


def test_walk_takes_folders_in_order_and_files_at_their_word(tmp_path):
    for name in ("b/2.PNG", "b/1.jpg", "a.tiff", "b/c/x.zip", "b/notes.txt", "b/z.webp", "other.dat"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    found = list(walk([tmp_path / "other.dat", tmp_path, tmp_path / "missing.png"]))
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "other.dat",
        "a.tiff",
        "b/1.jpg",
        "b/2.PNG",
        "b/c/x.zip",
        "b/z.webp",
        "missing.png",
    ]


def test_walk_of_nothing_is_empty(tmp_path):
    assert list(walk([])) == []
    assert list(walk([Path(tmp_path)])) == []
