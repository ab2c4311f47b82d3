"""A process under measurement: its CPU time with all threads, its greatest memory, and the marks it prints."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_S = 25
POLL_S = 0.02
Result = TypeVar("Result")


class Mark(NamedTuple):
    """A line that a process printed: its own CPU seconds so far, the time, and a number of its own."""

    cpu_s: float
    time_s: float
    number: int


def cpu_s(pid: int) -> float:
    """CPU seconds of a process since its start, all threads, user and system (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_mib(pid: int, field: str = "VmHWM") -> float:
    """Resident memory in MiB: `VmHWM` is the greatest so far, `VmRSS` that of now (proc(5), status)."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def until(condition: Callable[[], Result | None], timeout_s: float, what: str) -> Result:
    """What `condition` returns as soon as that is true. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        time.sleep(POLL_S)
    return result


class Process:
    """
    One program under measurement. Ends with the `with` block.

    Programs print `WORD cpu-seconds unix-seconds [number]`: READY when their state is there, FIRST at the first login.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, name: str) -> None:
        self._command = list(command)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("LOGINWATCH_")}
        self._environment = {**clean, **environment}
        self._log = folder / f"{name}.log"
        self._popen: subprocess.Popen[bytes] | None = None
        self.started_s = 0.0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> Self:
        self._log.unlink(missing_ok=True)
        self.started_s = time.time()
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def mark(self, word: str) -> Mark | None:
        """The last mark of this word; raises RuntimeError with the log when the process has ended."""
        self.assert_running()
        found = re.findall(rf"^{word} ([\d.]+) ([\d.]+) ?(\d*)$", self.log, re.MULTILINE)
        return Mark(float(found[-1][0]), float(found[-1][1]), int(found[-1][2] or 0)) if found else None

    def until_mark(self, word: str, timeout_s: float = 90) -> Mark:
        return until(lambda: self.mark(word), timeout_s, f"{self._log.stem} says {word}:\n{self.log[-2000:]}")

    def assert_running(self) -> None:
        assert self._popen is not None
        if self._popen.poll() is not None:
            raise RuntimeError(f"{self._log.stem} ended with {self._popen.returncode}:\n{self.log[-4000:]}")

    def says(self, text: str) -> bool:
        """Whether it has printed this; raises RuntimeError with the log when it has ended."""
        self.assert_running()
        return text in self.log

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def memory_mib(self, field: str = "VmHWM") -> float:
        return memory_mib(self.pid, field)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self._popen is not None
        self._popen.kill()
        self._popen.wait()

    def stop(self) -> None:
        """SIGTERM, and kill what does not end."""
        if self._popen is None or self._popen.poll() is not None:
            return
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
