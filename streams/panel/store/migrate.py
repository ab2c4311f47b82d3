"""Bringing the database to the schema of this version: Alembic's migrations, inside the package, run at every start."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from streams.errors import ConfigurationError
from streams.panel.store.engine import StoreUnavailableError, exclusive

SCRIPTS = "streams.panel.store:migrations"


def migrate(engine: Engine) -> None:
    """
    Apply what is missing; does nothing on a database of this version. Two panels that start together take turns.

    Raises StoreUnavailableError, and ConfigurationError for a database that a newer loginwatch has migrated.
    """
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    try:
        with exclusive(engine, "migration"), engine.begin() as connection:
            _refuse_newer(ScriptDirectory.from_config(config), MigrationContext.configure(connection))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise StoreUnavailableError(f"the panel's database cannot be set up: {error.orig}") from error


def _refuse_newer(scripts: ScriptDirectory, context: MigrationContext) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    for revision in context.get_current_heads():
        if revision not in known:
            raise ConfigurationError(
                f"the panel's database has schema {revision}, which this version does not know: a newer loginwatch made it."
                " Use that version, or another database"
            )
