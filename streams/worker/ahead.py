"""
Has all machine code of the worker made before it is needed, or read from where it was kept.

Compiling takes seconds, many of them on a slow machine: not in the middle of the first round, where everything waits. A test
holds that nothing is left to compile after it.
"""

from pathlib import Path

from streams.core.book import RuleBook
from streams.engine.compiled import folder, jit
from streams.engine.compiled.shelf import FIRST_SLOTS, Shelf
from streams.engine.compiled.usual import UsualLogins
from streams.errors import LoginwatchError
from streams.records.codec import Codec
from streams.worker import batch_writer
from streams.worker.fetched import Fetched, Record
from streams.worker.record_batches import columns, read_batches

DAY_MS = 86_400_000
MORE_THAN_A_TABLE = FIRST_SLOTS
"""So many accounts make a shelf longer."""
ACCOUNT = "user@example.org"
TIME_MS = 20_000 * DAY_MS
LOGIN = {
    "time": TIME_MS,
    "account": ACCOUNT,
    "ip": "192.0.2.1",
    "success": True,
    "service": "imap",
    **dict.fromkeys(("id", "session", "server", "client", "failure")),
}


class Anywhere:
    """A geo database that knows nothing of anybody."""

    available = True

    def country_and_span(self, number: int) -> tuple[str | None, int]:  # noqa: ARG002 - as asked by UsualLogins
        """Unknown, wherever."""
        return None, 128


def is_kept() -> bool:
    """Whether everything was compiled before, and can be read."""
    return jit.KEPT and folder.is_complete(jit.FOLDER)


def place() -> Path:
    """The folder where it is kept, unless there is a `problem`."""
    return jit.FOLDER


def problem() -> str:
    """Why what is compiled cannot be kept; "" = it can."""
    return jit.PROBLEM


def compile_all() -> None:
    """
    Return when every compiled function can be called at once. Takes seconds of one core where it is not kept.

    Raises LoginwatchError when it cannot be kept although the folder may be written.
    """
    try:
        _call_everything()
        if jit.KEPT:
            folder.mark_complete(jit.FOLDER)
    except OSError as error:
        raise LoginwatchError(
            f"compiled code cannot be kept in {jit.FOLDER}: {error.strerror or error}. Make room there, or name another folder"
            " with NUMBA_CACHE_DIR"
        ) from error


def _call_everything() -> None:
    records = _records()
    batch_writer.compile_now()
    usual = UsualLogins(Codec(), partitions=1, lateness_ms=DAY_MS, largest=1 << 20, seed=1)
    accounts = usual.new_accounts()
    usual.run(RuleBook(), Anywhere(), accounts, 0, records, 0, len(records))
    _use(accounts)


def _records() -> Fetched:
    """One login, as it is fetched."""
    read_batches(columns(b""), 0, True)
    value = Codec().encode("Login", LOGIN)
    return Fetched.of([Record(0, TIME_MS, ACCOUNT.encode(), value, ())])


def _use(accounts: Shelf) -> None:
    """Every operation of a shelf."""
    packed = bytes(8)
    changelog = _records()
    accounts.load(changelog.data, changelog.table, lambda _: None)
    for number in range(MORE_THAN_A_TABLE):
        accounts.keep(f"{number}", packed)
    dict(accounts.items())
    accounts.newest_login()
    accounts.touch("0")
    accounts.forget("0")
    accounts.close_up()
    accounts.take_touched()
