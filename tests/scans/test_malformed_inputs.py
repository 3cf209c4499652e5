import bz2
import gzip
import io
import pickle
import re
import struct
import subprocess
import sys
import time
import unicodedata
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import braintumor
from braintumor.scans import Limits, Scan, ScanError, phantom, prepare, read_all
from tests.scans.picture_headers import bmp, chunk, gif, jpeg, png, tiff, webp, webp_canvas

LIMITS = Limits(max_bytes=2**21, max_files=20, max_pixels=250_000, max_archive_bytes=2**22)
SIZE = 48
PICTURE = Image.fromarray(phantom(SIZE))

NOT_A_PICTURE = "This file is not a picture that can be read."
TEXT = "This is a text file, not a scan."
WEB_PAGE = "This is a web page saved under a scan's name."
DAMAGED = "This picture is damaged or cut short."
TOO_MANY_PIXELS = "This picture has more pixels than are accepted."
TOO_LARGE = "This file unpacks to more than is accepted."
OUTSIDE = "This file's path points outside its archive."
BAD_ZIP = "This ZIP archive is damaged or cut short."
BAD_MEMBER = "This file is damaged inside its archive."
ONLY_NIFTI = "Of files packed with gzip only NIfTI and FreeSurfer volumes can be read."
NO_TYPE = "The type of this volume's values cannot be read."
NO_NUMBERS = "This file holds no values that are numbers."
ANY = None


def _file(image, format_name, **options):
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def _zip(*members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return stream.getvalue()


GOOD = {
    "png": _file(PICTURE, "PNG"),
    "png-16": _file(Image.fromarray(phantom(SIZE).astype(np.uint16) * 257), "PNG"),
    "jpeg": _file(PICTURE, "JPEG"),
    "jpeg-progressive": _file(PICTURE.convert("RGB"), "JPEG", progressive=True),
    "bmp": _file(PICTURE, "BMP"),
    "gif": _file(PICTURE, "GIF"),
    "tiff": _file(PICTURE, "TIFF"),
    "tiff-lzw": _file(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff-float": _file(Image.fromarray(phantom(SIZE).astype(np.float32)), "TIFF"),
    "webp": _file(PICTURE.convert("RGB"), "WEBP"),
    "webp-lossless": _file(PICTURE.convert("RGB"), "WEBP", lossless=True),
    "zip": _zip(("a.png", _file(PICTURE, "PNG")), ("b.jpg", _file(PICTURE, "JPEG"))),
}
# Up to nine tenths: the last bytes of some formats hold nothing of the picture.
SHARES = (0.02, 0.35, 0.65, 0.9)


def _truncated():
    for name, data in GOOD.items():
        for share in SHARES:
            yield f"{name} cut to {share:.0%}", data[: max(1, int(len(data) * share))], "x." + name
        for count in (3, 9):
            yield f"{name} cut to {count} bytes", data[:count], "x." + name


def _flipped():
    for number, (name, data) in enumerate(GOOD.items()):
        for seed in range(8):
            random = np.random.default_rng((number, seed))
            reach = len(data) if seed % 4 == 0 else min(96, len(data))
            broken = np.frombuffer(data, np.uint8).copy()
            for place in random.integers(0, reach, 1 + seed % 5):
                broken[place] ^= 1 << random.integers(8)
            yield f"{name} with bits flipped, seed {seed}", broken.tobytes(), "x." + name


def _shuffled():
    for number, (name, data) in enumerate(GOOD.items()):
        random = np.random.default_rng(number)
        yield f"{name} signature before noise", data[:16] + random.bytes(500), "x." + name
        yield f"{name} with a hole", data[:40] + bytes(60) + data[100:], "x." + name
        yield f"{name} after garbage", random.bytes(7) + data, "x." + name


ZEROS = zlib.compress(bytes(30 * 2**20), 9)
ROWS = zlib.compress(bytes(49 * 48), 9)
INF = np.full((SIZE, SIZE), -np.inf, np.float32)
NAN = np.full((SIZE, SIZE), np.nan, np.float32)


def _foreign():
    yield "empty", b"", "This file is empty."
    yield "one byte", b"\x00", NOT_A_PICTURE
    yield "text", b"Patient 12, axial, T1 with contrast\n" * 20, TEXT
    yield "HTML", b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>", WEB_PAGE
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', TEXT
    yield "XML bomb", b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>', TEXT
    yield "JSON", b'{"pixels": [[0, 1], [2, 3]]}', TEXT
    yield "program", b"MZ\x90\x00\x03\x00\x00\x00" + bytes(300), NOT_A_PICTURE
    yield "ELF", b"\x7fELF\x02\x01\x01" + bytes(300), NOT_A_PICTURE
    yield "MP3", b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(300), NOT_A_PICTURE
    yield "MP4", b"\x00\x00\x00\x18ftypmp42" + bytes(300), NOT_A_PICTURE
    yield "HEIC", b"\x00\x00\x00\x18ftypheic" + bytes(300), NOT_A_PICTURE
    yield "gzip", gzip.compress(GOOD["png"]), ONLY_NIFTI
    yield "bzip2", bz2.compress(GOOD["png"]), NOT_A_PICTURE
    yield "7z", b"7z\xbc\xaf\x27\x1c" + bytes(300), NOT_A_PICTURE
    yield "RAR", b"Rar!\x1a\x07\x01\x00" + bytes(300), NOT_A_PICTURE
    yield "pickle", pickle.dumps(list(range(50))), NOT_A_PICTURE
    yield "NumPy array", b"\x93NUMPY\x01\x00" + bytes(300), NOT_A_PICTURE
    yield "SQLite", b"SQLite format 3\x00" + bytes(300), NOT_A_PICTURE
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n", TEXT
    yield "PSD", b"8BPS\x00\x01" + bytes(300), NOT_A_PICTURE
    yield "netpbm", b"P5 48 48 255\n" + bytes(48 * 48), NOT_A_PICTURE
    yield "ICO", b"\x00\x00\x01\x00\x01\x00\x30\x30" + bytes(300), NOT_A_PICTURE
    yield "zeros", bytes(5000), NOT_A_PICTURE
    yield "ones", b"\xff" * 5000, NOT_A_PICTURE
    yield "PDF", b"%PDF-1.4\n" + bytes(200), "This is a PDF document, not a picture."
    yield "DICOM", bytes(128) + b"DICM" + bytes(200), "This DICOM file is damaged or cut short."
    yield "NIfTI", struct.pack("<i", 348) + bytes(340) + b"n+1\x00" + bytes(90), NO_TYPE
    yield "larger than allowed", bytes(2**21 + 1), "This file is larger than 2 MB."


def _sizes():
    yield "PNG of 60000 × 60000", png(60_000, 60_000, chunk(b"IDAT", ROWS)), TOO_MANY_PIXELS
    yield "PNG of 10000 × 10000", png(10_000, 10_000, chunk(b"IDAT", ROWS)), TOO_MANY_PIXELS
    yield "PNG of 2³¹ × 2³¹", png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", ROWS)), TOO_MANY_PIXELS
    yield "PNG of 0 × 48", png(0, 48, chunk(b"IDAT", ROWS)), ANY
    yield "PNG of 48 × 0", png(48, 0, chunk(b"IDAT", ROWS)), ANY
    yield "PNG without pixels", png(48, 48), DAMAGED
    # Pillow shows missing rows as black where the packed data itself ends in order.
    yield "PNG with too few rows", png(48, 100, chunk(b"IDAT", ROWS)), ANY
    yield "PNG of depth 3", png(48, 48, chunk(b"IDAT", ROWS), depth=3), ANY
    yield "PNG of color type 9", png(48, 48, chunk(b"IDAT", ROWS), color=9), ANY
    yield "PNG palette without colors", png(48, 48, chunk(b"IDAT", ROWS), color=3), ANY
    yield "PNG with a wrong checksum", GOOD["png"][:29] + b"\0\0\0\0" + GOOD["png"][33:], ANY
    yield "PNG chunk of 4 GB", GOOD["png"][:33] + b"\xff\xff\xff\xffIDAT" + GOOD["png"][41:], ANY
    yield "BMP of 60000 × 60000", bmp(60_000, 60_000), TOO_MANY_PIXELS
    yield "BMP of 2³¹ × 2³¹", bmp(2**31 - 1, 2**31 - 1), TOO_MANY_PIXELS
    yield "BMP of negative width", bmp(-48, 48), ANY
    yield "BMP of negative height", bmp(48, -48), DAMAGED
    yield "BMP of lowest height", bmp(48, -(2**31)), ANY
    yield "BMP of no size", bmp(0, 0), ANY
    yield "GIF of 60000 × 60000", gif(60_000, 60_000), TOO_MANY_PIXELS
    yield "GIF of no size", gif(0, 0), ANY
    yield "GIF with a frame beyond its canvas", GOOD["gif"].replace(b"\x2c\0\0\0\0\x30\0", b"\x2c\0\0\0\0\xff\xff"), ANY
    yield "TIFF of 60000 × 60000", tiff(60_000, 60_000), TOO_MANY_PIXELS
    yield "TIFF of 2³² × 2³²", tiff(2**32 - 1, 2**32 - 1), TOO_MANY_PIXELS
    yield "TIFF of no size", tiff(0, 0), ANY
    yield "TIFF strip beyond the file", tiff(48, 48, strip=2**31), DAMAGED
    yield "TIFF strip of 4 GB", tiff(48, 48, count=2**32 - 1), DAMAGED
    yield "TIFF of 60000 samples", tiff(48, 48, samples=60_000), ANY
    yield "TIFF of 255 bits", tiff(48, 48, bits=255), ANY
    yield "TIFF directory that leads to itself", b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00", ANY
    yield "WebP of 16384 × 16384", webp(16_384, 16_384), ANY
    yield "WebP of 1 × 1", webp(1, 1), ANY
    yield "WebP canvas of 16000 × 16000", webp_canvas(16_000, 16_000, GOOD["webp"]), ANY
    yield "WebP canvas of 16777216 × 16777216", webp_canvas(2**24, 2**24, GOOD["webp"]), ANY
    yield "JPEG of 65500 × 65500", jpeg(65_500, 65_500), TOO_MANY_PIXELS
    yield "JPEG of 0 × 0", jpeg(0, 0), ANY
    yield "JPEG of 48 × 48 without tables", jpeg(48, 48), DAMAGED
    for format_name in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"):
        for side in (1, 15):
            reason = f"This picture is {side} × {side} pixels, too small to show a brain."
            yield f"{format_name} of {side} pixels", _file(Image.new("RGB", (side, side)), format_name), reason
        yield f"{format_name} over the limit", _file(Image.new("RGB", (501, 500)), format_name), TOO_MANY_PIXELS
    yield "TIFF of NaN", _file(Image.fromarray(NAN), "TIFF"), NO_NUMBERS
    yield "TIFF of infinities", _file(Image.fromarray(INF), "TIFF"), NO_NUMBERS


def _bombs():
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "x" * 2**20 * 2, zip=True)
    yield "PNG with a text of 2 MB", _file(PICTURE, "PNG", pnginfo=text), DAMAGED
    yield "PNG zTXt bomb", png(48, 48, chunk(b"zTXt", b"note\0\0" + ZEROS), chunk(b"IDAT", ROWS)), DAMAGED
    yield "PNG iTXt bomb", png(48, 48, chunk(b"iTXt", b"note\0\1\0\0\0" + ZEROS), chunk(b"IDAT", ROWS)), DAMAGED
    yield "PNG iCCP bomb", png(48, 48, chunk(b"iCCP", b"icc\0\0" + ZEROS), chunk(b"IDAT", ROWS)), ANY
    many = [chunk(b"zTXt", b"n%d\0\0" % number + zlib.compress(bytes(2**20 - 9))) for number in range(80)]
    yield "PNG of many texts", png(48, 48, *many, chunk(b"IDAT", ROWS)), DAMAGED
    yield "PNG IDAT bomb", png(48, 48, chunk(b"IDAT", ZEROS)), ANY
    yield "PNG IDAT bomb of 30 million pixels", png(2**15, 960, chunk(b"IDAT", ZEROS)), TOO_MANY_PIXELS
    yield "TIFF Deflate bomb", _deflated_tiff(), ANY
    yield "zip bomb", _zip(("a.png", bytes(2**21))), TOO_LARGE
    yield "zip member over the limit", _zip(("a.png", bytes(2**21 + 1))), TOO_LARGE
    yield "zip bomb in bzip2", _lie(_zip(("a", bytes(2**27)), method=zipfile.ZIP_BZIP2), 24, 900), ANY
    yield "zip bomb in LZMA", _lie(_zip(("a", bytes(2**24)), method=zipfile.ZIP_LZMA), 24, 900), ANY
    yield "zip bomb that says it is small", _lie(_zip(("a", bytes(2**24))), 24, 900), BAD_MEMBER
    yield "zip bomb that says it is nothing", _lie(_zip(("a", bytes(2**24))), 24, 0), ANY
    yield "zip that says it is huge", _lie(_zip(("a", b"small")), 24, 2**32 - 2), TOO_LARGE
    yield "zip member packed from more than there is", _lie(_zip(("a", b"small")), 20, 2**31), ANY
    yield "zip member outside the file", _lie(_zip(("a", b"small")), 42, 2**31), BAD_MEMBER


def _deflated_tiff():
    data = tiff(48, 48, count=len(ZEROS), strip=8 + 2 + 9 * 12 + 4)
    return data.replace(struct.pack("<HHII", 259, 3, 1, 1), struct.pack("<HHII", 259, 3, 1, 8)) + ZEROS


def _lie(data, offset, value):
    start = data.index(b"PK\x01\x02") + offset
    return data[:start] + struct.pack("<I", value) + data[start + 4 :]


def _flag(data, value, method=None):
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(mark) + offset
        data = data[:start] + struct.pack("<H", value) + data[start + 2 :]
        if method is not None:
            data = data[: start + 2] + struct.pack("<H", method) + data[start + 4 :]
    return data


def _overlapping(count=200):
    """Point every entry of the directory at the same packed bytes."""
    kernel = _zip(("a", bytes(2**20)))
    local, rest = kernel[: kernel.index(b"PK\x01\x02")], kernel[kernel.index(b"PK\x01\x02") :]
    entry = rest[: rest.index(b"PK\x05\x06")]
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(entry) * count, len(local), 0)
    return local + entry * count + end


def _archives():
    inner = GOOD["zip"]
    yield "zip in a zip", _zip(("inner.zip", inner)), "This is an archive inside an archive."
    yield "zip in a zip in a zip", _zip(("b.png", _zip(("inner.zip", inner)))), "This is an archive inside an archive."
    yield "zip of nothing", _zip(), "This ZIP archive holds no files."
    yield "zip of folders", _zip(("a/", b""), ("a/b/", b"")), "This ZIP archive holds no files."
    yield "zip of hidden files", _zip(("__MACOSX/._a", b"x"), (".a", b"x")), "This ZIP archive holds no files."
    yield "zip of an empty file", _zip(("a.png", b"")), "This file is empty."
    yield "encrypted zip", _flag(_zip(("a.png", GOOD["png"])), 1), "This file is encrypted."
    yield "strongly encrypted zip", _flag(_zip(("a.png", GOOD["png"])), 0x41), "This file is encrypted."
    yield "zip of patches", _flag(_zip(("a.png", GOOD["png"])), 0x20), BAD_MEMBER
    for method in (1, 6, 9, 12, 14, 93, 99, 65535):
        reason = "This file is packed in a way that cannot be read."
        yield f"zip packed by method {method}", _flag(_zip(("a.png", GOOD["png"])), 0, method), reason
    yield "zip stored yet called packed", _flag(_zip(("a", GOOD["png"]), method=zipfile.ZIP_STORED), 0, 8), BAD_MEMBER
    yield "zip packed yet called stored", _flag(_zip(("a", bytes(500))), 0, 0), BAD_MEMBER
    yield "zip of overlapping members", _overlapping(), ANY
    yield "zip of 5000 members", _zip(*((f"{n}", b"") for n in range(5000))), ANY
    yield "zip of 60000 names", b"PK\x03\x04" + b"PK\x01\x02" * 60_000, ANY
    yield "zip of equal names", _zip(("a.png", b"one"), ("a.png", b"two")), TEXT
    yield "zip without its directory", inner[: inner.index(b"PK\x01\x02")], BAD_ZIP
    yield "zip of noise", b"PK\x03\x04" + np.random.default_rng(5).bytes(4000), BAD_ZIP
    yield "only the end of a zip", b"PK\x05\x06" + bytes(5), BAD_ZIP
    yield "zip with a directory beyond its end", inner[:-6] + struct.pack("<IH", 2**31, 0), BAD_MEMBER
    for number, name in enumerate(TRAVERSALS):
        yield f"zip slip {number}", _zip((name, GOOD["png"])), OUTSIDE


TRAVERSALS = (
    "../a.png",
    "../../../../etc/passwd",
    "a/../../b.png",
    "..\\..\\a.png",
    "/etc/passwd",
    "//host/share/a.png",
    "\\\\host\\share\\a.png",
    "C:\\Windows\\a.png",
    "c:a.png",
    ".",
    "..",
    "./..//../a.png",
)
HOSTILE_NAMES = (
    "../../../etc/passwd",
    "C:\\Windows\\System32\\a.png",
    "a\x00.png",
    "\x00",
    "",
    "   ",
    "\r\n\t\x1b[2J\x07.png",
    "\u202egnp.exe",
    "\u2066a\u2069\u200f.png",
    "a\u2028b\u2029c",
    "\ud800\udfff\udc80",
    "x" * 10_000,
    "x" * 10_000 + ".png",
    "a." + "y" * 10_000,
    "/" * 5000,
    "." * 5000,
    "\u0301" * 3000,
    "\U000e0041" * 3000,
    "<script>alert(1)</script>.png",
    "<img src=x onerror=alert(1)>",
    "[link](javascript:alert(1)).png",
    "**bold** `code` $x$ :red[a] # title",
    "=cmd|' /C calc'!A0",
    "' OR 1=1; DROP TABLE scans; --",
    "{0.__class__} %s %n ${HOME} $(id) `id`",
    "nul.png",
    "-rf",
    "~/.ssh/id_rsa",
)


def _all_cases():
    """Give (what, bytes, name, reason every outcome must give; ANY where a flipped bit may still decode)."""
    for what, data, name in (*_truncated(), *_flipped(), *_shuffled()):
        yield what, data, name, ANY
    for what, data, reason in (*_foreign(), *_sizes(), *_bombs(), *_archives()):
        yield what, data, "upload.bin", reason
    for number, name in enumerate(HOSTILE_NAMES):
        yield f"hostile name {number}", b"no picture", name, TEXT
        member = name.encode("utf-8", "replace").decode()
        if number not in (0, 1, 3, 4, 14, 15):
            yield f"hostile name {number} in a zip", _zip((member, b"no picture")), name, ANY


CASES = list(_all_cases())
SENTENCE = re.compile(r"[A-Z][^.!?\n\r]*\.")
FORBIDDEN = re.compile(r"Traceback|Error|Exception|0x|/|\\|\.py|<|PIL|zipfile", re.ASCII)


def _check_text(error):
    for text in (error.reason, error.hint):
        assert SENTENCE.fullmatch(text), text
        assert not FORBIDDEN.search(text), text
        assert len(text) < 120


def _check_name(name):
    assert 0 < len(name) <= 120
    assert not any(unicodedata.category(sign).startswith(("C", "Zl", "Zp")) for sign in name)


def test_there_are_over_two_hundred_distinct_cases():
    assert len({(data, name) for _, data, name, _ in CASES}) >= 200
    assert len({what for what, *_ in CASES}) == len(CASES)


@pytest.mark.parametrize(("what", "data", "name", "reason"), CASES, ids=[case[0] for case in CASES])
def test_outcome_is_one_clear_sentence_or_a_whole_scan(what, data, name, reason):
    started = time.process_time()
    outcomes = list(read_all(data, name, LIMITS))
    assert time.process_time() - started < 5
    # Scans and failures are bounded apart, and of each it is said what was left out.
    assert 1 <= len(outcomes) <= 2 * (LIMITS.max_files + 1)
    for outcome in outcomes:
        _check_name(outcome.source)
        if isinstance(outcome, ScanError):
            _check_text(outcome)
            assert reason in (ANY, outcome.reason)
        else:
            assert isinstance(outcome, Scan)
            assert reason is ANY
            assert outcome.pixels.size <= LIMITS.max_pixels
            assert prepare(outcome.pixels[0], 32).image.shape == (32, 32)


@pytest.mark.parametrize(
    ("what", "data", "name"),
    [case for case in _truncated() if not case[0].startswith("zip")],
    ids=lambda value: value if isinstance(value, str) and " cut to " in value else "",
)
def test_a_picture_cut_short_is_never_taken_for_whole(what, data, name):
    (outcome,) = read_all(data, name, LIMITS)
    assert isinstance(outcome, ScanError)
    assert outcome.reason in (DAMAGED, NOT_A_PICTURE, TEXT)


@pytest.mark.parametrize("name", GOOD)
def test_undamaged_inputs_are_read(name):
    assert all(isinstance(item, Scan) for item in read_all(GOOD[name], name, LIMITS))


def test_good_members_are_read_between_malformed_ones():
    members = [(f"{number}.bin", data) for number, (_, data, _) in enumerate(_foreign())][:16]
    members[5:5] = [("good.png", GOOD["png"])]
    members.append(("last.jpg", GOOD["jpeg"]))
    outcomes = list(read_all(_zip(*members), "upload.zip", LIMITS))
    assert [item.source for item in outcomes if isinstance(item, Scan)] == [
        "upload.zip/good.png",
        "upload.zip/last.jpg",
    ]
    assert len(outcomes) == len(members)


READER = """
import pickle, sys
from braintumor.scans import Limits, read_all
def most():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
cases, limits = pickle.load(sys.stdin.buffer)
start, worst = most(), (0, "")
for what, data, name in cases:
    for outcome in read_all(data, name, Limits(*limits)):
        pass
    now = most()
    worst = max(worst, (now - start, what))
    start = now
print(worst[0] // 1024, worst[1])
"""


# What getrusage tells of a process is at least what its parent took before.
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the most memory of one process")
def test_no_input_takes_much_memory():
    limits = (LIMITS.max_bytes, LIMITS.max_files, LIMITS.max_pixels, LIMITS.max_archive_bytes)
    cases = [(what, data, name.encode("utf-8", "replace").decode()) for what, data, name, _ in CASES]
    run = subprocess.run(
        [sys.executable, "-c", READER],
        input=pickle.dumps((cases, limits)),
        cwd=Path(braintumor.__file__).parents[1],
        capture_output=True,
        check=True,
        timeout=60,
    )
    mebibytes, what = run.stdout.decode().split(maxsplit=1)
    assert int(mebibytes) < 100, what
