"""DICOM studies on the page Prediction."""

import io
import zipfile

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from braintumor.dashboard import gate
from braintumor.scans import phantom
from tests.conftest import ROOT, png_bytes
from tests.scans.dicom_files import ROOT as UID
from tests.scans.dicom_files import dicom, slices

NAME = "Canary^Jane"


def _series(number, description, seed, **elements):
    head = phantom(96, seed=seed, tumor=seed % 2 == 0).astype(np.uint16)
    told = {"SeriesInstanceUID": f"{UID}{number}", "SeriesNumber": number, "SeriesDescription": description}
    return slices(6, pixels=head, PatientName=NAME, **told, **elements)


def _report():
    kind = {"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22"}
    told = {"SeriesInstanceUID": f"{UID}99", "SeriesNumber": 99, "PatientName": NAME}
    return dicom(**kind, **told, **dict.fromkeys(("Rows", "Columns", "PixelData")))


STUDY = [*_series(2, "t1_post_gd", 4), *_series(3, "t2_flair_tra", 6), *_series(1, "localizer", 8), _report()]


@pytest.fixture
def opened(guest_app, monkeypatch):
    """Opens the page for somebody with a role, and gives it with some files uploaded."""

    def open_as(role, files):
        session = gate.Session("Somebody", role, None)
        monkeypatch.setattr(gate, "current", lambda: session)
        page = AppTest.from_file(str(ROOT / "pages" / "prediction.py"), default_timeout=60).run()
        page.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files.items()])
        page.run()
        page.session_state["_desk"].wait()
        page.run()
        assert not page.exception
        return page

    return open_as


def _files(packing):
    named = {f"IM{number:03}": data for number, data in enumerate(STUDY)}
    if packing == "files":
        return named
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in named.items():
            archive.writestr(f"{NAME}/{name}", data)
    return {"study.zip": stream.getvalue(), "slice.png": png_bytes(phantom(96, seed=4))}


def _texts(page):
    kinds = (page.markdown, page.caption, page.error, page.header, page.info, page.warning)
    return " ".join(element.value for kind in kinds for element in kind)


@pytest.mark.parametrize("packing", ["files", "a ZIP beside a picture"])
def test_each_series_of_a_study_has_a_line_with_its_answer_or_why_it_has_none(packing, opened):
    page = opened("clinician", _files(packing))
    table = page.dataframe[-1].value
    assert list(table["Sequence"]) == ["localizer", "T1 after contrast", "FLAIR", "SR"]
    assert [answer.startswith("Not judged") for answer in table["Answer"]] == [True, False, False, True]
    assert list(table["Spacing (mm)"]) == ["", "5 × 1 × 1", "5 × 1 × 1", ""]
    assert "Study 1" in [element.value for element in page.header]
    listed = list(page.dataframe[0].value["scan"])
    assert "Study 1, series 2, T1 after contrast" in listed
    assert ("slice.png" in listed) == (packing != "files")


@pytest.mark.parametrize(
    ("role", "is_named"), [("administrator", True), ("clinician", True), ("researcher", False), ("guest", False)]
)
def test_only_who_may_sees_who_the_patient_is(role, is_named, opened):
    page = opened(role, _files("files"))
    assert ("Canary Jane" in _texts(page)) == is_named
    assert "Canary" not in str([table.value.to_dict() for table in page.dataframe])
    assert "Canary" not in str([button.label for button in page.download_button])
