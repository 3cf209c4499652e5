import io
import json
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from braintumor.accounts import Role
from braintumor.dashboard import gate, report_downloads
from braintumor.scans import DEFAULT_LIMITS, PixelBudget, gather, phantom
from tests.dashboard.viewer.made_answers import made_answer, spot
from tests.scans.dicom_files import AXIAL, dicom, stored


@pytest.fixture(scope="module")
def of_a_series():
    files = [
        dicom(
            phantom(96, seed=4).astype(np.uint16),
            ImagePositionPatient=[0, 0, 4 * number],
            ImageOrientationPatient=AXIAL,
            InstanceNumber=number + 1,
            SliceThickness=4,
        )
        for number in range(5)
    ]
    (unit,) = gather(stored(files))
    scan = unit.read(DEFAULT_LIMITS, PixelBudget(10**8))
    answer = made_answer(pixels=scan.pixels[0], tumor_map=spot(), p_tumors=(0.9,) * 5)
    prediction = replace(answer.prediction, series=scan.series, placement=scan.placement, spacing=scan.spacing)
    return replace(answer, prediction=prediction, unit=unit)


def _as(role, monkeypatch):
    monkeypatch.setattr(gate, "current", lambda: SimpleNamespace(role=role))


def _shown(answer, monkeypatch):
    monkeypatch.setattr(report_downloads, "_answer_under_test", answer, raising=False)

    def page():
        from braintumor.dashboard import report_downloads

        report_downloads.show_report_downloads(report_downloads._answer_under_test)
        report_downloads.show_study_report([report_downloads._answer_under_test])

    run = AppTest.from_function(page, default_timeout=60).run()
    assert not run.exception
    return [button.label for button in run.download_button]


@pytest.mark.parametrize(
    ("role", "has_objects"),
    [(Role.ADMINISTRATOR, True), (Role.CLINICIAN, True), (Role.RESEARCHER, False), (None, False)],
)
def test_objects_with_the_patient_s_name_are_for_who_may_see_it(of_a_series, guest_app, monkeypatch, role, has_objects):
    _as(role, monkeypatch)
    labels = _shown(of_a_series, monkeypatch)
    assert ("Report for the archive (DICOM)" in labels) is has_objects
    assert {"Report (PDF)", "Report (FHIR)", "Study report (PDF)"} <= set(labels)


def test_a_picture_has_no_objects_for_an_archive(guest_app, monkeypatch):
    _as(Role.CLINICIAN, monkeypatch)
    assert "Report for the archive (DICOM)" not in _shown(made_answer(tumor_map=spot()), monkeypatch)


@pytest.mark.parametrize("with_names", [True, False])
def test_names_are_in_the_files_of_those_alone_who_may_see_them(of_a_series, guest_app, with_names):
    assert ("Doe" in report_downloads._case(of_a_series, with_names).report.patient.name) is with_names
    fhir = report_downloads._fhir(of_a_series, with_names)
    assert (b"Doe" in fhir) is with_names
    assert json.loads(fhir)["resourceType"] == "Bundle"


def test_the_files_are_what_their_names_say(of_a_series, guest_app):
    assert report_downloads._page(of_a_series, True).startswith(b"%PDF")
    assert report_downloads._study_page([of_a_series], [], True).startswith(b"%PDF")
    with zipfile.ZipFile(io.BytesIO(report_downloads._objects(of_a_series, True))) as archive:
        assert all(archive.read(name)[128:132] == b"DICM" for name in archive.namelist())
