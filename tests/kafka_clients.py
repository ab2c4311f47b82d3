"""Which of librdkafka's clients a process has: each holds threads and connections."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.eventually import eventually


def kafka_clients() -> int:
    """How many there are: each has one thread of this name. There may be fewer soon: those of an earlier test end in a thread."""
    return sum(_name(thread) == "rdk:main\n" for thread in Path("/proc/self/task").iterdir())


def _name(thread: Path) -> str:
    try:
        return (thread / "comm").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
        return ""


def assert_at_most(clients: int) -> None:
    """That no more are left. Linux shows a thread for a moment after it was joined; what only a look for garbage ends stays."""
    eventually(lambda: kafka_clients() <= clients, what=f"at most {clients} of librdkafka's clients are left")


@contextmanager
def uncollected() -> Iterator[None]:
    """As in a process in which Python does not look for garbage for a long time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
