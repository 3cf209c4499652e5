import io
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from braintumor.inference import Predictor
from braintumor.reports.codes import SCHEME
from braintumor.reports.dicom_objects import document, key_image_object, structured_report
from braintumor.reports.dicom_segmentation import segmentation_file
from braintumor.reports.model import Estimate, ReportMeasures
from braintumor.reports.pdf import pdf_report
from braintumor.scans import DEFAULT_LIMITS, PixelBudget, ScanError, gather, outcome
from tests.conftest import SHIPPED
from tests.reports.made_reports import CASES, PRIOR, SIGNED, report
from tests.reports.test_dicom_segmentation import SERIES
from tests.scans.dicom_files import dicom, stored


@pytest.fixture(params=["axial, last slice first", "one file of many frames, geometry in each"], scope="module")
def study(request):
    """The sources of a series and the segmentation of an answer for it."""
    (unit,) = gather(stored(SERIES[request.param]))
    scan = outcome(unit, DEFAULT_LIMITS, PixelBudget(10**8))
    (prediction,) = Predictor.load(Path(SHIPPED)).predict([scan])
    prediction = replace(prediction, finding="glioma", p_tumor=1.0, slice_limits=(0.0, 0.0), reasons=())
    sources = unit.sources(DEFAULT_LIMITS)
    return sources, segmentation_file(prediction, sources)


def made(case, study, kind):
    sources, segmentation = study
    if kind == "document":
        return document(case, pdf_report([case]), sources)
    if kind == "key image":
        return key_image_object(case, sources)
    return structured_report(case, sources, segmentation if kind == "report on a segment" else None)


KINDS = ("report on a segment", "report on images", "document", "key image")


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_belongs_to_its_study_and_is_the_same_each_time(study, kind):
    file = made(report(), study, kind)
    assert file == made(report(), study, kind)
    read, source = pydicom.dcmread(io.BytesIO(file)), study[0].datasets[0]
    for name in ("StudyInstanceUID", "PatientID", "PatientName"):
        assert getattr(read, name) == getattr(source, name)
    assert read.SeriesInstanceUID != source.SeriesInstanceUID
    assert source.SOPInstanceUID in str(read)


def test_objects_have_series_and_identifiers_of_their_own(study):
    read = [pydicom.dcmread(io.BytesIO(made(report(), study, kind))) for kind in KINDS[1:]]
    assert len({one.SeriesInstanceUID for one in read}) == len({one.SOPInstanceUID for one in read}) == len(read)
    assert len({one.SeriesNumber for one in read}) == len(read)


@pytest.mark.parametrize("kind", ["report on images", "document"])
def test_another_verdict_makes_another_object(study, kind):
    first, second = (
        pydicom.dcmread(io.BytesIO(made(case, study, kind))) for case in (report(), report(verdict=SIGNED))
    )
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID


@pytest.mark.parametrize("name", CASES)
def test_answer_and_reasons_are_read_from_the_report_as_codes(study, name):
    read = hd.sr.srread(io.BytesIO(structured_report(CASES[name], study[0])))
    group, *_ = read.content.get_image_measurement_groups()
    found = {}
    for evaluation in group.get_qualitative_evaluations():
        if evaluation.name.scheme_designator == SCHEME:
            found.setdefault(evaluation.name.value, []).append(evaluation.value.value)
    expected = {
        "referred": {"answer": ["refer"], "reason": ["tumor_uncertain", "kind_uncertain"]},
        "not judged": {"answer": ["not_judged"], "reason": ["atypical"]},
        "contradicted": {"answer": ["refer"], "reason": ["contradiction"]},
        "no tumor": {"answer": ["no_tumor"]},
        "signed and corrected": {"answer": ["tumor"], "tumor_type": ["glioma"], "verdict": ["corrects"]},
        "with a prior": {"answer": ["tumor"], "tumor_type": ["glioma"], "change": ["beyond_error"]},
    }
    assert found == expected.get(name, {"answer": ["tumor"], "tumor_type": ["glioma"]})


def test_sizes_are_those_of_the_segment_with_their_uncertainty(study):
    sources, segmentation = study
    segment = pydicom.dcmread(io.BytesIO(segmentation))
    read = hd.sr.srread(io.BytesIO(structured_report(report(), sources, segmentation)))
    (group,) = read.content.get_volumetric_roi_measurement_groups()
    assert group.tracking_uid == segment.SegmentSequence[0].TrackingUID
    assert group.referenced_segment.referenced_sop_instance_uid == segment.SOPInstanceUID
    values = {found.name.meaning: found.value for found in group.get_measurements()}
    assert values["Volume"] == pytest.approx(28_100)
    assert values["Long Axis" if "Long Axis" in values else "Long axis"] == pytest.approx(46.8)
    text = str(pydicom.dcmread(io.BytesIO(structured_report(report(), sources, segmentation))))
    assert "28600" in text  # of the volume's range, 56.7 mL at most
    assert "13800" in text


@pytest.mark.parametrize("kind", ["report on a segment", "report on images"])
@pytest.mark.parametrize(("beyond", "code"), [(True, "beyond_error"), (False, "within_error"), (None, "error_unknown")])
def test_the_sizes_of_the_prior_are_those_of_the_same_tumor_at_another_time(study, kind, beyond, code):
    file = made(report(prior=replace(PRIOR, is_beyond_error=beyond)), study, kind)
    content = hd.sr.srread(io.BytesIO(file)).content
    groups = [*content.get_volumetric_roi_measurement_groups(), *content.get_image_measurement_groups()]
    now, prior = groups
    assert b"prior study 2025-09-01" in file
    assert prior.tracking_uid == now.tracking_uid
    sizes = [(one.name.meaning.lower(), one.value, one.unit.value) for one in prior.get_measurements()]
    assert sizes == [("volume", 22000.0, "mm3"), ("long axis", 40.2, "mm"), ("short axis", 31.0, "mm")]
    (change,) = [one for one in now.get_qualitative_evaluations() if one.name.value == "change"]
    assert change.value.value == code


def test_without_a_prior_no_change_is_coded(study):
    assert b"prior study" not in made(report(), study, "report on images")


def test_what_is_no_number_is_left_out(study):
    measures = ReportMeasures(1, Estimate(float("nan")), Estimate(3.0, 1.0, float("inf")), None, Estimate(float("inf")))
    read = hd.sr.srread(io.BytesIO(structured_report(report(measures=measures), study[0])))
    (group,) = read.content.get_image_measurement_groups()
    assert sorted(found.value for found in group.get_measurements()) == [3.0, 95.0]


def test_a_report_is_preliminary_until_it_is_signed(study):
    draft, signed = (
        pydicom.dcmread(io.BytesIO(structured_report(case, study[0]))) for case in (report(), report(verdict=SIGNED))
    )
    assert (draft.PreliminaryFlag, draft.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert (signed.PreliminaryFlag, signed.VerificationFlag) == ("FINAL", "VERIFIED")
    assert signed.VerifyingObserverSequence[0].VerificationDateTime == "20260305093000"


def test_the_page_comes_out_as_it_went_in(study, tmp_path):
    pdf = pdf_report([report()])
    read = pydicom.dcmread(io.BytesIO(document(report(), pdf, study[0])))
    assert read.EncapsulatedDocument[: read.EncapsulatedDocumentLength] == pdf
    assert read.VerificationFlag == "UNVERIFIED"


def test_the_key_image_comes_out_nearly_as_it_went_in(study):
    read = pydicom.dcmread(io.BytesIO(key_image_object(report(), study[0])))
    given = report().key_image.pixels
    found = read.pixel_array
    assert read.PhotometricInterpretation == "YBR_FULL_422"
    assert np.abs(found.astype(int) - given[: found.shape[0], : found.shape[1]]).mean() < 3
    with pytest.raises(ValueError, match="key image"):
        key_image_object(CASES["without a picture"], study[0])


@pytest.mark.parametrize(
    ("reader", "expected"),
    [("a\\b^c=d", "a b c d^"), ("\u202e\x00", "not stated^"), ("x" * 1000, ""), ("王小东", "王小东^")],
)
def test_any_reader_can_sign(study, reader, expected):
    verdict = replace(SIGNED, reader=reader, signed=datetime(2026, 1, 2, tzinfo=UTC))
    read = pydicom.dcmread(io.BytesIO(structured_report(report(verdict=verdict), study[0])))
    name = str(read.VerifyingObserverSequence[0].VerifyingObserverName)
    assert len(name) <= 64
    assert name == (expected or name)


def test_a_patient_s_name_in_another_character_set_is_kept():
    (unit,) = gather(stored([dicom(SpecificCharacterSet="ISO_IR 144", PatientName="Иванова^Мария")]))
    source = unit.sources(DEFAULT_LIMITS)
    for kind in KINDS[1:]:
        read = pydicom.dcmread(io.BytesIO(made(report(), (source, None), kind)))
        assert read.PatientName == "Иванова^Мария"


def test_sources_that_cannot_be_repeated_are_said(study):
    broken = replace(study[0], datasets=[pydicom.Dataset()])
    for kind in KINDS[1:]:
        with pytest.raises(ScanError):
            made(report(), (broken, None), kind)


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["tumor", "with a prior", "signed and corrected", "not judged"])
def test_dciodvfy_finds_no_error(study, name, kind, tmp_path):
    path = tmp_path / "object.dcm"
    path.write_bytes(made(CASES[name], study, kind))
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=60, check=False).stderr
    assert not [line for line in said.splitlines() if line.startswith("Error")]


@pytest.mark.skipif(not shutil.which("dsrdump"), reason="dcmtk is not installed")
def test_dcmtk_opens_report_and_page(study, tmp_path):
    path, page = tmp_path / "report.dcm", tmp_path / "page.pdf"
    path.write_bytes(made(CASES["referred"], study, "report on images"))
    said = subprocess.run(["dsrdump", path], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "tumor_uncertain" in said
    path.write_bytes(made(report(), study, "document"))
    subprocess.run(["dcm2pdf", path, page], capture_output=True, timeout=60, check=True)
    assert page.read_bytes() == pdf_report([report()])
