"""
Processes of the worker around the stand-in engine, forked from one that has imported everything.

The imports are most of what a start costs (1.2 s of CPU), and the tests of crashes start some forty workers. Nothing else is
shared: each has its own memory, environment, log and end.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["__main__", "tests.worker.stand_in"])


class Forked:
    """Has what the tests use of `subprocess.Popen`."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._process = CONTEXT.Process(target=_work, args=(environment, str(log)))
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            assert self._process.pid is not None
            os.kill(self._process.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _work(environment: dict[str, str], log: str) -> None:
    """In the forked process: become the worker."""
    from streams.settings import load_settings
    from streams.worker.main import serve
    from tests.worker.stand_in import parts

    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for output in (sys.stdout, sys.stderr):
        os.dup2(descriptor, output.fileno())
    os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(serve(load_settings(), parts))
