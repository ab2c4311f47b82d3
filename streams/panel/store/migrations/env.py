"""How Alembic runs here: on the connection that `migrate` opened, inside its transaction."""

from alembic import context

from streams.panel.store import people_tables, tables

assert people_tables.PERSON.metadata is tables.METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=tables.METADATA)
context.run_migrations()
