"""A report as DICOM objects of the study that it is about: structured report, PDF and key image."""

import hashlib
import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import highdicom as hd
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.uid import (
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)

from braintumor.reports.codes import (
    ANSWER,
    CHANGE,
    NEOPLASM,
    P_TUMOR,
    REASON,
    SCHEME,
    SCHEME_NAME,
    TUMOR_TYPE,
    VERDICT,
    VERDICTS,
    Code,
    answer_code,
    change_code,
    reason_codes,
    type_code,
)
from braintumor.reports.dicom_segmentation import MAKER, NO_DAY, NO_TIME, settle_times
from braintumor.reports.fonts import clean
from braintumor.reports.model import Estimate, Report, ReportPrior
from braintumor.scans import ScanError
from braintumor.scans.dicom.sources import SourceImages

_SERIES_NUMBERS = {"report": 9100, "document": 9200, "key image": 9300}
"""Added to the number of the series that was judged; those of segmentations are from 9000."""
_LARGEST_NUMBER = 2**31 - 1 - max(_SERIES_NUMBERS.values())
_LONGEST = 64
_UTF_8 = "ISO_IR 192"
_PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime"),
    *("ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
warnings.filterwarnings("ignore", module="highdicom")


def structured_report(report: Report, sources: SourceImages, segmentation: bytes | None = None) -> bytes:
    """Write a report as a Comprehensive 3D SR after TID 1500 (PS3.16), the same bytes for the same report.

    Answer, reasons of a referral, type and verdict are codes, see ``codes``; sizes have their uncertainty.
    With the ``segmentation`` of the same answer the sizes are those of its segment, else they stand by the images.
    Raises ``ScanError`` where the sources say what cannot be repeated.
    """
    with _repeating(report):
        evidence = list(sources.datasets)
        segment = pydicom.dcmread(io.BytesIO(segmentation)) if segmentation else None
        if segment is not None:
            evidence.append(segment)
        verdict = report.verdict
        is_signed = verdict is not None and not report.is_draft
        made = hd.sr.Comprehensive3DSR(
            evidence=evidence,
            content=_content(report, sources, segment),
            series_instance_uid=_uid(report, "series of reports"),
            series_number=_series_number(sources, "report"),
            sop_instance_uid=_uid(report, "report"),
            instance_number=1,
            manufacturer=MAKER,
            is_complete=True,
            is_final=is_signed,
            is_verified=is_signed,
            verifying_observer_name=_said(verdict.reader) if verdict and is_signed else None,
            verifying_organization="not stated" if is_signed else None,
        )
        made.SeriesDescription = _description(report, "Answer")
        made.ManufacturerModelName = report.model.name[:_LONGEST]
        made.SoftwareVersions = report.model.version[:_LONGEST]
        made.DeviceSerialNumber = "none"
        made.CodingSchemeIdentificationSequence = [
            *getattr(made, "CodingSchemeIdentificationSequence", []),
            _item(CodingSchemeDesignator=SCHEME, CodingSchemeName=SCHEME_NAME),
        ]
        return _settled(made, report, sources)


def document(report: Report, pdf: bytes, sources: SourceImages) -> bytes:
    """Write a report's PDF as an Encapsulated PDF object (PS3.3, A.45); the same PDF gives the same bytes.

    Raises ``ScanError`` where the sources say what cannot be repeated.
    """
    with _repeating(report):
        made = _empty(EncapsulatedPDFStorage, _uid(report, "document", hashlib.sha256(pdf).hexdigest()))
        source = sources.datasets[0]
        for name in _PATIENT_AND_STUDY:
            setattr(made, name, getattr(source, name))
        made.Modality = "DOC"
        made.SeriesInstanceUID = _uid(report, "series of documents")
        made.SeriesNumber = _series_number(sources, "document")
        made.SeriesDescription = _description(report, "Report")
        made.InstanceNumber = 1
        made.Manufacturer = MAKER
        made.ManufacturerModelName = report.model.name[:_LONGEST]
        made.SoftwareVersions = report.model.version[:_LONGEST]
        made.ConversionType = "WSD"
        made.ContentDate, made.ContentTime = NO_DAY, NO_TIME
        made.AcquisitionDateTime = ""
        made.BurnedInAnnotation = "YES"
        made.VerificationFlag = "UNVERIFIED" if report.is_draft else "VERIFIED"
        made.DocumentTitle = "Answer of a model, for a reader to check"
        title = codes.DCM.ImagingMeasurementReport
        made.ConceptNameCodeSequence = [hd.sr.CodedConcept(*title[:3])]
        made.SourceInstanceSequence = DicomSequence(_references(sources))
        made.MIMETypeOfEncapsulatedDocument = "application/pdf"
        made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
        made.EncapsulatedDocumentLength = len(pdf)
        return _settled(made, report, sources)


def key_image_object(report: Report, sources: SourceImages) -> bytes:
    """Write a report's key image as a Secondary Capture in JPEG baseline, the same bytes for the same picture.

    Raises ``ValueError`` without a key image, and ``ScanError`` where the sources say what cannot be repeated.
    """
    if report.key_image is None:
        raise ValueError("the report has no key image")
    pixels = report.key_image.pixels
    # JPEG codes color for pairs of pixels.
    pixels = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
    with _repeating(report):
        made = hd.sc.SCImage.from_ref_dataset(
            ref_dataset=sources.datasets[0],
            pixel_array=pixels,
            photometric_interpretation="YBR_FULL_422",
            bits_allocated=8,
            coordinate_system="PATIENT",
            series_instance_uid=_uid(report, "series of key images"),
            series_number=_series_number(sources, "key image"),
            sop_instance_uid=_uid(report, "key image", hashlib.sha256(pixels.tobytes()).hexdigest()),
            instance_number=1,
            manufacturer=MAKER,
            patient_orientation=("L", "P"),
            transfer_syntax_uid=JPEGBaseline8Bit,
        )
        # It is drawn as the scan is shown, whatever its plane.
        made["PatientOrientation"].value = ""
        made.SeriesDescription = _description(report, "Key image")
        made.DerivationDescription = "Slice that the answer rests on, with the model's outline; not for diagnosis"
        made.BodyPartExamined = "BRAIN"
        made.BurnedInAnnotation = "NO"
        made.SourceImageSequence = DicomSequence(_references(sources))
        return _settled(made, report, sources)


@contextmanager
def _repeating(report: Report) -> Iterator[None]:
    try:
        yield
    # What of a header it will not repeat, highdicom says with nearly every built-in exception.
    except Exception:
        raise ScanError(
            "Its header says what cannot be repeated.", "Export the study again and try once more.", report.study.scan
        ) from None


def _content(report: Report, sources: SourceImages, segment: Dataset | None) -> hd.sr.MeasurementReport:
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=str(generate_uid(entropy_srcs=[report.model.name, report.model.version, report.model.sha256])),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=f"{report.model.name}-{report.model.version}",
    )
    context = hd.sr.ObservationContext(observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, device))
    return hd.sr.MeasurementReport(
        observation_context=context,
        procedure_reported=codes.SCT.ImagingProcedure,
        title=codes.DCM.ImagingMeasurementReport,
        imaging_measurements=[_group(report, sources, segment), *_prior_group(report, segment)],
    )


def _group(report: Report, sources: SourceImages, segment: Dataset | None) -> Any:
    tracking = _tracking(report, segment)
    finding, measures = report.finding, report.measures
    sizes = [] if measures is None or not measures.lesions else list(_sizes(report))
    if finding.finding is not None:
        sizes.insert(0, hd.sr.Measurement(_concept(P_TUMOR), round(100 * finding.p_tumor, 2), codes.UCUM.Percent))
    given: dict[str, Any] = {
        "tracking_identifier": tracking,
        "finding_type": _concept(NEOPLASM) if finding.decision == "tumor" else None,
        "algorithm_id": hd.sr.AlgorithmIdentification(
            report.model.name, report.model.version, [f"SHA-256 {report.model.sha256}"]
        ),
        "finding_sites": [hd.sr.FindingSite(codes.SCT.Brain)],
        "measurements": sizes,
        "qualitative_evaluations": list(_evaluations(report)),
    }
    if segment is not None:
        source = hd.sr.SourceSeriesForSegmentation(sources.datasets[0].SeriesInstanceUID)
        referenced = hd.sr.ReferencedSegment(segment.SOPClassUID, segment.SOPInstanceUID, 1, source_series=source)
        return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=referenced, **given)
    images = [hd.sr.SourceImageForMeasurementGroup(one.SOPClassUID, one.SOPInstanceUID) for one in sources.datasets]
    return hd.sr.MeasurementsAndQualitativeEvaluations(source_images=images, **given)


def _tracking(report: Report, segment: Dataset | None) -> hd.sr.TrackingIdentifier:
    uid = _uid(report, "tracking") if segment is None else segment.SegmentSequence[0].TrackingUID
    return hd.sr.TrackingIdentifier(uid=uid, identifier="tumor")


def _prior_group(report: Report, segment: Dataset | None) -> Iterator[Any]:
    """Give the same tumor's sizes in the prior study, as a group of another time point (PS3.16, TID 1502)."""
    prior = report.prior
    sizes = [] if prior is None else list(_prior_sizes(prior))
    if prior is not None and sizes:
        point = f"prior study {prior.day:%Y-%m-%d}" if prior.day else "prior study"
        yield hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(report, segment),
            time_point_context=hd.sr.TimePointContext(point),
            finding_type=_concept(NEOPLASM),
            finding_sites=[hd.sr.FindingSite(codes.SCT.Brain)],
            measurements=sizes,
        )


def _prior_sizes(prior: ReportPrior) -> Iterator[hd.sr.Measurement]:
    for name, value, factor, unit in (
        (codes.SCT.Volume, prior.volume, 1000, codes.UCUM.CubicMillimeter),
        (codes.SCT.LongAxis, prior.longest, 1, codes.UCUM.Millimeter),
        (codes.SCT.ShortAxis, prior.perpendicular, 1, codes.UCUM.Millimeter),
    ):
        if value is not None and math.isfinite(value):
            yield hd.sr.Measurement(name, round(factor * value, 3), unit)


def _evaluations(report: Report) -> Iterator[hd.sr.QualitativeEvaluation]:
    said = [(ANSWER, answer_code(report)), *((REASON, reason) for reason in reason_codes(report))]
    if kind := type_code(report):
        said.append((TUMOR_TYPE, kind))
    if report.verdict is not None and not report.is_draft:
        said.append((VERDICT, VERDICTS[report.verdict.agrees]))
    if change := change_code(report):
        said.append((CHANGE, change))
    for name, value in said:
        yield hd.sr.QualitativeEvaluation(_concept(name), _concept(value))


def _sizes(report: Report) -> Iterator[hd.sr.Measurement]:
    measures = report.measures
    assert measures is not None
    sizes: tuple[tuple[Any, Estimate | None, float, Any], ...] = (
        (codes.SCT.Volume, measures.volume, 1000, codes.UCUM.CubicMillimeter),
        (codes.SCT.LongAxis, measures.longest, 1, codes.UCUM.Millimeter),
        (codes.SCT.ShortAxis, measures.perpendicular, 1, codes.UCUM.Millimeter),
        (codes.SCT.Area, measures.area, 1, codes.UCUM.SquareMillimeter),
    )
    for name, found, factor, unit in sizes:
        if found is not None and math.isfinite(found.value):
            yield hd.sr.Measurement(name, round(factor * found.value, 3), unit, properties=_uncertainty(found, factor))


def _uncertainty(found: Estimate, factor: float) -> hd.sr.MeasurementProperties | None:
    """Say how far above and below a value a reader's may lie (PS3.16, TID 310)."""
    bounds = (found.low, found.high)
    if any(bound is None or not math.isfinite(bound) for bound in bounds):
        return None
    low, high = (float(bound or 0) for bound in bounds)
    return hd.sr.MeasurementProperties(
        upper_measurement_uncertainty=round(factor * (high - found.value), 3),
        lower_measurement_uncertainty=round(factor * (found.value - low), 3),
    )


def _settled(made: Dataset, report: Report, sources: SourceImages) -> bytes:
    """Write an object with the study's time where highdicom puts the clock's, so that it is the same each time."""
    verdict = report.verdict
    study_time = settle_times(made, sources.datasets[0])
    # Readers' names are in any script, whatever the patient's is in.
    made.SpecificCharacterSet = _UTF_8
    signed = verdict.signed.strftime("%Y%m%d%H%M%S") if verdict and verdict.signed else study_time
    for element in made.iterall():
        if element.keyword == "VerificationDateTime":
            element.value = signed
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _empty(kind: str, uid: str) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = kind, uid
    return made


def _references(sources: SourceImages) -> Sequence[Dataset]:
    return [
        _item(ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID)
        for one in sources.datasets
    ]


def _item(**elements: object) -> Dataset:
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def _concept(code: Code) -> hd.sr.CodedConcept:
    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning)


def _said(text: str) -> str:
    # In a name of a person (PS3.5, 6.2) these signs part it; a caret behind it says that it is not parted.
    return (clean(text.translate({ord(sign): " " for sign in "\\^="}), _LONGEST - 1) or "not stated") + "^"


def _description(report: Report, what: str) -> str:
    return f"{what} by {report.model.name}-{report.model.version}, not for diagnosis"[:_LONGEST]


def _series_number(sources: SourceImages, what: str) -> int:
    number = int(getattr(sources.datasets[0], "SeriesNumber", 0) or 0)
    return _SERIES_NUMBERS[what] + min(max(number, 0), _LARGEST_NUMBER)


def _uid(report: Report, what: str, content: str = "") -> str:
    """Make a UID from what the object is made of: another verdict makes another object, the same one the same."""
    said = repr(replace(report, key_image=None)) if what == "report" else ""
    return str(generate_uid(entropy_srcs=[report.study.sha256, report.model.sha256, what, content, said]))
