"""The tables of what is kept of scans."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Date, Double, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from braintumor.database import Base, OneOf


class DeskRow(Base):
    """One thing on an account's desk; ``content`` names it in the vault, None where there is nothing to keep.

    ``size`` is that of its content in bytes. What things there are, and their keys, the desk itself decides.
    """

    __tablename__ = "desk"
    __table_args__ = (UniqueConstraint("account_id", "kind", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    key: Mapped[str] = mapped_column(String(80))
    content: Mapped[str | None] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    is_read: Mapped[bool] = mapped_column(default=False)
    added_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class VerdictKind(StrEnum):
    """What a reader says of a finding: that it is right, what is right instead, or something in words only."""

    AGREE = "agree"
    CORRECT = "correct"
    COMMENT = "comment"


class GroupRow(Base):
    """Accounts that see the same patients."""

    __tablename__ = "groups"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)


class MemberRow(Base):
    """An account that is in a group."""

    __tablename__ = "group_members"

    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True)


class PatientRow(Base):
    """One patient of a group; ``identity`` is encrypted, ``code`` stands for the patient where no name may be seen.

    A patient who was merged into another keeps the own studies, so that this can be undone.
    """

    __tablename__ = "patients"
    __table_args__ = (Index(None, "group_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(16), unique=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="RESTRICT"))
    identity: Mapped[bytes] = mapped_column(LargeBinary)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id", ondelete="RESTRICT"), index=True)
    created_at: Mapped[datetime]


class TokenRow(Base):
    """What a patient is found by: keyed hashes of the beginnings of each part of the name, and of the number."""

    __tablename__ = "patient_tokens"

    token: Mapped[str] = mapped_column(String(32), primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"), primary_key=True, index=True)


class StudyRow(Base):
    """One study of a patient; ``key`` is a keyed hash of what makes it this study."""

    __tablename__ = "studies"
    __table_args__ = (UniqueConstraint("patient_id", "key"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(64))
    taken_on: Mapped[date | None] = mapped_column(Date)
    filed_at: Mapped[datetime]
    filed_by_id: Mapped[int]


class SeriesRow(Base):
    """One series of a study; ``content`` names its scan in the vault."""

    __tablename__ = "series"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    modality: Mapped[str] = mapped_column(String(16))
    sequence: Mapped[str] = mapped_column(String(16))
    slices: Mapped[int]
    content: Mapped[str] = mapped_column(String(64), index=True)


class FindingRow(Base):
    """What a bundle answered on a series; ``label`` is None where it did not answer, for ``reasons``."""

    __tablename__ = "findings"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"), index=True)
    bundle_name: Mapped[str] = mapped_column(String(64))
    bundle_version: Mapped[str] = mapped_column(String(32))
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    label: Mapped[str | None] = mapped_column(String(16))
    probability: Mapped[float | None] = mapped_column(Double)
    tumor_probability: Mapped[float] = mapped_column(Double)
    reasons: Mapped[str] = mapped_column(String(200))
    volume_mm3: Mapped[float | None] = mapped_column(Double)
    diameter_mm: Mapped[float | None] = mapped_column(Double)
    mask: Mapped[str | None] = mapped_column(String(64), index=True)
    made_at: Mapped[datetime]


class VerdictRow(Base):
    """What a reader said of a finding; the database refuses to change one."""

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("finding_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id", ondelete="CASCADE"))
    version: Mapped[int]
    kind: Mapped[VerdictKind] = mapped_column(OneOf(VerdictKind, "known_verdict"))
    label: Mapped[str | None] = mapped_column(String(16))
    comment: Mapped[bytes | None] = mapped_column(LargeBinary)
    mask: Mapped[str | None] = mapped_column(String(64), index=True)
    reader_id: Mapped[int]
    made_at: Mapped[datetime]


class ReportRow(Base):
    """A report on a study, in the vault; a draft until somebody has signed it."""

    __tablename__ = "reports"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(String(64), index=True)
    signed_by_id: Mapped[int | None]
    made_at: Mapped[datetime]


class ArrivalState(StrEnum):
    """What happens next to a study that arrived."""

    RECEIVING = "receiving"
    """Objects may still come; it is answered when none has come for a while."""
    ANSWERING = "answering"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    """Nothing more is tried until somebody asks for it."""


class ArrivalRow(Base):
    """One study that arrived, or one upload of a program; ``key`` and ``identity`` are keyed hashes.

    ``sender`` is the title of the node, or the name of the program, that sent it first. ``attempts`` counts how often
    the present state was tried, ``due_at`` says when it is tried next, ``reason`` is a code for why it did not work.
    """

    __tablename__ = "arrivals"
    __table_args__ = (Index(None, "state", "due_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    identity: Mapped[str] = mapped_column(String(64))
    sender: Mapped[str] = mapped_column(String(40))
    is_filed: Mapped[bool]
    state: Mapped[ArrivalState] = mapped_column(OneOf(ArrivalState))
    attempts: Mapped[int]
    reason: Mapped[str] = mapped_column(String(40))
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    due_at: Mapped[datetime]
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"), index=True)


class ObjectRow(Base):
    """One object that was accepted: its class by DICOM's UID, and ``content``, which names it in the vault."""

    __tablename__ = "arrival_objects"

    id: Mapped[int] = mapped_column(primary_key=True)
    arrival_id: Mapped[int] = mapped_column(ForeignKey("arrivals.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(64))
    content: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)


class UnitRow(Base):
    """A series, or another scan, of an arrival that needs no answer any more; ``reason`` is a sentence, or empty."""

    __tablename__ = "arrival_units"
    __table_args__ = (UniqueConstraint("arrival_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    arrival_id: Mapped[int] = mapped_column(ForeignKey("arrivals.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(300))


class ResultRow(Base):
    """A file that was made of a unit; ``content`` names it in the vault, ``kind`` is the ending of its name."""

    __tablename__ = "arrival_results"
    __table_args__ = (UniqueConstraint("unit_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    unit_id: Mapped[int] = mapped_column(ForeignKey("arrival_units.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(24))
    content: Mapped[str] = mapped_column(String(64), index=True)
    sent_at: Mapped[datetime | None]


class RemovalRow(Base):
    """A file of a deleted patient that is to leave the vault; listed until it has, whatever happens in between."""

    __tablename__ = "removals"

    content: Mapped[str] = mapped_column(String(64), primary_key=True)
    patient_id: Mapped[int]
