import io
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest

from braintumor.batch import Batch
from braintumor.bundles import load_bundle
from braintumor.cli.report_folder import write_report
from braintumor.inference import Predictor
from braintumor.reports.case_files import PAGE, archive_zip, case_files, case_of
from braintumor.scans import DEFAULT_LIMITS, PixelBudget, ScanError, gather, in_window, outcome, phantom
from tests.conftest import SHIPPED
from tests.reports.made_predictions import prediction
from tests.scans.dicom_files import AXIAL, dicom, stored

SIZE = 96
OBJECTS = {"-report.dcm", "-page.dcm", "-key-image.dcm"}


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(Path(SHIPPED))


def _files(**elements):
    return [
        dicom(
            phantom(SIZE, seed=4).astype(np.uint16),
            ImagePositionPatient=[0, 0, 4 * number],
            ImageOrientationPatient=AXIAL,
            InstanceNumber=number + 1,
            SliceThickness=4,
            **elements,
        )
        for number in range(5)
    ]


@pytest.fixture(scope="module")
def series(bundle):
    """A DICOM series' unit and its answer, made to outline what the network suspects."""
    (unit,) = gather(stored(_files(StudyDate="20260304", AccessionNumber="A1")))
    scan = outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8))
    (answer,) = Predictor(bundle).predict([scan])
    answer = replace(answer, finding="glioma", decision="tumor", p_tumor=1.0, slice_limits=(0.0, 0.0), reasons=())
    shown = scan.pixels[answer.slice_number]
    return unit, answer, in_window(shown, shown)


def test_the_report_of_a_series_knows_patient_and_study(series, bundle):
    unit, answer, picture = series
    case = case_of(answer, picture, bundle, unit, DEFAULT_LIMITS)
    assert (case.report.patient.name, case.report.study.day) == ("Doe^Jane", date(2026, 3, 4))
    assert case.report.study.accession == "A1"
    hidden = case_of(answer, picture, bundle, unit, DEFAULT_LIMITS, with_names=False).report
    assert (hidden.patient.name, hidden.study.accession) == ("", "")


def test_a_series_gives_a_page_and_objects_and_a_picture_its_page(series, bundle):
    unit, answer, picture = series
    files = case_files(case_of(answer, picture, bundle, unit, DEFAULT_LIMITS))
    assert set(files) == {PAGE, *OBJECTS, "-segmentation.dcm"}
    segmentation = pydicom.dcmread(io.BytesIO(files["-segmentation.dcm"]))
    assert segmentation.SOPInstanceUID in str(pydicom.dcmread(io.BytesIO(files["-report.dcm"])))
    assert set(case_files(case_of(prediction(), picture, bundle))) == {PAGE}


def test_without_an_outline_the_objects_refer_to_the_images(series, bundle):
    unit, answer, picture = series
    unsure = replace(answer, decision="refer", finding=None)
    files = case_files(case_of(unsure, picture, bundle, unit, DEFAULT_LIMITS))
    assert set(files) == {PAGE, *OBJECTS}


def test_the_objects_for_an_archive_come_as_the_same_zip_each_time(series, bundle):
    unit, answer, picture = series
    case = case_of(answer, picture, bundle, unit, DEFAULT_LIMITS)
    assert archive_zip(case) == archive_zip(case)
    with zipfile.ZipFile(io.BytesIO(archive_zip(case))) as archive:
        assert len(archive.namelist()) == 4
        assert "Doe" not in "".join(archive.namelist())


def test_a_series_to_which_nothing_can_refer_still_has_a_page(series, bundle):
    _, answer, picture = series

    def lacking(limits):
        raise ScanError("Its images do not say where they lie.", "Export it again.")

    unit = replace(series[0], sources=lacking)
    case = case_of(answer, picture, bundle, unit, DEFAULT_LIMITS)
    assert case.sources is None
    assert set(case_files(case)) == {PAGE}


def test_a_batch_writes_reports_where_they_are_asked_for(tmp_path, bundle):
    units = list(gather(stored(_files())))
    (finding,) = Batch(Path(SHIPPED), reports=True).answer(units, processes=1)
    paths = write_report(tmp_path, finding)
    assert {path.name for path in tmp_path.iterdir()} == {Path(path).name for path in paths}
    assert {name.partition("-")[0] for name in finding.report} == {""}
    assert PAGE in finding.report
    (plain,) = Batch(Path(SHIPPED)).answer(units, processes=1)
    assert plain.report == {}
    assert write_report(tmp_path, finding) == paths
