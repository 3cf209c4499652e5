"""The page of a filed finding: its answer, how it changed since an earlier study, and the reader's verdict."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from braintumor.accounts import Account
from braintumor.dashboard.patients import store
from braintumor.decision import Outcome
from braintumor.records import Patient, PatientError, Study, VerdictKind
from braintumor.records.follow_up import Followed
from braintumor.records.scan_file import read_scan_file
from braintumor.records.studies import Finding
from braintumor.scans import Patient as NamedPatient
from braintumor.scans import in_window
from braintumor.taxonomy import FINDING_TITLES, NO_TUMOR

if TYPE_CHECKING:
    from braintumor.reports.model import Report, ReportPrior, ReportVerdict


def filed_page(
    actor: Account, patient: Patient, study: Study, now: Followed, sequence: str, prior: "ReportPrior"
) -> bytes:
    """Write the page of a filed finding as PDF, which the audit trail tells.

    Raises ``PatientError`` for who may not see the patient, as named as it was shown: groups and roles may have changed
    since the page offered it.
    """
    from braintumor.reports.pdf import pdf_report

    if patient.id not in store.patients().may_see(actor, [patient.id]):
        raise PatientError("What you may see of this patient has changed; reload the page.")
    store.studies().note_report(actor, now.finding.id)
    return pdf_report([filed_report(actor, patient, study, now, sequence, prior)])


def filed_report(
    actor: Account, patient: Patient, study: Study, now: Followed, sequence: str, prior: "ReportPrior | None" = None
) -> "Report":
    """Fill a report from what is stored of an answered finding with an outline; ``sequence`` is in words."""
    from braintumor.reports.composition import measures_of
    from braintumor.reports.key_image import key_image
    from braintumor.reports.model import Report, ReportFinding, ReportModel, ReportStudy

    series, finding = now.series, now.finding
    content = store.studies().scan(actor, series.id)
    scan, mask = read_scan_file(content), read_scan_file(store.studies().outline(actor, finding.id).content).pixels > 0
    number = int(np.count_nonzero(mask, axis=(1, 2)).argmax())
    picture = scan.pixels[number].astype(np.float32)
    rows, columns = mask.shape[1:]
    size = (rows * scan.spacing[1], columns * scan.spacing[2]) if scan.spacing else None
    label = finding.label or NO_TUMOR
    return Report(
        study=ReportStudy(
            scan=sequence,
            sha256=hashlib.sha256(content).hexdigest(),
            slices=series.slices,
            day=study.taken_on,
            sequence=sequence,
        ),
        finding=ReportFinding(
            decision=Outcome.NO_TUMOR if label == NO_TUMOR else Outcome.TUMOR,
            finding=label,
            p_tumor=finding.tumor_probability,
            probabilities={} if finding.probability is None else {label: finding.probability},
        ),
        model=ReportModel(finding.bundle_name, finding.bundle_version, finding.bundle_sha256),
        patient=NamedPatient(
            patient.name or "",
            patient.number or "",
            f"{patient.birth_date:%Y%m%d}" if patient.birth_date else "",
        ),
        measures=None if label == NO_TUMOR else measures_of(mask, scan.spacing, None, has_volume=finding.allows_volume),
        key_image=key_image(in_window(picture, picture), mask[number], size, number, len(mask)),
        prior=prior,
        verdict=verdict_of(finding),
    )


def verdict_of(finding: Finding) -> "ReportVerdict | None":
    """Give the latest verdict that says whether the answer is right; None where no reader has said so.

    Who corrects the outline only does not say so.
    """
    from braintumor.reports.model import ReportVerdict

    for verdict in reversed(finding.verdicts):
        if verdict.kind is VerdictKind.AGREE or verdict.label is not None:
            agrees = verdict.kind is VerdictKind.AGREE
            seen = FINDING_TITLES[verdict.label] if verdict.label else ""
            return ReportVerdict(verdict.reader, agrees, verdict.made_at, seen, verdict.comment)
    return None
