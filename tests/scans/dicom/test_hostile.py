import io
import pickle
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import braintumor
from braintumor.scans import LeftOutError, Limits, NotJudgedError, Scan, ScanError, phantom
from tests.conftest import png_bytes
from tests.scans.dicom.hostile import CASES, DAMAGED, DAMAGED_PIXELS
from tests.scans.dicom_files import ROOT, dicom, head, scans, slices, units

CPU_SECONDS = 20
"""The reads that one file is allowed take 8 of a slow core by itself, and 12 where it shares its caches."""
MEBIBYTES = 300
SENTENCE = re.compile(r"[A-Z][^.!?\n\r]*\.")
FORBIDDEN = re.compile(r"Traceback|Error|Exception|0x|\\|\.py|<|pydicom", re.ASCII)
GOOD = slices(3, StudyInstanceUID=ROOT + "0", SeriesInstanceUID=ROOT + "0.1", SeriesNumber=1)
WHOLE = scans(GOOD)[0]


def _check(outcomes):
    """Each outcome is a whole scan or one clear sentence and what to do next."""
    for found in outcomes:
        if isinstance(found, ScanError):
            for text in (found.reason, found.hint):
                assert SENTENCE.fullmatch(text), text
                assert not FORBIDDEN.search(text), text
                assert len(text) < 120
            assert found.source
        else:
            assert isinstance(found, Scan)


def test_there_are_over_sixty_cases():
    assert len({data for _, data, _ in CASES}) >= 60
    assert len({what for what, *_ in CASES}) == len(CASES)


@pytest.mark.parametrize(("what", "data", "reason"), CASES, ids=[case[0] for case in CASES])
def test_a_bad_file_is_refused_in_bounded_time_and_the_others_are_answered(what, data, reason):
    started = time.process_time()
    outcomes = scans({"good1": GOOD[0], "bad": data, "good2": GOOD[1], "good3": GOOD[2]})
    assert time.process_time() - started < CPU_SECONDS
    _check(outcomes)
    good = [one for one in outcomes if isinstance(one, Scan) and one.series and one.series.study == ROOT + "0"]
    np.testing.assert_array_equal(good[0].pixels, WHOLE.pixels)
    others = [one for one in outcomes if one is not good[0]]
    assert len(others) >= (reason is not None)
    if reason is not None:
        assert [getattr(one, "reason", None) for one in others] == [reason]


@pytest.mark.parametrize("case", [case for case in CASES if "tenths" in case[0]], ids=lambda case: case[0])
def test_a_file_cut_short_is_never_taken_for_whole(case):
    outcomes = scans([case[1]])
    assert [one.reason for one in outcomes if not isinstance(one, NotJudgedError)] in ([DAMAGED], [DAMAGED_PIXELS])


READER = """
import pickle, sys
import braintumor.scans.dicom.pixels, nibabel.nifti1
from braintumor.scans import read_all
def most():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
worst = (0, "")
for what, data in pickle.load(sys.stdin.buffer):
    open("/proc/self/clear_refs", "w").write("5")
    before = most()
    list(read_all(data, "bad.dcm"))
    worst = max(worst, (most() - before, what))
print(worst[0] // 1024, worst[1])
"""


HUNGRY = {
    *("millions of elements in a frame", "millions of items in a frame", "millions of pieces of pixels"),
    *("millions of numbers", "deflate of 400 MB", "gzip of 400 MB", "RLE of 30 MB", "768 frames of them"),
    *("a billion packed frames", "JPEG 2000 of 2147483648 pixels a side", "65535 x 65535 pixels"),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux measures it anew for each file")
def test_no_bad_file_takes_much_memory():
    """All in one process, whose most memory is measured anew for each file."""
    assert {what for what, *_ in CASES} >= HUNGRY
    run = subprocess.run(
        [sys.executable, "-c", READER],
        input=pickle.dumps([(what, data) for what, data, _ in CASES if what in HUNGRY]),
        cwd=Path(braintumor.__file__).parents[1],
        capture_output=True,
        check=True,
    )
    mebibytes, what = run.stdout.decode().split(maxsplit=1)
    assert int(mebibytes) < MEBIBYTES, what


@settings(max_examples=300)
@given(noise=st.binary(max_size=600), start=st.sampled_from([bytes(128) + b"DICM", b"\x08\x00\x05\x00", dicom()[:700]]))
def test_noise_after_the_mark_is_refused_or_read(noise, start):
    _check(scans([start + noise]))


@settings(max_examples=300)
@given(data=st.data())
def test_flipped_bytes_are_refused_or_read(data):
    broken = bytearray(dicom(head(16)))
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(132, len(broken) - 1))] = data.draw(st.integers(0, 255))
    _check(scans([bytes(broken)]))


def _zip(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def test_an_archive_of_a_hundred_thousand_files_is_refused():
    data = _zip((f"{number}", b"") for number in range(100_000))
    started = time.process_time()
    (refused,) = scans([data])
    assert time.process_time() - started < CPU_SECONDS
    assert refused.reason == "This archive holds more files than are accepted."


DATA = dicom(head(16), ImagePositionPatient=[0, 0, 77777])
UID = re.search(rb"\x08\x00\x18\x00UI..([\d.]+)", DATA, re.DOTALL)[1]


def _slice(number, height):
    """A slice with a UID of its own, so many millimeters up."""
    uid = UID[: len(UID) - 5] + b"%05d" % number
    return DATA.replace(UID, uid).replace(b"77777", b"%05d" % height)


def test_a_study_of_five_thousand_objects_in_twenty_series_is_listed_whole():
    series = re.search(rb"\x20\x00\x0e\x00UI..([\d.]+)", DATA, re.DOTALL)[1]
    archive = _zip(
        (f"{number % 20}/{number:05}", _slice(number, number).replace(series, series[:-2] + b"%02d" % (number % 20)))
        for number in range(5000)
    )
    started = time.process_time()
    found = units([archive])
    assert time.process_time() - started < 2 * CPU_SECONDS
    assert [one.series.slices for one in found] == [250] * 20


@pytest.mark.parametrize(
    ("most", "whole", "failed", "said"),
    [(9, [3, 3, 3], [], 0), (8, [3, 3], [1], 0), (6, [3, 3], [], 1), (4, [3], [2], 1), (0, [], [], 1)],
)
def test_images_beyond_the_limit_leave_no_series_in_part(most, whole, failed, said):
    files = [data for uid in (1, 2, 3) for data in slices(3, SeriesInstanceUID=f"1.2.{uid}", SeriesNumber=uid)]
    found = units(files, Limits(max_objects=most))
    assert [one.series.slices for one in found if not isinstance(one, ScanError)] == whole
    errors = [one for one in found if isinstance(one, ScanError)]
    assert [int(one.reason.split()[0]) for one in errors if one.series] == failed
    left_out = [one for one in errors if isinstance(one, LeftOutError)]
    assert len(left_out) == said
    beyond = sum(int(one.reason.split()[0]) for one in errors)
    assert beyond + sum(whole) + sum(one.series.slices for one in errors if one.series) == 9


@pytest.mark.parametrize("other", [b"broken", png_bytes(phantom(32))], ids=["broken files", "pictures"])
def test_other_files_do_not_crowd_out_a_series_and_are_counted(other):
    members = [(f"{number}.png", other) for number in range(300)]
    archive = _zip([*members[:250], *((f"IM{number}", data) for number, data in enumerate(slices(3))), *members[250:]])
    *others, left_out, series = units([archive])
    assert series.series.slices == 3
    assert len(others) == 200
    assert isinstance(left_out, LeftOutError)
    assert "300" in left_out.reason


@pytest.mark.parametrize(("cut", "slices_left", "failed"), [(2, 3, 0), (5, None, 1)])
def test_images_that_are_cut_short_are_counted_in_their_series(cut, slices_left, failed):
    damaged = [data[:-100] for data in slices(5, SeriesInstanceUID="1.2.9", SeriesNumber=9)]
    found = units([*damaged[:cut], *slices(5, SeriesInstanceUID="1.2.9", SeriesNumber=9)[cut:], *slices(2)])
    known = {one.series.number: one.series for one in found if not isinstance(one, ScanError)}
    assert known[2].unread == 0
    whole = [one.series for one in found if isinstance(one, ScanError) and one.series]
    assert len(whole) == failed
    of_series = known[9] if slices_left else whole[0]
    assert of_series.unread == cut
    assert of_series.study_number == known[2].study_number


@pytest.mark.parametrize(
    ("files", "volumes", "judged"),
    [
        # Places beyond ten meters are none.
        ([_slice(number, number * 20) for number in range(700)], 1, (700, 16, 16)),
        ([_slice(number, number * 9) for number in range(700)], 1, (700, 16, 16)),
        ([_slice(1, 5)] * 700, 1, (1, 16, 16)),
        ([_slice(number, 5) for number in range(700)], 700, (1, 16, 16)),
        ([_slice(number, number % 2 * 9000) for number in range(700)], 350, (2, 16, 16)),
    ],
    ids=["far apart", "apart", "copies", "at one place", "at two places"],
)
def test_many_slices_at_odd_places_are_bounded(files, volumes, judged):
    started = time.process_time()
    outcomes = scans(files)
    assert time.process_time() - started < CPU_SECONDS
    _check(outcomes)
    assert len(outcomes) == volumes
    assert outcomes[0].shape == judged
