"""
The database: SQLite in a file, or PostgreSQL; opened, migrated, and locked against a second panel doing the same.

Decision: SQLite in WAL mode, so that pages read while the follower writes; writers begin with BEGIN IMMEDIATE, because a
transaction that first reads and then writes cannot wait for another writer. Schema changes are Alembic's, run at every
start under a lock.
"""

import fcntl
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from streams.errors import ConfigurationError, LoginwatchError

BUSY_MS = 10_000
"""How long a writer waits for another one on SQLite: longer than the follower's largest batch takes."""
CACHE_KIB = 65_536
CHECKPOINT_PAGES = 32_768
"""128 MiB of log before it is written into the file: a page that many batches change is written there once."""
CONNECT_S = 5
POOL = 8
MORE = 40
"""Connections beyond the pool under load: as many as FastAPI has threads."""
FREE_S = 30
"""How long a page waits for a connection when all of them are in use."""
BEGIN = "loginwatch_begin"
"""The execution option that says how a transaction on SQLite begins."""
READ_ONLY = "25006"
"""SQLSTATE of a write where none is taken: the database of a failover that is not over, or one an operator has closed."""
TOO_LARGE = "54"
"""Class of SQLSTATEs of what is beyond a limit of PostgreSQL, as a text too long for an index: no other try goes better."""


class StoreUnavailableError(LoginwatchError):
    """The panel's database does not answer, or refuses: check `panel_database` and the database itself."""

    exit_code = 69


def open_engine(database: str) -> Engine:
    """
    The engine for the setting `panel_database`: a file's path, or a URL (`sqlite:///…`, `postgresql+psycopg://…`).

    Raises ConfigurationError for what is neither. Nothing is connected yet.
    """
    url = database_url(database)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    engine = create_engine(
        url,
        hide_parameters=True,  # errors are logged, and parameters are people's data
        pool_size=POOL,
        max_overflow=MORE,
        pool_timeout=FREE_S,
        pool_pre_ping=True,
        # plans that are made once for all values would walk the wrong index for a reader with few domains
        connect_args={"prepare_threshold": None, "connect_timeout": CONNECT_S, "application_name": "loginwatch-panel"},
    )
    event.listen(engine, "connect", _set_up_postgres)
    return engine


def database_url(database: str) -> URL:
    """The URL of the setting `panel_database`. Raises ConfigurationError."""
    if "://" not in database:
        if not database.strip():
            raise ConfigurationError("panel_database is empty: set it to a file's path or a PostgreSQL URL")
        return URL.create("sqlite", database=database)
    try:
        url = make_url(database)
    except ArgumentError as error:
        raise ConfigurationError("panel_database is no database URL: write postgresql://user@host/name") from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigurationError(f"panel_database has the driver {url.drivername}: use sqlite or postgresql")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigurationError("panel_database names no file: SQLite in memory is not shared by the panel's threads")
    return url


def is_sqlite(engine: Engine | Connection) -> bool:
    """Whether this is the embedded database."""
    return engine.dialect.name == "sqlite"


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # it holds hashes of passwords: nobody else on the machine reads it, whatever the umask
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigurationError(f"the panel's database {path} cannot be opened: {error.strerror}") from error
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=POOL,
        max_overflow=MORE,
        pool_timeout=FREE_S,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_postgres(connection: psycopg.Connection, _record: ConnectionPoolEntry) -> None:
    """Short queries: compiling them costs more than it gives, and an index is worth its reads on any disk of today."""
    connection.execute("SET jit = off")
    connection.execute("SET random_page_cost = 1.1")
    connection.commit()


def _set_up_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says so, not where sqlite3 guesses
    for pragma in (
        f"busy_timeout = {BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",  # with WAL a power cut loses the last transactions whole, offsets included
        "foreign_keys = ON",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"cache_size = -{CACHE_KIB}",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))


@contextmanager
def exclusive(engine: Engine, purpose: str, *, wait: bool = True) -> Iterator[bool]:
    """
    Hold a lock that all panels on this database share; without `wait`, False where another one holds it.

    An advisory lock of PostgreSQL, or a locked file beside SQLite's: both end with the process that holds them.
    """
    holding = _file_lock if is_sqlite(engine) else _advisory_lock
    with holding(engine, purpose, wait) as held:
        yield held


@contextmanager
def _file_lock(engine: Engine, purpose: str, wait: bool) -> Iterator[bool]:
    with Path(f"{engine.url.database}.{purpose}.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _advisory_lock(engine: Engine, purpose: str, wait: bool) -> Iterator[bool]:
    key = zlib.crc32(f"loginwatch panel {purpose}".encode())
    function = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
    with ExitStack() as held_open:
        with answering():
            own = held_open.enter_context(engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
            answer = own.execute(text(f"SELECT {function}(:key)"), {"key": key}).scalar()
        held = wait or bool(answer)
        try:
            yield held
        finally:
            if held:
                _unlock(own, key)


def _unlock(connection: Connection, key: int) -> None:
    try:
        if not connection.invalidated:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
    except DBAPIError:
        # what went wrong within says more; and with its connection the lock is gone
        connection.invalidate()


@contextmanager
def answering(*, writing: bool = True) -> Iterator[None]:
    """
    Raises StoreUnavailableError where the database does not answer, takes no changes (`writing`), or all connections to it
    stay in use: each passes.

    What it says of the values or of the statement is raised as it is.
    """
    try:
        yield
    except DBAPIError as error:
        if _is_away(error):
            raise StoreUnavailableError(f"the panel's database does not answer: {error.orig}") from error
        if writing and _sqlstate(error) == READ_ONLY:
            raise StoreUnavailableError(f"the panel's database takes no changes: {error.orig}") from error
        raise
    except PoolTimeoutError as error:  # no DBAPIError: the database was not asked
        raise StoreUnavailableError(f"all connections to the panel's database are in use: {error}") from error


def _is_away(error: DBAPIError) -> bool:
    answers = type(error).__name__ not in ("OperationalError", "InterfaceError")
    return error.connection_invalidated or not (answers or _sqlstate(error).startswith(TOO_LARGE))


def _sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's code of an error; empty where it has none: nothing was answered, or it is SQLite."""
    return getattr(error.orig, "sqlstate", None) or ""
