"""Nothing of a patient is in an error, a log, a warning or the name of a series."""

import gzip
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pydicom.datadict import DicomDictionary, keyword_for_tag

import braintumor
from braintumor.scans import Patient, ScanError, Unit
from tests.scans.dicom_files import ROOT, dataset, dicom, scans, slices, units, written

CANARY = "Zeisig"
TEXTS = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT")
KEPT = {"SOPClassUID", "ImageType", "PhotometricInterpretation"}
GROUPS = (0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x0032, 0x0040)


def _marked(kinds=TEXTS, **elements):
    """A slice that says the canary in every element of these types."""
    made = dataset(**elements)
    for tag, (kind, *_) in DicomDictionary.items():
        keyword = keyword_for_tag(tag)
        if tag >> 16 in GROUPS and kind in kinds and keyword not in KEPT | set(elements):
            made.add_new(tag, "LO" if kind in ("DS", "IS", "DA", "TM", "DT", "AS") else kind, f"{CANARY}^{CANARY}")
    return made


def _uid(data, uid):
    """A file whose transfer syntax is the canary."""
    return data.replace(b"1.2.840.10008.1.2.1\0", uid.encode().ljust(20, b"\0"))


MARKED = written(_marked())
FILES = {
    "whole": MARKED,
    "judged": written(_marked(kinds=("PN", "LO", "SH", "LT", "ST", "UT"), BodyPartExamined="BRAIN", Modality="MR")),
    "another modality": dicom(Modality=CANARY.upper(), PatientName=CANARY),
    "a report": dicom(Modality=CANARY.upper(), Rows=None, Columns=None, PixelData=None),
    "cut short": MARKED[: len(MARKED) // 2],
    "cut in its pixels": MARKED[:-100],
    "no rows": written(_marked(Rows=None)),
    "too many frames": written(_marked(NumberOfFrames="1000000")),
    "a transfer syntax": _uid(MARKED, CANARY),
    "a character set": dicom(SpecificCharacterSet=CANARY, PatientName=CANARY),
    "an index": written(_marked(SOPClassUID="1.2.840.10008.1.3.10", PixelData=None, Rows=None)),
    "noise": MARKED[:400] + bytes(range(256)) * 4,
    "a bomb of gzip": gzip.compress(MARKED[:2000] + bytes(60 * 2**20)),
    "more bytes than are accepted": MARKED + bytes(50 * 2**20),
    "an error of packing": written(_marked(PixelData=b"\xfe\xff\x00\xe0" + b"\xff" * 40)),
}


def _said(outcomes):
    for found in outcomes:
        yield from (
            (found.reason, found.hint, found.source, str(found)) if isinstance(found, ScanError) else (found.source,)
        )


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("name", [f"{CANARY}.dcm", f"{CANARY}/IM0001", f"{CANARY}/{CANARY}.0001"])
def test_no_error_and_no_name_says_who_the_patient_is(what, name, caplog, capfd):
    caplog.set_level(0)
    files = {name: FILES[what], "other": dicom(SeriesInstanceUID=ROOT + "3")}
    names = [one.name for one in units(files) if isinstance(one, Unit)]
    said = "\n".join([*_said(scans(files)), *names, caplog.text, *capfd.readouterr()])
    assert said
    assert CANARY.lower() not in said.lower()


def test_members_of_an_archive_that_cannot_be_unpacked_are_numbered():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as archive:
        for name in (f"{CANARY}/1.dcm", f"{CANARY}/IM0002", f"{CANARY}/2.25.7", "plain.png"):
            archive.writestr(name, b"x")
    sources = [one.source for one in scans({"study.zip": stream.getvalue()})]
    assert sources == ["DICOM file 1", "DICOM file 2", "DICOM file 3", "study.zip/plain.png"]


def test_a_damaged_object_goes_by_its_number_among_the_dicom_files():
    files = {"a.txt": b"text", "b": dicom(), "c": dicom()[:900], "d.dcm": dicom(), "e.dcm": dicom()[:400]}
    # One whose header still tells its series is said with that.
    sources = [one.source for one in units(files) if isinstance(one, ScanError)]
    assert sources == ["DICOM file 4", "DICOM file 2"]


def test_the_patient_stays_apart_from_the_facts():
    (unit,) = units(slices(2, PatientName="Zeisig^Anna", PatientID="77", PatientBirthDate="19610203"))
    assert unit.patient == Patient("Zeisig^Anna", "77", "19610203", "F")
    assert CANARY not in repr(unit.series)


READER = """
import logging, sys
logging.basicConfig(level=0, stream=sys.stderr)
from braintumor.scans import read_all
for path in sys.argv[1:]:
    print([getattr(one, "reason", one.source) for one in read_all(open(path, "rb").read(), path)])
"""


def test_a_process_that_shows_all_logs_and_warnings_says_nothing(tmp_path):
    paths = []
    for number, data in enumerate(FILES.values()):
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-W", "always", "-c", READER, *map(str, paths)],
        cwd=Path(braintumor.__file__).parents[1],
        capture_output=True,
        check=True,
        text=True,
    )
    assert len(run.stdout.splitlines()) == len(FILES)
    assert CANARY.lower() not in (run.stdout + run.stderr).lower()
