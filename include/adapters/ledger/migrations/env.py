"""Alembic's entry: runs inside the connection and transaction that `migrate.upgrade` opened."""

from alembic import context

from include.adapters.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
