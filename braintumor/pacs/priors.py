"""The prior study of a patient whose study arrives: looked up before anything of the new one is filed."""

import logging
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache, partial
from pathlib import Path

from braintumor.accounts import Account
from braintumor.database import BusyError, RefusedError
from braintumor.decision import ReasonCode
from braintumor.records import Patients, Studies, Study, VerdictKind
from braintumor.records.arrivals import Filer
from braintumor.records.follow_up import Followed, prior_series
from braintumor.records.scan_file import read_scan_file
from braintumor.records.studies import Finding
from braintumor.records.vault import VaultError
from braintumor.reports.case_files import Case
from braintumor.reports.follow_up import Outlined, changes, measured, outline_error, prior_of
from braintumor.reports.model import ReportPrior
from braintumor.reports.values import parsed_day, person
from braintumor.scans import Patient, Weighting
from braintumor.taxonomy import NO_TUMOR

_LOG = logging.getLogger(__name__)

PriorOf = Callable[[Case], ReportPrior | None]
"""Gives what a case is compared with; None where it is compared with nothing."""

_HistoryOf = Callable[[Patient], tuple[Account, Sequence[Study]]]


def identity_of(said: Patient) -> tuple[str, date | None, str]:
    """Give name, date of birth and number of who was scanned, as records take them."""
    return person(said.name), parsed_day(said.birth_date), said.identifier


class Priors:
    """Compares cases with what is filed of their patients, in the name of who files arriving studies."""

    def __init__(self, patients: Patients, studies: Studies, filing: Callable[[], Filer], models_dir: Path) -> None:
        self._patients, self._studies = patients, studies
        self._filing = filing
        self._models_dir = models_dir

    def of_study(self) -> PriorOf:
        """Give what compares the cases of one study, for which its patient is looked up once.

        A case is compared with the latest earlier study that has an outline of the same sequence by the same model:
        None where there is none, or the case shows no tumor, has no day, or does not say what images it holds; and
        where the records do not know who the patient is, or an earlier outline cannot be read. Raises ``BusyError``.
        """
        return partial(self._of, cache(self._history))

    def _of(self, history_of: _HistoryOf, case: Case) -> ReportPrior | None:
        series, day, measures = case.prediction.series, case.report.study.day, case.report.measures
        if series is None or series.weighting is Weighting.UNKNOWN or day is None:
            return None
        if measures is None or not measures.lesions:
            return None
        try:
            return self._compared(history_of, case, day, series.weighting)
        except BusyError:
            raise
        except (RefusedError, VaultError) as error:
            # Filing says what is wrong with the patient, and an old file that is damaged holds up no new study.
            _LOG.warning("A study is not compared with earlier ones: %s.", type(error).__name__)
            return None

    def _history(self, said: Patient) -> tuple[Account, Sequence[Study]]:
        """Give who looks, and what is filed of a patient: nothing where the records do not know who that is."""
        filing = self._filing()
        patient = self._patients.known(filing.account, filing.group_id, *identity_of(said))
        return filing.account, [] if patient is None else self._studies.history(filing.account, patient.id)

    def _compared(self, history_of: _HistoryOf, case: Case, day: date, weighting: Weighting) -> ReportPrior | None:
        account, history = history_of(case.report.patient)
        model = case.report.model.sha256
        prior = prior_series(history, day, weighting.value, partial(_is_comparable, model=model))
        if prior is None:
            return None
        taken_on, followed = prior
        before, now = self._outlined(account, followed), _outlined(case)
        found = changes(before, now, outline_error(self._models_dir, model))
        return prior_of(taken_on, found) if found else None

    def _outlined(self, actor: Account, followed: Followed) -> Outlined:
        finding = followed.finding
        outline = self._studies.outline(actor, finding.id)
        stored = read_scan_file(outline.content)
        return measured(stored.pixels > 0, stored.spacing, outline.model, has_volume=finding.allows_volume)


def _outlined(case: Case) -> Outlined:
    report, mask = case.report, case.prediction.mask()
    assert mask is not None
    assert report.measures is not None
    return measured(mask, case.prediction.spacing, report.model.sha256, has_volume=report.measures.volume is not None)


def _is_comparable(finding: Finding, model: str) -> bool:
    """Tell whether a stored finding is of a model, and shows a tumor as ``ReportFinding.shows_tumor`` says it.

    What a reader said last counts.
    """
    said = next((one for one in reversed(finding.verdicts) if one.kind is not VerdictKind.COMMENT), None)
    if finding.bundle_sha256 != model:
        return False
    if said is not None and said.kind is VerdictKind.CORRECT:
        return said.label != NO_TUMOR
    if finding.label is None:
        return finding.reasons == (ReasonCode.KIND_UNCERTAIN,)
    return finding.label != NO_TUMOR
