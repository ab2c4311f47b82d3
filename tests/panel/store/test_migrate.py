"""The schema: migrations and table definitions say the same, and a database of another version is dealt with."""

import threading

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, select, text

from streams.errors import ConfigurationError
from streams.panel.store import Store
from streams.panel.store.engine import open_engine
from streams.panel.store.migrate import SCRIPTS, migrate
from streams.panel.store.tables import METADATA

CATALOG = {
    "sqlite": "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version'",
    "postgresql": """
        SELECT 'column', table_name || '.' || column_name, data_type, collation_name || is_nullable || coalesce(column_default, '')
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
        UNION ALL SELECT 'index', indexname, tablename, indexdef
        FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        UNION ALL SELECT 'constraint', conname, contype::text, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic_version%'
    """,
}


def catalog(engine: Engine) -> list[tuple[str, ...]]:
    """
    What the database itself says of its tables. SQLite tells the statements, whose lines come in any order, and puts a name in
    quotes that was given later.
    """
    with engine.connect() as connection:
        found = connection.execute(text(CATALOG[engine.dialect.name]))
        rows = [tuple(str(value).replace('"', "") for value in row) for row in found]
    return sorted((*row[:3], "\n".join(sorted(line.strip(" \t,") for line in row[3].splitlines()))) for row in rows)


def test_migrations_make_exactly_the_tables_that_are_defined(database: str) -> None:
    """A column, index, type or collation that only one of the two has is found."""
    engine = open_engine(database)
    migrate(engine)
    migrated = catalog(engine)
    with engine.begin() as connection:
        METADATA.drop_all(connection)
        METADATA.create_all(connection)

    assert catalog(engine) == migrated
    assert len(migrated) > len(METADATA.tables)
    engine.dispose()


def test_a_database_of_this_version_is_left_as_it_is(database: str) -> None:
    """A panel that starts again migrates nothing, and finds its people."""
    with Store(database) as store, store.writing() as connection:
        connection.execute(METADATA.tables["progress"].insert().values(name="kept", value=1))

    with Store(database) as store, store.reading() as connection:
        assert connection.execute(text("SELECT value FROM progress")).scalar_one() == 1


def test_a_database_of_a_newer_version_is_refused(database: str) -> None:
    """An older program would read wrong what a newer one wrote: it says so and does not start."""
    with Store(database) as store, store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigurationError, match=r"schema 9999.*newer loginwatch"):
        Store(database)


def test_panels_that_start_together_migrate_once(database: str) -> None:
    """Several panels come up on an empty database at the same moment; all of them then work."""
    stores: list[Store] = []
    errors: list[BaseException] = []
    together = threading.Barrier(4, timeout=60)

    def start() -> None:
        together.wait()
        try:
            stores.append(Store(database))
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=start, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert errors == []
    assert "incident" in inspect(stores[0].engine).get_table_names()
    for store in stores:
        store.close()


FIRST = """
INSERT INTO network VALUES ('ann@a.example', :start, 128, '192.0.2.7/32', 'a.example', '192.0.2.7', 'DE', NULL, 'Telecom',
    'imap', 1, 2, 3, 4);
INSERT INTO account VALUES ('ann@a.example', 5);
INSERT INTO block VALUES ('b1', 'ann@a.example', 'a.example', 1, 2, 2, 'r', NULL, 'bob', NULL, NULL, '[]');
INSERT INTO block VALUES ('b2', 'eve@a.example', 'a.example', 1, 2, 2, 'r', NULL, 'bob', NULL, NULL, '[]')
"""


def upgraded_with(database: str, revision: str, statements: str) -> None:
    """A database of an older version, with these rows."""
    engine = open_engine(database)
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for statement in statements.split(";"):
            connection.execute(text(statement), {"start": bytes(16)} if ":start" in statement else {})
    engine.dispose()


def test_networks_and_counts_of_the_first_version_are_kept(database: str) -> None:
    """A panel that is upgraded has what it had, without reading the topics again, and counts blocks by account."""
    upgraded_with(database, "0001", FIRST)

    with Store(database) as store, store.reading() as connection:
        networks = connection.execute(METADATA.tables["network"].select()).all()
        accounts = connection.execute(METADATA.tables["account"].select()).all()

    assert networks == [(bytes(16), 128, "ann@a.example", "a.example", "192.0.2.7", "DE", None, "Telecom", 2)]
    assert sorted(accounts) == [("ann@a.example", 5, 1), ("eve@a.example", 0, 1)]


FOURTH = """
INSERT INTO "offset" VALUES ('policies', 0, 5);
INSERT INTO "offset" VALUES ('safe-networks', 0, 6);
INSERT INTO "offset" VALUES ('domains', 0, 7);
INSERT INTO "offset" VALUES ('incidents', 3, 8)
"""


def test_the_keys_of_rules_are_looked_up_once_more(database: str) -> None:
    """An upgraded panel reads the rules from the start, under whatever keys they lie, and nothing else."""
    upgraded_with(database, "0004", FOURTH)

    with Store(database) as store, store.reading() as connection:
        assert connection.execute(METADATA.tables["offset"].select()).all() == [("incidents", 3, 8)]


SECOND = """
INSERT INTO person VALUES (7, 'ann@a.example', '', 'administrator', NULL, NULL, 0, NULL, false, '', '', 1, NULL);
INSERT INTO invitation VALUES (1, 'a', 'invite', NULL, 'x@a.example', 'reader', '[]', 'ann@a.example', 1, 9, NULL);
INSERT INTO invitation VALUES (2, 'b', 'invite', NULL, 'y@a.example', 'reader', '[]', 'removed@a.example', 1, 9, NULL);
INSERT INTO invitation VALUES (3, 'c', 'invite', NULL, 'z@a.example', 'owner', '[]', 'root', 1, 9, NULL);
INSERT INTO invitation VALUES (4, 'd', 'recovery', 7, '', '', '[]', 'ann@a.example', 1, 9, NULL);
INSERT INTO invitation VALUES (5, 'e', 'reset', 7, '', '', '[]', 'removed@a.example', 1, 9, NULL)
"""


def test_open_links_get_the_maker_that_they_name(database: str) -> None:
    """Links by somebody who was removed end; the command line's, and recovery codes, stay without a maker."""
    upgraded_with(database, "0002", SECOND)

    with Store(database) as store, store.reading() as connection:
        table = METADATA.tables["invitation"]
        found = connection.execute(select(table.c.id, table.c.maker_id).order_by(table.c.id)).all()

    assert found == [(1, 7), (3, None), (4, None)]
