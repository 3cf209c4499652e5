"""That what lies in the clear would be found; the search itself follows all tests, see ``conftest``."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest

from braintumor.records.scan_file import scan_file
from braintumor.scans import phantom
from tests.clear_text import in_the_clear
from tests.conftest import png_bytes
from tests.records.clinic import BORN, NAME, NUMBER
from tests.scans.dicom_files import dicom

HEAD = phantom(64, seed=4)


@pytest.mark.parametrize(
    "content",
    [
        f"a line of {NAME}".encode(),
        f"{BORN:%Y%m%d}".encode(),
        NUMBER.encode(),
        png_bytes(HEAD),
        dicom(PatientName="X"),
        HEAD.tobytes(),
        HEAD.astype(np.float32).tobytes(),
        scan_file(HEAD[None]),
        gzip.compress(b"anything"),
    ],
    ids=["name", "birth", "number", "png", "dicom", "bytes", "floats", "stored scan", "gzip"],
)
@pytest.mark.parametrize("name", ["vault/patients/ab", "vault/desk/.draft-x", "braintumor.sqlite3", "notes.txt"])
def test_what_lies_in_the_clear_is_found(name, content):
    # Not where the search after all tests looks.
    with tempfile.TemporaryDirectory() as place:
        (Path(place, "data", "vault").mkdir(parents=True))
        file = Path(place, "data", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\0" * 100 if name.endswith("sqlite3") else b"")
        assert in_the_clear(place) == []
        file.write_bytes(content)
        assert in_the_clear(place) == [file]
