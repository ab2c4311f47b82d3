"""
The demo's child processes: started with settings in their environment, watched, and ended whatever happens.

Decision: each has a session of its own, so that Ctrl-C reaches only the demo, which then ends them in order.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import SecretStr

import streams
from streams.errors import LoginwatchError
from streams.settings import ENVIRONMENT_PREFIX, Settings

STOP_S = 15.0
LOG_LINES = 15


class ChildError(LoginwatchError):
    """A process of the demo ended or never became ready: its log says why."""


@dataclass
class Child:
    """One running process and its log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    out: IO[bytes]


class Children:
    """The child processes; leaving the `with` block ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Child] = []
        self._reserved: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, settings: Settings) -> Child:
        """Run `loginwatch NAME` with these settings; what it prints goes to a log file."""
        log = self.folder / f"{name}.log"
        out = log.open("wb")
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "streams.cli", name],
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            out.close()
            raise
        child = Child(name, process, log, out)
        self._running.append(child)
        return child

    def listen(self, preferred: str) -> str:
        """
        The preferred `host:port` if it is free, else another port of the loopback interface.

        The preferred one is reserved against other demos that start now, by the UDP port of the same number: the child
        takes the TCP port only later.
        """
        host, _, port = preferred.rpartition(":")
        reserved = socket.socket(type=socket.SOCK_DGRAM)
        try:
            reserved.bind((host, int(port)))
            if _is_free(host, int(port)):
                self._reserved.append(reserved)
                return preferred
        except OSError:
            pass  # another demo has it, or the host is none of ours
        reserved.close()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{probe.getsockname()[1]}"

    def check(self) -> None:
        """Are all of them alive? Raises ChildError for one that is not."""
        for child in self._running:
            code = child.process.poll()
            if code is not None:
                raise ChildError(f"the {child.name} ended with exit code {code}; see its log, {child.log}")

    def stop(self) -> None:
        """Ask each to stop, the last one started first, and kill those that do not within the time."""
        for child in reversed(self._running):
            with suppress(ProcessLookupError):
                child.process.terminate()
        deadline = time.monotonic() + STOP_S
        try:
            for child in reversed(self._running):
                with suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(0.0, deadline - time.monotonic()))
        finally:  # also when somebody is impatient and interrupts once more
            for child in self._running:
                child.process.kill()
                child.process.wait()
                child.out.close()
            for reserved in self._reserved:
                reserved.close()
            self._running.clear()
            self._reserved.clear()


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def last_words(folder: Path) -> list[str]:
    """The last lines of every log in the folder, each with the name of its process."""
    found = []
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [f"{log.stem}: {line}" for line in lines[-LOG_LINES:] or ["(no output)"]]
    return found


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with exactly these settings, and a path on which the package is found."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(ENVIRONMENT_PREFIX)}
    package = str(Path(streams.__file__).parents[1])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (package, kept.get("PYTHONPATH"))))
    kept["PYTHONUNBUFFERED"] = "1"
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value != field.default:
            kept[f"{ENVIRONMENT_PREFIX}{name.upper()}"] = _text(value)
    return kept


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
