"""Reports made by hand, of a phantom."""

from datetime import UTC, date, datetime

import numpy as np

from braintumor.decision import Outcome, Reason, ReasonCode
from braintumor.reports.key_image import key_image
from braintumor.reports.model import (
    Estimate,
    Report,
    ReportFinding,
    ReportMeasures,
    ReportModel,
    ReportPrior,
    ReportStudy,
    ReportVerdict,
)
from braintumor.scans import Patient, phantom

SIZE = 64
PROBABILITIES = {"glioma": 0.8, "meningioma": 0.1, "pituitary": 0.05, "notumor": 0.05}
MEASURES = ReportMeasures(
    lesions=1,
    longest=Estimate(46.8, 33.4, 66.6),
    perpendicular=Estimate(36.0, 25.7, 51.2),
    area=Estimate(1323, 676, 2670),
    volume=Estimate(28.1, 14.3, 56.7),
    range_share=0.9,
    range_images=514,
)
PRIOR = ReportPrior(date(2025, 9, 1), 40.2, 31.0, 22.0, is_beyond_error=True)
SIGNED = ReportVerdict("Dr. Ada Lovelace", False, datetime(2026, 3, 5, 9, 30, tzinfo=UTC), "Meningioma", "Dural tail.")


def finding(decision=Outcome.TUMOR, kind="glioma", **options):
    return ReportFinding(decision, kind, 0.95, PROBABILITIES, **options)


def referred(*codes, kind="glioma"):
    return finding(Outcome.REFER, kind, reasons=tuple(Reason(code, 0.5, 0.3, 0.9) for code in codes))


def report(**changes):
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = (rows - 22) ** 2 + (columns - 41) ** 2 <= 36
    made = {
        "study": ReportStudy(
            scan="Study 1, series 5 (T1 after contrast)",
            sha256="c" * 64,
            slices=24,
            uid="1.2.3",
            accession="A1",
            day=date(2026, 3, 4),
            sequence="T1 after contrast, axial",
        ),
        "finding": finding(),
        "model": ReportModel("efficient_unet", "5.2.1", "a" * 64),
        "patient": Patient("Doe^Jane", "12345", "19700131", "F"),
        "measures": MEASURES,
        "key_image": key_image(phantom(SIZE), mask, (230.0, 230.0), 11, 24),
        "not_assessed": ("Series 2 (localizer): localizers are not judged.",),
    }
    return Report(**{**made, **changes})


CASES = {
    "tumor": report(),
    "with a prior": report(prior=PRIOR),
    "signed and corrected": report(verdict=SIGNED),
    "no tumor": report(finding=finding(Outcome.NO_TUMOR, "notumor"), measures=None),
    "referred": report(finding=referred(ReasonCode.TUMOR_UNCERTAIN, ReasonCode.KIND_UNCERTAIN)),
    "not judged": report(finding=referred(ReasonCode.ATYPICAL, kind=None), measures=None, patient=Patient()),
    "contradicted": report(
        finding=finding(Outcome.REFER, "notumor", is_contradicted=True), other_series=("Series 3 (T2): Tumor seen.",)
    ),
    "without a picture": report(key_image=None),
}
