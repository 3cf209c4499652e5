"""Studies of patients: filed with their scans and findings, read as a history, and judged by readers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from braintumor.accounts import Account, rules
from braintumor.accounts.tables import AccountRow
from braintumor.database import audit, unless_busy, writing
from braintumor.database.audit import utc_now
from braintumor.records import access
from braintumor.records.confidential import Confidential
from braintumor.records.errors import PatientError
from braintumor.records.tables import FindingRow, SeriesRow, StudyRow, VerdictKind, VerdictRow
from braintumor.records.vault import Vault
from braintumor.taxonomy import CLASSES

_LONGEST_COMMENT = 4000


@dataclass(frozen=True)
class NewFinding:
    """What a bundle answered, to be filed; ``label`` is None where it did not answer, for the codes in ``reasons``.

    Probabilities are 0 to 1, ``mask`` is the tumor's mask as ``scan_file.mask_file`` writes it.
    """

    bundle_name: str
    bundle_version: str
    bundle_sha256: str
    label: str | None
    probability: float | None
    tumor_probability: float
    reasons: tuple[str, ...] = ()
    volume_mm3: float | None = None
    diameter_mm: float | None = None
    mask: bytes | None = None


@dataclass(frozen=True)
class NewSeries:
    """A series to be filed: its scan as one file, already without what names the patient, and what was answered."""

    modality: str
    sequence: str
    slices: int
    content: bytes
    findings: tuple[NewFinding, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One reader's verdict, in the version that it was; ``label`` is what is right instead of the finding's.

    ``reader`` names who said so, and is empty for who may not see names.
    """

    version: int
    kind: VerdictKind
    label: str | None
    comment: str
    has_mask: bool
    reader: str
    made_at: datetime


@dataclass(frozen=True)
class Finding:
    """One stored finding with its verdicts, the first one first."""

    id: int
    bundle_name: str
    bundle_version: str
    bundle_sha256: str
    label: str | None
    probability: float | None
    tumor_probability: float
    reasons: tuple[str, ...]
    volume_mm3: float | None
    diameter_mm: float | None
    has_mask: bool
    made_at: datetime
    verdicts: tuple[Verdict, ...]

    @property
    def allows_volume(self) -> bool:
        """Whether an outline here has a volume: the model gives its own none where slices are missing or uneven."""
        return self.volume_mm3 is not None or not self.has_mask


@dataclass(frozen=True)
class Outline:
    """The mask of a finding as ``scan_file.mask_file`` writes it: a reader's latest one, else the model's.

    ``model`` is the SHA-256 of the graph that outlined it, None where a reader did.
    """

    content: bytes
    model: str | None


@dataclass(frozen=True)
class Series:
    """One stored series with its findings."""

    id: int
    modality: str
    sequence: str
    slices: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Study:
    """One stored study with its series; dates are shifted where the reader may not see names."""

    id: int
    patient_id: int
    taken_on: date | None
    filed_at: datetime
    series: tuple[Series, ...]


class Studies:
    """The studies in one database; raises and checks like ``Patients``, whose rules of access it shares."""

    def __init__(self, engine: Engine, vault: Vault, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._vault = vault
        self._confidential = Confidential(vault)
        self._clock = clock
        self._writers = sessionmaker(writing(engine))

    def file(
        self,
        actor: Account,
        patient_id: object,
        identifier: str,
        taken_on: date | None,
        series: Sequence[NewSeries],
        *,
        may_add: bool = False,
        also: Callable[[Session, int], None] = lambda db, patient_id: None,
    ) -> int:
        """File a study under a patient and give its number; all of it is stored, or nothing.

        ``identifier`` makes it this study, as its UID. Where the patient has it already, scans that it lacks are added
        with ``may_add``, else ``PatientError`` is raised. ``also`` is done in the same transaction, with the number of
        the patient.
        """
        # Outside of the transaction, since encrypting takes a while; the rows come after their files.
        contents = [self._vault.put(one.content) for one in series]
        masks = [[mask and self._vault.put(mask) for mask in _masks(one)] for one in series]
        with self._writing() as db:
            root = access.to_change(db, actor, patient_id).root
            key = self._confidential.study_key(identifier)
            mine = StudyRow.patient_id.in_(access.family(db, root.id))
            study = db.scalar(select(StudyRow).where(mine, StudyRow.key == key))
            if study is not None and not may_add:
                raise PatientError("This patient has this study already; open the history.")
            action = "study filed" if study is None else "study completed"
            if study is None:
                now = self._clock()
                study = StudyRow(patient_id=root.id, key=key, taken_on=taken_on, filed_at=now, filed_by_id=actor.id)
                db.add(study)
                db.flush()
            kept = set(db.scalars(select(SeriesRow.content).where(SeriesRow.study_id == study.id)))
            new = [parts for parts in zip(series, contents, masks, strict=True) if parts[1] not in kept]
            for one, content, names in new:
                self._file_series(db, study.id, one, content, names)
            self._note(db, actor, action, ("study", study.id), patient=root.id, series=len(new))
            also(db, root.id)
            return study.id

    def history(self, actor: Account, patient_id: object) -> list[Study]:
        """Give the studies of a patient and of those merged into it, the latest first."""
        with self._writing() as db:
            found = access.to_patient(db, actor, patient_id)
            shift = timedelta() if found.by_name else self._confidential.date_shift(found.root.code)
            mine = StudyRow.patient_id.in_(access.family(db, found.root.id))
            rows = db.scalars(select(StudyRow).where(mine).order_by(StudyRow.taken_on.desc(), StudyRow.id.desc())).all()
            self._note(db, actor, "history viewed", ("patient", found.root.id), studies=len(rows))
            return self._studies(db, rows, shift, by_name=found.by_name)

    def judge(
        self,
        actor: Account,
        finding_id: object,
        kind: object,
        label: object = None,
        comment: object = "",
        mask: bytes | None = None,
    ) -> int:
        """Add a reader's verdict on a finding and give its version; earlier ones stay as they are.

        ``label`` is a class of the taxonomy and goes with a correction only; so does ``mask``, a corrected one.
        """
        known, words = _verdict(kind, label, comment, mask)
        name = mask and self._vault.put(mask)
        with self._writing() as db:
            finding = self._finding(db, actor, finding_id)
            if mask is not None and name and not self._vault.contains(name):
                self._vault.put(mask)
            last = db.scalar(select(func.max(VerdictRow.version)).where(VerdictRow.finding_id == finding.id))
            version = (last or 0) + 1
            db.add(
                VerdictRow(
                    finding_id=finding.id,
                    version=version,
                    kind=known,
                    label=label,
                    comment=self._confidential.seal({"comment": words}, _owner(finding.id)) if words else None,
                    mask=name,
                    reader_id=actor.id,
                    made_at=self._clock(),
                )
            )
            self._note(db, actor, "verdict added", ("finding", finding.id), version=version, kind=known.value)
            return version

    def scan(self, actor: Account, series_id: object) -> bytes:
        """Give the file of a series' scan."""
        with self._writing() as db:
            series = db.get(SeriesRow, series_id) if rules.is_id(series_id) else None
            if series is None:
                raise PatientError("There is no such series; reload the page.")
            access.to_patient(db, actor, db.get_one(StudyRow, series.study_id).patient_id)
            self._note(db, actor, "scan viewed", ("study", series.study_id), series=series.id)
            content = series.content
        return self._vault.read(content)

    def outline(self, actor: Account, finding_id: object) -> Outline:
        """Give the mask of a finding; raises ``PatientError`` where it has none."""
        with self._writing() as db:
            finding = self._finding(db, actor, finding_id, access.to_patient)
            corrected = db.scalar(
                select(VerdictRow.mask)
                .where(VerdictRow.finding_id == finding.id, VerdictRow.mask.is_not(None))
                .order_by(VerdictRow.version.desc())
                .limit(1)
            )
            name = corrected or finding.mask
            if name is None:
                raise PatientError("This finding has no outline; choose another one.")
            self._note(db, actor, "outline viewed", ("finding", finding.id))
            model = None if corrected else finding.bundle_sha256
        return Outline(self._vault.read(name), model)

    def note_report(self, actor: Account, finding_id: object) -> None:
        """Note that a finding's report leaves the app as a file; raises ``PatientError`` for who may not see it."""
        with self._writing() as db:
            finding = self._finding(db, actor, finding_id, access.to_patient)
            self._note(db, actor, "report exported", ("finding", finding.id))

    def _file_series(
        self, db: Session, study_id: int, one: NewSeries, content: str, masks: Sequence[str | bytes | None]
    ) -> None:
        for name, data in zip([content, *masks], [one.content, *_masks(one)], strict=True):
            # Who deleted a patient meanwhile may have removed what no row named yet.
            if data is not None and not self._vault.contains(str(name)):
                self._vault.put(data)
        series = SeriesRow(
            study_id=study_id, modality=one.modality, sequence=one.sequence, slices=one.slices, content=content
        )
        db.add(series)
        db.flush()
        for finding, mask in zip(one.findings, masks, strict=True):
            db.add(
                FindingRow(
                    series_id=series.id,
                    bundle_name=finding.bundle_name,
                    bundle_version=finding.bundle_version,
                    bundle_sha256=finding.bundle_sha256,
                    label=finding.label,
                    probability=finding.probability,
                    tumor_probability=finding.tumor_probability,
                    reasons=" ".join(finding.reasons),
                    volume_mm3=finding.volume_mm3,
                    diameter_mm=finding.diameter_mm,
                    mask=mask,
                    made_at=self._clock(),
                )
            )

    def _finding(
        self,
        db: Session,
        actor: Account,
        finding_id: object,
        check: Callable[[Session, Account, object], access.Access] = access.to_change,
    ) -> FindingRow:
        finding = db.get(FindingRow, finding_id) if rules.is_id(finding_id) else None
        if finding is None:
            raise PatientError("There is no such finding; reload the page.")
        study = db.get_one(StudyRow, db.get_one(SeriesRow, finding.series_id).study_id)
        check(db, actor, study.patient_id)
        return finding

    def _studies(self, db: Session, rows: Sequence[StudyRow], shift: timedelta, *, by_name: bool) -> list[Study]:
        """Read all that hangs on studies in three queries, however many there are."""
        series = db.scalars(
            select(SeriesRow).where(SeriesRow.study_id.in_([row.id for row in rows])).order_by(SeriesRow.id)
        ).all()
        findings = db.scalars(
            select(FindingRow).where(FindingRow.series_id.in_([row.id for row in series])).order_by(FindingRow.id)
        ).all()
        verdicts = db.scalars(
            select(VerdictRow)
            .where(VerdictRow.finding_id.in_([row.id for row in findings]))
            .order_by(VerdictRow.finding_id, VerdictRow.version)
        ).all()
        readers = select(AccountRow.id, AccountRow.display_name).where(
            AccountRow.id.in_({verdict.reader_id for verdict in verdicts})
        )
        unnamed = "Deleted account" if by_name else ""
        names = {row.id: row.display_name for row in db.execute(readers)} if by_name else {}
        said: dict[int, list[Verdict]] = {}
        for verdict in verdicts:
            said.setdefault(verdict.finding_id, []).append(
                self._verdict_of(verdict, shift, names.get(verdict.reader_id, unnamed))
            )
        answered: dict[int, list[Finding]] = {}
        for finding in findings:
            found = _finding_of(finding, tuple(said.get(finding.id, ())), shift)
            answered.setdefault(finding.series_id, []).append(found)
        taken: dict[int, list[Series]] = {}
        for one in series:
            found_on = tuple(answered.get(one.id, ()))
            taken.setdefault(one.study_id, []).append(Series(one.id, one.modality, one.sequence, one.slices, found_on))
        return [
            Study(
                row.id,
                row.patient_id,
                None if row.taken_on is None else row.taken_on + shift,
                row.filed_at + shift,
                tuple(taken.get(row.id, ())),
            )
            for row in rows
        ]

    def _verdict_of(self, row: VerdictRow, shift: timedelta, reader: str) -> Verdict:
        # A comment is free text, which may hold a name.
        comment = ""
        if row.comment is not None and reader:
            comment = self._confidential.open(row.comment, _owner(row.finding_id))["comment"]
        return Verdict(row.version, row.kind, row.label, comment, row.mask is not None, reader, row.made_at + shift)

    def _note(self, db: Session, actor: Account, action: str, subject: tuple[str, int], **details: int | str) -> None:
        audit.append(db, self._clock(), action, actor.id, subject, address=actor.address, details=details)

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with unless_busy(), self._writers.begin() as db:
            yield db


def _finding_of(row: FindingRow, verdicts: tuple[Verdict, ...], shift: timedelta) -> Finding:
    return Finding(
        id=row.id,
        bundle_name=row.bundle_name,
        bundle_version=row.bundle_version,
        bundle_sha256=row.bundle_sha256,
        label=row.label,
        probability=row.probability,
        tumor_probability=row.tumor_probability,
        reasons=tuple(row.reasons.split()),
        volume_mm3=row.volume_mm3,
        diameter_mm=row.diameter_mm,
        has_mask=row.mask is not None,
        made_at=row.made_at + shift,
        verdicts=verdicts,
    )


def _masks(one: NewSeries) -> list[bytes | None]:
    return [finding.mask for finding in one.findings]


def _owner(finding_id: int) -> str:
    return f"finding {finding_id}"


def _verdict(kind: object, label: object, comment: object, mask: bytes | None) -> tuple[VerdictKind, str]:
    """Check what a reader says; raises ``PatientError``."""
    known = next((member for member in VerdictKind if member == kind), None)
    if known is None or (label is not None and label not in CLASSES):
        raise PatientError("There is no such verdict; choose one of the list.")
    if not isinstance(comment, str) or len(comment) > _LONGEST_COMMENT:
        raise PatientError(f"A comment has at most {_LONGEST_COMMENT} characters; shorten it.")
    words = "".join(sign for sign in comment if sign.isprintable() or sign == "\n").strip()
    if (known is VerdictKind.CORRECT) != (label is not None or mask is not None):
        raise PatientError("A correction names the right type or brings a mask, and only a correction does.")
    if known is VerdictKind.COMMENT and not words:
        raise PatientError("Write a comment first.")
    return known, words
