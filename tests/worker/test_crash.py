"""The points at which a test may kill the worker."""

import signal
import subprocess
import sys

import pytest

PROGRAM = "from streams.worker.crash import crash_point\nfor _ in range(5): crash_point('outputs'); print('passed', flush=True)"


@pytest.mark.parametrize(
    ("crash_at", "passed", "code"), [("outputs:3", 2, -signal.SIGKILL), ("commit:1", 5, 0), ("", 5, 0)]
)
def test_the_process_dies_at_the_named_point_and_nowhere_else(crash_at: str, passed: int, code: int) -> None:
    """At the wanted pass of the wanted point; without the variable never."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={"LOGINWATCH_CRASH_AT": crash_at}, capture_output=True, check=False
    )

    assert done.returncode == code
    assert done.stdout.count(b"passed") == passed
