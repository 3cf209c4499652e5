import gzip
import io
import re
import weakref
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from braintumor.scans import (
    DEFAULT_LIMITS,
    Limits,
    PixelBudget,
    Scan,
    ScanError,
    StoredFile,
    bounded,
    gather,
    phantom,
    read,
    read_all,
    walk,
)
from braintumor.scans.limits import SMALLEST_SLICE
from tests.scans.dicom_files import dicom, slices, stored


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
ONLY_VOLUMES = "Of files packed with gzip only NIfTI and FreeSurfer volumes can be read."
UNPACK = "Unpack the picture, or convert the volume to NIfTI, and try again."
EXPORT_SLICE = "Export the slice as PNG or JPEG and try again."
EXPORT = "Export it again as PNG or JPEG and try once more."


@pytest.mark.parametrize(
    ("data", "limits", "reason", "hint"),
    [
        (b"", DEFAULT_LIMITS, "This file is empty.", "Check that it was saved or copied in full."),
        (bytes(2**20 + 1), MEBIBYTE, "This file is larger than 1 MB.", "Make it smaller and try again."),
        (bytes(2**20), MEBIBYTE, NOT_A_PICTURE, EXPORT),
        (
            DICOM,
            DEFAULT_LIMITS,
            "This DICOM file is damaged or cut short.",
            "Send or export it again and try once more.",
        ),
        (b"%PDF-1.7\n", DEFAULT_LIMITS, "This is a PDF document, not a picture.", EXPORT_SLICE),
        (DICOM[:131], DEFAULT_LIMITS, NOT_A_PICTURE, EXPORT),
        (gzip.compress(PNG), DEFAULT_LIMITS, ONLY_VOLUMES, UNPACK),
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
    # The name of a DICOM file may be that of a patient.
    source = "DICOM file 1" if data is DICOM else "x.png"
    assert (caught.value.reason, caught.value.hint, caught.value.source) == (reason, hint, source)


def test_limits_themselves_are_accepted():
    scan = read(PNG, "slice.png", Limits(max_bytes=len(PNG), max_pixels=32 * 32))
    np.testing.assert_array_equal(scan.pixels[0], phantom(32))


def test_default_limits():
    assert Limits(50 * 2**20, 200, 25_000_000, 500 * 2**20, 56_000_000) == DEFAULT_LIMITS


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
        (Limits(max_files=1), ["ok", "This archive holds 2 pictures and volumes; the first 1 were taken."]),
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


def _nifti(shape):
    return nibabel.Nifti1Image(np.ones(shape, np.uint8), np.diag([1, 1, 4, 1])).to_bytes()


def _tiff(count):
    stream = io.BytesIO()
    pages = [Image.fromarray(phantom(32, seed=number)) for number in range(count)]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    return stream.getvalue()


FILES = {"a.png": PNG, "b.nii": _nifti((32, 32, 3)), "c.tif": _tiff(2), "d.png": PNG}  # of 1, 3, 2 and 1 slices


@pytest.mark.parametrize(
    ("most", "read_ones"),
    # Of the TIFF file the first page is taken before the second is refused.
    [(7, "abcd"), (6, "abc"), (5, "ab"), (4, "ab"), (3, "ac"), (2, "a"), (1, "a"), (0, "")],
)
def test_files_past_the_bound_of_an_upload_are_refused_and_the_others_read(most, read_ones):
    outcomes = read_all(_zip(**FILES), "upload.zip", Limits(max_total_pixels=most * SMALLEST_SLICE))
    found = [(item.source.removeprefix("upload.zip/")[0], isinstance(item, Scan)) for item in outcomes]
    assert found == [(name, name in read_ones) for name in "abcd"]


def test_files_of_an_upload_share_its_budget():
    budget = PixelBudget(2 * SMALLEST_SLICE)
    outcomes = [outcome for name in "abc" for outcome in read_all(PNG, f"{name}.png", budget=budget)]
    assert [isinstance(outcome, Scan) for outcome in outcomes] == [True, True, False]


def test_what_is_past_the_bound_is_never_decoded():
    damaged = _png(size=64)[:200]
    (refused,) = read_all(damaged, "x.png", Limits(max_total_pixels=SMALLEST_SLICE - 1))
    assert refused.hint == "Upload the rest on its own."


@pytest.mark.parametrize(("left", "is_read"), [(520 * 520, True), (520 * 520 - 1, False)])
def test_a_large_slice_counts_for_its_pixels(left, is_read):
    (outcome,) = read_all(_png(size=520), "x.png", Limits(max_total_pixels=left))
    assert isinstance(outcome, Scan) == is_read


def test_what_was_read_is_let_go_before_the_next_is():
    found = read_all(_zip(**{"a.png": _png(value=1), "b.png": _png(value=2), "c.png": _png(value=3)}), "upload.zip")
    before = None
    for outcome in found:
        assert before is None or before() is None
        before = weakref.ref(outcome.pixels)
        del outcome
    assert before() is None


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


def test_nothing_beside_a_study_crowds_it_out():
    """Neither pictures, nor files that cannot be used, nor series that none judges."""
    files = {f"{number}.png": PNG for number in range(5)} | {f"n{number}.dcm": dicom()[:200] for number in range(9)}
    for number in range(1, 8):
        kind = "t1_se" if number > 5 else "localizer"
        for data in slices(2, SeriesInstanceUID=f"1.2.{number}", SeriesNumber=number, SeriesDescription=kind):
            files[f"IM{len(files)}"] = data
    taken, left_out = bounded(gather(stored(files)), 4)
    assert [unit.series.number for unit in taken[:4]] == [1, 2, 6, 7]
    assert [unit.name for unit in taken[4:8]] == [f"{number}.png" for number in range(4)]
    assert [isinstance(unit, ScanError) for unit in taken[8:]] == [True] * 4
    assert [int(part) for part in re.findall(r"(\d+) of \d+", left_out)] == [3, 1, 5]
    assert bounded(gather(stored(files)), 9)[1] == ""


def _packed_studies():
    """A study packed with gzip in an archive, which counts it as it is packed, and objects packed over 200 times."""
    files = [gzip.compress(data) for data in slices(6)]
    size = len(slices(1)[0])
    bombs = [gzip.compress(data + bytes(2**22)) for data in slices(6)]
    return [
        pytest.param(_zip(**{f"m{n}": data for n, data in enumerate(files)}), int(2.5 * size), 2, id="in an archive"),
        pytest.param(_zip(**{f"m{n}": data for n, data in enumerate(bombs)}), 2**30, 0, id="bombs"),
    ]


@pytest.mark.parametrize(("archive", "most", "read_ones"), _packed_studies())
def test_an_archive_cannot_hide_how_much_it_unpacks_to(archive, most, read_ones):
    found = list(gather([StoredFile("a.zip", lambda: archive)], Limits(max_archive_bytes=most)))
    refused = [one for one in found if isinstance(one, ScanError)]
    assert {one.reason for one in refused} == {"This file unpacks to more than is accepted."}
    assert sum(len(one.file_keys) for one in found if not isinstance(one, ScanError)) == read_ones
    assert len(refused) == 6 - read_ones
