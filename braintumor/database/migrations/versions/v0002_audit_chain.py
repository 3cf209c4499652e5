"""One audit trail for every subject, whose lines are chained by seals; the lines so far become its first ones."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from braintumor.database.audit import FIRST_SEAL, seal

revision = "0002"
down_revision = "0001"

_LINES_AT_A_TIME = 1000
_REFUSAL = "lines of the audit trail are never changed or deleted"


def upgrade() -> None:
    """Replace the table, number its lines from 1 without gaps, and seal them under the site's key."""
    op.execute("CREATE TEMPORARY TABLE audit_before AS SELECT * FROM audit")
    op.drop_table("audit")
    audit = op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.DateTime, nullable=False),
        sa.Column("actor_id", sa.Integer),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject_kind", sa.String(16)),
        sa.Column("subject_id", sa.Integer),
        sa.Column("address", sa.String(45)),
        sa.Column("details", sa.String(1000), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    op.create_index("ix_audit_time", "audit", ["time"])
    op.create_index("ix_audit_actor_id_audit_id", "audit", ["actor_id", "id"])
    op.create_index("ix_audit_subject_kind_audit_subject_id_audit_id", "audit", ["subject_kind", "subject_id", "id"])
    _copy(op.get_bind(), audit)
    op.execute("DROP TABLE audit_before")
    _refuse_changes(op.get_bind().dialect.name)


def _copy(connection: sa.Connection, audit: sa.Table) -> None:
    names = ("actor_id", "action", "subject_account_id")
    typed = (sa.column("id", sa.Integer), sa.column("time", sa.DateTime))
    before = sa.table("audit_before", *typed, *(sa.column(name) for name in names))
    key = op.get_context().opts["site_key"]
    number, last, chain = 0, 0, FIRST_SEAL
    while True:
        page = sa.select(before).where(before.c.id > last).order_by(before.c.id).limit(_LINES_AT_A_TIME)
        rows = connection.execute(page).all()
        lines: list[dict[str, object]] = []
        for row in rows:
            last, number = row.id, number + 1
            chain = _line(lines, key, chain, number, row.time, row.actor_id, row.action, row.subject_account_id)
        if not rows:
            break
        connection.execute(audit.insert(), lines)
    if number:
        lines = []
        now = datetime.now(UTC).replace(tzinfo=None)
        _line(lines, key, chain, number + 1, now, None, "lines so far chained", None)
        connection.execute(audit.insert(), lines)


def _line(
    lines: list[dict[str, object]],
    key: bytes,
    chain: str,
    number: int,
    time: datetime,
    actor_id: int | None,
    action: str,
    account_id: int | None,
) -> str:
    values = {
        **{"id": number, "time": time.replace(tzinfo=UTC), "actor_id": actor_id, "action": action},
        **{"subject_kind": None if account_id is None else "account", "subject_id": account_id},
        **{"address": None, "details": "{}"},
    }
    sealed = seal(key, chain, values)
    lines.append({**values, "time": time, "seal": sealed})
    return sealed


def _refuse_changes(dialect: str) -> None:
    if dialect == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_refuses_{change.lower()} BEFORE {change} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()"
    )
