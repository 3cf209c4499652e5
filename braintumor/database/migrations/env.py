"""What Alembic runs for each command: the connection comes from the caller, who also holds the lock and commits."""

from alembic import context

from braintumor.database.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    site_key=context.config.attributes["site_key"],
)
context.run_migrations()
