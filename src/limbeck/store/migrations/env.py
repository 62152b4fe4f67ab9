"""Alembic runs this file to migrate the one connection that `limbeck.store.migrate` gives it.

The caller owns the transaction, so that several migrations are applied all or none. Migrations are
written by hand; ``tests/store/test_migrate.py`` compares what they build with the tables.
"""

from alembic import context

from limbeck.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
