"""The panel's store: opened once per process, used by pages (threads of the web server) and by the follower."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, delete

from streams.panel.store.changes import KINDS, Changes
from streams.panel.store.engine import BEGIN, answering, is_sqlite, open_engine
from streams.panel.store.migrate import migrate
from streams.panel.store.progress import offsets, raise_numbers
from streams.panel.store.tables import READ_MODEL


class Store:
    """
    The database behind `panel_database`, migrated to this version's schema.

    Queries are functions of the modules beside this one and take a connection:

        with store.reading() as connection:
            page = incidents.listed(connection, visible, wanted)
    """

    def __init__(self, database: str) -> None:
        self.engine = open_engine(database)
        self.changes = Changes()
        """What pages wait for; the follower publishes."""
        try:
            migrate(self.engine)
        except BaseException:
            self.engine.dispose()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries; all queries of one page see the same state. Raises StoreUnavailableError."""
        with self._connected("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self, *, again: bool = False) -> Iterator[Connection]:
        """
        A transaction: all of it, or, when an exception leaves it, nothing. Raises StoreUnavailableError.

        `again`: what it writes would be written again if the machine fell over, so it does not wait for the disk.
        """
        with self._connected("BEGIN IMMEDIATE") as connection:
            if again and not is_sqlite(connection):  # SQLite waits for no transaction (`synchronous = NORMAL`)
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    def wipe_read_model(self) -> None:
        """
        Forget everything that topics can tell again; people, sessions, tokens and the audit stay.

        A follower that runs notices, and reads all topics from their start.
        """
        with self.writing() as connection:
            offsets(connection, lock=True)  # or a batch that comes meanwhile would be deleted in part
            for table in READ_MODEL:
                connection.execute(delete(table))
            raise_numbers(connection, KINDS)

    def close(self) -> None:
        """Let go of all connections, and wake pages that wait."""
        self.changes.close()
        self.engine.dispose()

    @contextmanager
    def _connected(self, begin: str) -> Iterator[Connection]:
        with (
            answering(writing=begin != "BEGIN"),
            self.engine.connect().execution_options(**{BEGIN: begin}) as connection,
            connection.begin(),
        ):
            if begin == "BEGIN" and not is_sqlite(connection):
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection
