"""A study that arrived, answered by the batch pipeline: each series that was not answered before."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, partial

from braintumor.batch import Batch, Finding, Judged
from braintumor.bundles import GRAPH_FILE
from braintumor.decision import Outcome
from braintumor.inference import Predictors
from braintumor.pacs.priors import PriorOf
from braintumor.records import NewFinding, NewSeries
from braintumor.records.arrivals import Answered, Job
from braintumor.records.scan_file import mask_file, scan_file
from braintumor.records.vault import Vault
from braintumor.reports import has_outline
from braintumor.reports.values import parsed_day
from braintumor.rows import error_row, finding_row
from braintumor.scans import NotJudgedError, Patient, ScanError, StoredFile, Unit, gather


@dataclass
class Study:
    """What is to be recorded of one job: its units, and what of them goes to the history of whom."""

    answered: list[Answered] = field(default_factory=list)
    series: list[NewSeries] = field(default_factory=list)
    patient: Patient | None = None
    identifier: str = ""
    taken_on: date | None = None


class Answering:
    """Answers jobs with one batch; its models are loaded with the first job, and stay."""

    def __init__(self, batch: Batch, vault: Vault) -> None:
        self._batch = batch
        self._vault = vault

    @cached_property
    def _predictors(self) -> Predictors:
        return Predictors(self._batch.bundle)

    def answer(self, job: Job, prior_of: PriorOf = lambda case: None) -> Study:
        """Answer what of a job was not answered yet; ``prior_of`` gives what its reports are compared with.

        Raises ``BundleError`` where the model cannot be used, and ``VaultError`` where an object cannot be read.
        """
        files = [
            StoredFile(f"file {number}", partial(self._vault.read, one.content), one.content)
            for number, one in enumerate(job.objects, 1)
        ]
        study = Study()
        for key, unit in _by_key(gather(files, self._batch.limits)):
            if key not in job.units:
                self._add(study, key, unit, prior_of)
        return study

    def _add(self, study: Study, key: str, unit: Unit | ScanError, prior_of: PriorOf) -> None:
        judged = self._batch.judge(self._predictors, unit)
        if isinstance(judged, ScanError):
            row = {"answer.json": _json(error_row(judged, self._predictors.first.bundle.card.full_name))}
            code = "not judged" if isinstance(judged, NotJudgedError) else "failed"
            study.answered.append(Answered(key, code, judged.reason, row))
            return
        finding = self._batch.finding(judged, prior_of)
        study.answered.append(Answered(key, "answered", "", _results(finding)))
        if judged.unit.series is not None:
            study.series.append(_series(judged, finding))
            study.patient, study.identifier = judged.unit.patient, judged.unit.series.study
            study.taken_on = study.taken_on or self._day(judged.unit)

    def _day(self, unit: Unit) -> date | None:
        try:
            sources = unit.sources(self._batch.limits) if unit.sources else None
        except ScanError:
            return None
        return parsed_day(str(getattr(sources.datasets[0], "StudyDate", "") or "")) if sources else None


def _series(judged: Judged, finding: Finding) -> NewSeries:
    card, scan = judged.predictor.bundle.card, judged.scan
    facts, measured = finding.series, finding.measurements
    mask = judged.prediction.mask() if has_outline(judged.prediction) else None
    filed = NewFinding(
        bundle_name=card.name,
        bundle_version=card.version,
        bundle_sha256=card.sha256[GRAPH_FILE],
        label=None if finding.decision == Outcome.REFER else finding.finding,
        probability=None if finding.finding is None else finding.probabilities.get(finding.finding),
        tumor_probability=finding.p_tumor,
        reasons=tuple(reason.code.value for reason in finding.reasons),
        volume_mm3=None if measured is None or measured.volume_ml is None else 1000 * measured.volume_ml,
        diameter_mm=measured.largest_diameter_mm if measured else None,
        mask=None if mask is None else mask_file(mask, scan.affine, scan.spacing),
    )
    return NewSeries(
        modality=facts.modality if facts else "",
        sequence=facts.weighting.value if facts else "",
        slices=scan.shape[0],
        content=scan_file(scan.pixels, scan.affine, scan.spacing),
        findings=(filed,),
    )


def _by_key(units: Iterator[Unit | ScanError]) -> Iterator[tuple[str, Unit | ScanError]]:
    """Give each unit with what tells it from others of its study; of failures, what is said of them."""
    for number, unit in enumerate(units):
        if isinstance(unit, Unit):
            yield unit.key, unit
        else:
            yield hashlib.sha256(repr((number, unit.source, unit.reason)).encode()).hexdigest(), unit


def _results(finding: Finding) -> dict[str, bytes]:
    results = {"answer.json": _json(finding_row(finding))}
    if finding.mask is not None and finding.mask_ending is not None:
        results[f"mask{finding.mask_ending}"] = finding.mask
    return results | {ending.removeprefix("-"): content for ending, content in finding.report.items()}


def _json(row: object) -> bytes:
    return json.dumps(row).encode()
