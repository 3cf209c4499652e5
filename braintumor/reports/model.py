"""What a report holds, however it is written: filled from an answer, or from what is stored of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from braintumor.decision import Outcome, Reason
from braintumor.reports.key_image import KeyImage
from braintumor.scans import Patient


@dataclass(frozen=True)
class Estimate:
    """A measured value and the range that a reader's own value is expected in; the range is None where unknown."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ReportStudy:
    """What was judged: ``uid`` and ``accession`` as DICOM names them, empty where unknown or no DICOM.

    ``scan`` names it, safe to show; ``sequence`` says what kind of images it holds, in words; ``slices`` counts them.
    """

    scan: str
    sha256: str
    slices: int
    uid: str = ""
    accession: str = ""
    day: date | None = None
    sequence: str = ""


@dataclass(frozen=True)
class ReportFinding:
    """What the model answers; fields are those of ``Prediction``, ``is_tumor_sure`` its ``unsure_of_kind_alone``.

    ``is_contradicted`` tells that another series of the study shows a tumor and this one does not; it is then referred.
    """

    decision: Outcome
    finding: str | None
    p_tumor: float
    probabilities: Mapping[str, float]
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    is_tumor_sure: bool = False
    is_contradicted: bool = False


@dataclass(frozen=True)
class ReportMeasures:
    """What the model's outline measures: millimeters, mm² and milliliters, None where unknown.

    ``longest`` and ``perpendicular`` are the bidirectional diameters, ``area`` is that of the slice with most tumor.
    ``range_share`` and ``range_images`` tell in what share of how many images a reader's value lies in the ranges.
    """

    lesions: int
    longest: Estimate | None = None
    perpendicular: Estimate | None = None
    area: Estimate | None = None
    volume: Estimate | None = None
    range_share: float | None = None
    range_images: int = 0


@dataclass(frozen=True)
class ReportPrior:
    """An earlier study of the patient: its values, and whether the change is beyond the error of measurement.

    ``is_beyond_error`` is None where that error is not known; then no change is claimed.
    """

    day: date | None
    longest: float | None = None
    perpendicular: float | None = None
    volume: float | None = None
    is_beyond_error: bool | None = None


@dataclass(frozen=True)
class ReportVerdict:
    """What a reader says: ``agrees`` with the answer or not, the type they see, a comment, and when they signed."""

    reader: str
    agrees: bool
    signed: datetime | None = None
    tumor_type: str = ""
    comment: str = ""


@dataclass(frozen=True)
class ReportModel:
    """Which model answered: its name, its version, and the SHA-256 of its graph."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Report:
    """One case. It is a draft until the verdict is signed.

    ``other_series`` says, a line each, what other series of the study are answered with, ``not_assessed`` which scans
    of it are not and why.
    """

    study: ReportStudy
    finding: ReportFinding
    model: ReportModel
    patient: Patient = field(default_factory=Patient)
    measures: ReportMeasures | None = None
    key_image: KeyImage | None = None
    other_series: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()
    prior: ReportPrior | None = None
    verdict: ReportVerdict | None = None
    is_synthetic: bool = False

    @property
    def is_draft(self) -> bool:
        """Whether no reader has signed it."""
        return self.verdict is None or self.verdict.signed is None

    @property
    def is_corrected(self) -> bool:
        """Whether a reader signed that the answer is wrong."""
        return self.verdict is not None and not self.is_draft and not self.verdict.agrees
