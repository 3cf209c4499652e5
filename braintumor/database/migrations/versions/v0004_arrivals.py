"""Studies that arrive from other machines, with their objects, what was answered, and what is to be sent back."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _of(table: str) -> sa.Column[int]:
    target = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(f"{table.removeprefix('arrival_').removesuffix('s')}_id", sa.Integer, target, nullable=False)


def upgrade() -> None:
    """Make the tables; what is deleted takes with it all that hangs on it."""
    states = ("receiving", "answering", "sending", "done", "failed")
    op.create_table(
        "arrivals",
        _id(),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("sender", sa.String(40), nullable=False),
        sa.Column("is_filed", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("first_at", sa.DateTime, nullable=False),
        sa.Column("last_at", sa.DateTime, nullable=False),
        sa.Column("due_at", sa.DateTime, nullable=False),
        sa.Column("patient_id", sa.Integer, sa.ForeignKey("patients.id", ondelete="CASCADE")),
        sa.CheckConstraint(sa.column("state").in_(states), name="known_arrivalstate"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_arrivals_state_arrivals_due_at", "arrivals", ["state", "due_at"])
    op.create_index("ix_arrivals_patient_id", "arrivals", ["patient_id"])
    op.create_table(
        "arrival_objects",
        _id(),
        _of("arrivals"),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_arrival_objects_arrival_id", "arrival_objects", ["arrival_id"])
    op.create_index("ix_arrival_objects_content", "arrival_objects", ["content"])
    op.create_table(
        "arrival_units",
        _id(),
        _of("arrivals"),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.UniqueConstraint("arrival_id", "key"),
    )
    op.create_table(
        "arrival_results",
        _id(),
        _of("arrival_units"),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("sent_at", sa.DateTime),
        sa.UniqueConstraint("unit_id", "kind"),
    )
    op.create_index("ix_arrival_results_content", "arrival_results", ["content"])
