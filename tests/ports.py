"""Ports for what the tests start: free now, and nobody else's among the tests."""

import fcntl
import os
import secrets
import socket
import tempfile
from collections import deque
from pathlib import Path
from typing import IO

# below the range that the kernel gives to outgoing connections: a client that knocks at the port of a stopped broker
# must never be given that very port for its own end
PORTS = range(20_000, 32_000)


class Port:
    """A free TCP port, kept for us among all test processes of this machine until `release`."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / f"loginwatch-test-ports-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        start = secrets.randbelow(len(PORTS))
        for number in (*PORTS[start:], *PORTS[:start]):
            lock = (folder / str(number)).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
            except OSError:
                lock.close()
                continue
            self._lock: IO[str] = lock
            self.number = number
            return
        raise RuntimeError("no free port")

    def release(self) -> None:
        """Let others have it."""
        self._lock.close()


TAKEN: deque[Port] = deque()
MOST_TAKEN = 100


def free_port() -> int:
    """
    A port that nobody has now, from a range that the kernel gives to no outgoing connection.

    It stays taken among the tests until a hundred others were asked for: what is to listen there may do so much later.
    """
    TAKEN.append(Port())
    if len(TAKEN) > MOST_TAKEN:
        TAKEN.popleft().release()
    return TAKEN[-1].number
