"""Alembic's entry point: migrates the database whose connection `archfront.study.database` passes in."""

from alembic import context

from archfront.study.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
