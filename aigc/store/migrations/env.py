"""Alembic's entry point; :mod:`aigc.store.migrate` hands the connection in."""

from alembic import context

from aigc.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
