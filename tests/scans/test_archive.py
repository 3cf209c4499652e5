import io
import pickle
import struct
import zipfile
from functools import partial

import pytest

from braintumor.scans import ScanError, StoredFile, expand
from braintumor.scans.archive import is_archive

MANY = {"max_files": 100, "max_bytes": 10_000, "max_total_bytes": 100_000}


def _zip(*members, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def _expand(data, **limits):
    return [_loaded(item) for item in expand(StoredFile("upload.zip", lambda: data), **{**MANY, **limits})]


def _loaded(item):
    try:
        return item if isinstance(item, ScanError) else (item.name, item.load())
    except ScanError as error:
        return error


def _told(outcome):
    return outcome.reason if isinstance(outcome, ScanError) else outcome


def _patch_directory(data, offset, value):
    """Overwrite bytes of the first entry of the central directory."""
    start = data.index(b"PK\x01\x02") + offset
    return data[:start] + value + data[start + len(value) :]


OUTSIDE = "This file's path points outside its archive."
TOO_LARGE = "This file unpacks to more than is accepted."
DAMAGED_MEMBER = "This file is damaged inside its archive."
DAMAGED = "This ZIP archive is damaged or cut short."
PACKING = "This file is packed in a way that cannot be read."
NO_FILES = "This ZIP archive holds no files."


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_zip(), True),
        (_zip(("a", b"b")), True),
        (b"PK\x03\x04", True),
        (b"PK\x07\x08", False),
        (b"PK", False),
        (b"", False),
        (b"x" + _zip(("a", b"b")), False),
        (b"\x89PNG\r\n\x1a\n", False),
    ],
)
def test_archive_is_known_by_its_first_bytes(data, expected):
    assert is_archive(data) is expected


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_come_in_the_order_of_the_archive(method):
    data = _zip(("z.png", b"1"), ("folder/", b""), ("folder/a.png", b"22" * 50), ("b.txt", b""), method=method)
    assert _expand(data) == [
        ("upload.zip/z.png", b"1"),
        ("upload.zip/folder/a.png", b"22" * 50),
        ("upload.zip/b.txt", b""),
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.png", ("upload.zip/a.png", b"content")),
        ("deep/er/a.png", ("upload.zip/deep/er/a.png", b"content")),
        ("a..b.png", ("upload.zip/a..b.png", b"content")),
        ("back\\slash.png", ("upload.zip/back/slash.png", b"content")),
        ("fol\x1bder/\u202egnp.a", ("upload.zip/folder/gnp.a", b"content")),
        ("../a.png", OUTSIDE),
        ("a/../../b.png", OUTSIDE),
        ("..\\..\\a.png", OUTSIDE),
        ("/etc/passwd", OUTSIDE),
        ("\\windows\\a.png", OUTSIDE),
        ("C:/a.png", OUTSIDE),
        ("C:\\a.png", OUTSIDE),
        ("file:a.png", OUTSIDE),
        (".", OUTSIDE),
        ("./.", OUTSIDE),
        ("__MACOSX/a.png", NO_FILES),
        ("a/__MACOSX/._a.png", NO_FILES),
        (".DS_Store", NO_FILES),
        ("a/.hidden/b.png", NO_FILES),
    ],
)
def test_name_of_a_member_decides(name, told):
    assert [_told(item) for item in _expand(_zip((name, b"content")))] == [told]


PLAIN = _zip(("a.png", b"content"))
ENCRYPTED = _patch_directory(PLAIN, 8, b"\x01\x00")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (_zip(), NO_FILES),
        (_zip(("folder/", b"")), NO_FILES),
        (PLAIN[:-1], DAMAGED),
        (PLAIN[:30], DAMAGED),
        (b"PK\x03\x04" + b"\xff" * 200, DAMAGED),
        (ENCRYPTED, "This file is encrypted."),
        (_zip(("inner.zip", PLAIN)), "This is an archive inside an archive."),
        (_zip(("inner.png", PLAIN)), "This is an archive inside an archive."),
        (_zip(("a.png", b"c" * 10_000)), ("upload.zip/a.png", b"c" * 10_000)),
        (_zip(("a.png", b"c" * 10_001)), TOO_LARGE),
        (PLAIN.replace(b"content", b"contemt", 1), DAMAGED_MEMBER),
        (_patch_directory(PLAIN, 24, struct.pack("<I", 2**32 - 2)), TOO_LARGE),
        (_patch_directory(PLAIN, 24, struct.pack("<I", 3)), DAMAGED_MEMBER),
        (_patch_directory(PLAIN, 42, struct.pack("<I", 2**31)), DAMAGED_MEMBER),
        (_zip(("a.png", b"content"), method=zipfile.ZIP_BZIP2), PACKING),
        (_zip(("a.png", b"content"), method=zipfile.ZIP_LZMA), PACKING),
        (_patch_directory(PLAIN, 10, struct.pack("<H", 99)), PACKING),
        (b"PK\x03\x04" + b"PK\x01\x02" * 50_001, "This archive holds more files than are accepted."),
    ],
    # Without names the bytes would name them, and these hold the time of day.
    ids=[
        *("nothing", "a folder alone", "last byte missing", "cut short", "noise", "encrypted"),
        *("an archive inside", "one by another name", "as large as may be", "too large", "changed content"),
        *("size overstated", "size understated", "place beyond the end", "bzip2", "lzma", "unknown", "too many"),
    ],
)
def test_archive_that_cannot_be_taken_says_why(data, told):
    assert [_told(item) for item in _expand(data)] == [told]


@pytest.mark.parametrize(
    ("size", "limit", "refused"),
    [(2**20, 2**24, False), (2**20 + 1, 2**24, True), (3 * 2**20, 2**24, True), (3 * 2**20, 2**20, True)],
)
def test_what_was_packed_over_200_times_is_refused_from_a_mebibyte_on(size, limit, refused):
    data = _zip(("a.png", bytes(size)), method=zipfile.ZIP_DEFLATED)
    (outcome,) = _expand(data, max_bytes=limit, max_total_bytes=limit)
    assert _told(outcome) == (TOO_LARGE if refused else ("upload.zip/a.png", bytes(size)))


def test_too_many_files_are_cut_off_and_counted():
    outcomes = _expand(_zip(*((f"{n}.png", b"x") for n in range(9))), max_files=4)
    assert [item[0] for item in outcomes[:4]] == [f"upload.zip/{n}.png" for n in range(4)]
    assert [_told(item) for item in outcomes[4:]] == ["This archive holds 9 files; the first 4 were taken."]
    assert outcomes[4].source == "upload.zip"


def test_total_unpacked_is_bounded_and_a_smaller_file_still_fits():
    data = _zip(("a", b"a" * 60), ("b", b"b" * 60), ("c", b"c" * 40), ("d", b"d"))
    outcomes = _expand(data, max_total_bytes=100)
    assert [_told(item) if isinstance(item, ScanError) else item[0] for item in outcomes] == [
        "upload.zip/a",
        TOO_LARGE,
        "upload.zip/c",
        TOO_LARGE,
    ]


def test_files_of_the_same_name_keep_their_own_content():
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = _zip(("a.png", b"one"), ("a.png", b"two"))
    assert _expand(data) == [("upload.zip/a.png", b"one"), ("upload.zip/a.png", b"two")]


def test_errors_name_the_member():
    outcomes = _expand(_zip(("../a.png", b"x"), ("b.png", b"y")))
    assert outcomes[0].source == "upload.zip/../a.png"
    assert outcomes[1] == ("upload.zip/b.png", b"y")


def test_a_member_is_unpacked_each_time_it_is_loaded_also_by_another_process():
    outcomes = list(expand(StoredFile("upload.zip", partial(_zip, ("a", b"1"), ("b", b"2"))), **MANY))
    sent = pickle.loads(pickle.dumps(outcomes[1]))
    assert [outcomes[1].load(), outcomes[0].load(), sent.load()] == [b"2", b"1", b"2"]
