"""What Alembic runs for each command: the connection comes from the caller, who also holds the lock and commits."""

from alembic import context

from braintumor.database.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
