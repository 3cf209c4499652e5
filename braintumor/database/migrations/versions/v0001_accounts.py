"""Accounts, sessions, the first audit trail and desks, as the versions before Alembic made them.

Those made tables that were missing and changed none, so here too what is there stays, and the rest is made.
"""

import sqlalchemy as sa
from alembic import op

from braintumor.database.errors import UnusableDatabaseError

revision = "0001"
down_revision = None

_ROLES = ("administrator", "clinician", "researcher")
_STATES = ("pending", "active", "disabled")


def upgrade() -> None:
    """Make the tables that are missing; raises ``UnusableDatabaseError`` where another program has one of that name."""
    connection = op.get_bind()
    tables = _tables()
    inspector = sa.inspect(connection)
    for name in set(tables) & set(inspector.get_table_names()):
        if not set(tables[name].columns.keys()) <= {column["name"] for column in inspector.get_columns(name)}:
            raise UnusableDatabaseError(
                f"The table {name!r} of this database belongs to another program; give the app a database of its own."
            )
    next(iter(tables.values())).metadata.create_all(connection)
    # A role or state that nobody knows: the account waits, disabled, until an administrator decides on it.
    accounts = tables["accounts"]
    unknown = accounts.c.role.not_in(_ROLES) | accounts.c.state.not_in(_STATES)
    connection.execute(accounts.update().where(unknown).values(role="clinician", state="disabled"))


def _tables() -> dict[str, sa.Table]:
    metadata = sa.MetaData(naming_convention=op.get_context().opts["target_metadata"].naming_convention)
    sa.Table(
        "accounts",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("username", sa.String(32), nullable=False, unique=True),
        sa.Column("display_name", sa.String(80), nullable=False),
        sa.Column("email", sa.String(254)),
        sa.Column("password_hash", sa.String(60), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("failed_login_attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("must_change_password", sa.Boolean, nullable=False),
        sa.CheckConstraint(sa.column("role").in_(_ROLES), name="known_role"),
        sa.CheckConstraint(sa.column("state").in_(_STATES), name="known_state"),
        # Without it SQLite gives a deleted account's number to the next one, and the audit trail would lie.
        sqlite_autoincrement=True,
    )
    sa.Table(
        "name_skeletons",
        metadata,
        sa.Column("skeleton", sa.String(32), primary_key=True),
        sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, unique=True),
    )
    sa.Table(
        "wrong_passwords",
        metadata,
        sa.Column("name_hash", sa.String(64), primary_key=True),
        sa.Column("address_hash", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", sa.DateTime, nullable=False, index=True),
    )
    sa.Table(
        "known_addresses",
        metadata,
        sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("address_hash", sa.String(64), primary_key=True),
        sa.Column("last_used_at", sa.DateTime, nullable=False),
    )
    sa.Table(
        "sessions",
        metadata,
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False, index=True),
        sa.Column("revoked_at", sa.DateTime),
    )
    sa.Table(
        "audit",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time", sa.DateTime, nullable=False, index=True),
        sa.Column("actor_id", sa.Integer),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject_account_id", sa.Integer),
        sqlite_autoincrement=True,
    )
    sa.Table(
        "desk",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("content", sa.String(64), index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("is_read", sa.Boolean, nullable=False),
        sa.Column("added_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False, index=True),
        sa.UniqueConstraint("account_id", "kind", "key"),
    )
    return dict(metadata.tables)
