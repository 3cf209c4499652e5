"""The files of one case's report: its page, and for an archive its DICOM objects."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from braintumor.bundles import Bundle
from braintumor.inference import Prediction
from braintumor.reports.composition import Judged, model_of, report_of
from braintumor.reports.masks import has_outline
from braintumor.reports.model import Report
from braintumor.reports.pdf import pdf_report
from braintumor.reports.values import parsed_day
from braintumor.scans import Limits, ScanError, Unit

if TYPE_CHECKING:
    from braintumor.scans.dicom.sources import SourceImages

PAGE = "-report.pdf"


@dataclass(frozen=True)
class Case:
    """A report, the answer that it is of, and the images that DICOM objects refer to; None where none can."""

    report: Report
    prediction: Prediction
    sources: "SourceImages | None" = None


def case_of(
    prediction: Prediction,
    picture: NDArray[np.uint8],
    bundle: Bundle,
    unit: Unit | None = None,
    limits: Limits | None = None,
    *,
    with_names: bool = True,
    is_synthetic: bool = False,
) -> Case:
    """Make the report of an answer, a draft; ``picture`` is the slice that answers, uint8 (height, width).

    Of a DICOM series' ``unit`` the patient, the day and the accession number of the study are read, within ``limits``;
    who the patient is stays out without ``with_names``.
    """
    sources = None
    if unit is not None and unit.sources is not None and limits is not None:
        try:
            sources = unit.sources(limits)
        except ScanError:
            # Its images lack what a DICOM object must refer to; the page needs none of it.
            sources = None
    header = sources.datasets[0] if sources else None
    report = report_of(
        Judged(prediction, picture, *model_of(bundle)),
        patient=unit.patient if unit and with_names else None,
        day=parsed_day(str(getattr(header, "StudyDate", "") or "")),
        accession=str(getattr(header, "AccessionNumber", "") or "") if with_names else "",
        is_synthetic=is_synthetic,
    )
    return Case(report, prediction, sources)


def case_files(case: Case) -> Mapping[str, bytes]:
    """Write a case as files by the endings of their names: its page and, of a DICOM series, objects for its archive.

    Objects that cannot be written, since the study's header says what cannot be repeated, are left out.
    """
    page = pdf_report([case.report])
    try:
        return {PAGE: page, **_objects(case, page)}
    except ScanError:
        return {PAGE: page}


def archive_zip(case: Case) -> bytes:
    """Pack the DICOM objects of a case, its segmentation among them, for the archive that holds its study.

    The same case gives the same bytes. Raises ``ScanError`` where none can be written.
    """
    file = io.BytesIO()
    name = case.prediction.sha256[:12]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for ending, content in _objects(case, pdf_report([case.report])).items():
            # Named by ZipInfo, a file has no time stamp, by which every download would differ.
            archive.writestr(zipfile.ZipInfo(f"{name}{ending}"), content)
    return file.getvalue()


def _objects(case: Case, page: bytes) -> dict[str, bytes]:
    if case.sources is None:
        return {}
    # Loading highdicom takes a second, which a picture's page need not wait for.
    from braintumor.reports.dicom_objects import document, key_image_object, structured_report
    from braintumor.reports.dicom_segmentation import segmentation_file

    report, sources = case.report, case.sources
    segmentation = segmentation_file(case.prediction, sources) if has_outline(case.prediction) else None
    made = {
        "-report.dcm": structured_report(report, sources, segmentation),
        "-page.dcm": document(report, page, sources),
        "-key-image.dcm": key_image_object(report, sources),
    }
    return made if segmentation is None else {**made, "-segmentation.dcm": segmentation}
