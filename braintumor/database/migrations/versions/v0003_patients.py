"""Groups of accounts, and patients with their studies, series, findings, verdicts and reports."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _of(table: str, *, ondelete: str = "CASCADE", name: str = "", **options: bool) -> sa.Column[int]:
    column = name or f"{table.removesuffix('s')}_id"
    target = sa.ForeignKey(f"{'studies' if table == 'studys' else table}.id", ondelete=ondelete)
    return sa.Column(column, sa.Integer, target, **{"nullable": False, **options})  # type: ignore[arg-type]


def upgrade() -> None:
    """Make the tables; what is deleted takes with it all that hangs on it."""
    op.create_table("groups", _id(), sa.Column("name", sa.String(80), nullable=False, unique=True))
    op.create_table(
        "group_members",
        _of("groups", primary_key=True),
        _of("accounts", primary_key=True),
    )
    op.create_index("ix_group_members_account_id", "group_members", ["account_id"])
    op.create_table(
        "patients",
        _id(),
        sa.Column("code", sa.String(16), nullable=False, unique=True),
        _of("groups", ondelete="RESTRICT"),
        sa.Column("identity", sa.LargeBinary, nullable=False),
        _of("patients", ondelete="RESTRICT", name="merged_into_id", nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        # A number goes to nobody else once its patient is deleted, or the audit trail would lie.
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patients_group_id_patients_id", "patients", ["group_id", "id"])
    op.create_index("ix_patients_merged_into_id", "patients", ["merged_into_id"])
    op.create_table(
        "patient_tokens",
        sa.Column("token", sa.String(32), primary_key=True),
        _of("patients", primary_key=True),
    )
    op.create_index("ix_patient_tokens_patient_id", "patient_tokens", ["patient_id"])
    op.create_table(
        "studies",
        _id(),
        _of("patients"),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("taken_on", sa.Date),
        sa.Column("filed_at", sa.DateTime, nullable=False),
        sa.Column("filed_by_id", sa.Integer, nullable=False),
        sa.UniqueConstraint("patient_id", "key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "series",
        _id(),
        _of("studys"),
        sa.Column("modality", sa.String(16), nullable=False),
        sa.Column("sequence", sa.String(16), nullable=False),
        sa.Column("slices", sa.Integer, nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
    )
    op.create_index("ix_series_study_id", "series", ["study_id"])
    op.create_index("ix_series_content", "series", ["content"])
    op.create_table(
        "findings",
        _id(),
        sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id", ondelete="CASCADE"), nullable=False),
        sa.Column("bundle_name", sa.String(64), nullable=False),
        sa.Column("bundle_version", sa.String(32), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("label", sa.String(16)),
        sa.Column("probability", sa.Double),
        sa.Column("tumor_probability", sa.Double, nullable=False),
        sa.Column("reasons", sa.String(200), nullable=False),
        sa.Column("volume_mm3", sa.Double),
        sa.Column("diameter_mm", sa.Double),
        sa.Column("mask", sa.String(64)),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_findings_series_id", "findings", ["series_id"])
    op.create_index("ix_findings_mask", "findings", ["mask"])
    op.create_table(
        "verdicts",
        _id(),
        _of("findings"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(16)),
        sa.Column("comment", sa.LargeBinary),
        sa.Column("mask", sa.String(64)),
        sa.Column("reader_id", sa.Integer, nullable=False),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sa.CheckConstraint(sa.column("kind").in_(("agree", "correct", "comment")), name="known_verdict"),
        sa.UniqueConstraint("finding_id", "version"),
    )
    op.create_index("ix_verdicts_mask", "verdicts", ["mask"])
    op.create_table(
        "reports",
        _id(),
        _of("studys"),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("signed_by_id", sa.Integer),
        sa.Column("made_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_reports_study_id", "reports", ["study_id"])
    op.create_index("ix_reports_content", "reports", ["content"])
    op.create_table(
        "removals",
        sa.Column("content", sa.String(64), primary_key=True),
        sa.Column("patient_id", sa.Integer, nullable=False),
    )
    _refuse_changes_of_verdicts(op.get_bind().dialect.name)


def _refuse_changes_of_verdicts(dialect: str) -> None:
    refusal = "verdicts are never changed; a later one has a higher version"
    if dialect == "sqlite":
        raised = f"SELECT RAISE(ABORT, '{refusal}')"
        op.execute(f"CREATE TRIGGER verdicts_refuse_update BEFORE UPDATE ON verdicts BEGIN {raised}; END")
        return
    body = f"BEGIN RAISE EXCEPTION '{refusal}'; END"
    op.execute(f"CREATE FUNCTION verdicts_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(
        "CREATE TRIGGER verdicts_refuse BEFORE UPDATE ON verdicts FOR EACH STATEMENT EXECUTE FUNCTION verdicts_refuse()"
    )
