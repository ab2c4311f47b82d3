"""Which of librdkafka's clients a process has: each holds threads and connections."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def kafka_clients() -> int:
    """How many there are: each has one thread of this name. There may be fewer soon: those of an earlier test end in a thread."""
    return sum(name.read_text() == "rdk:main\n" for name in Path("/proc/self/task").glob("*/comm"))


@contextmanager
def uncollected() -> Iterator[None]:
    """As in a process in which Python does not look for garbage for a long time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
