"""
Named points at which a test makes the worker kill itself, as a power failure would.

Only when `LOGINWATCH_CRASH_AT` is set: `outputs:3` dies when the outputs of the third batch that has any have been
acknowledged, `changelog:3` when its changelog records have, `commit:3` right before the third commit of offsets.
"""

import os
import signal
from collections import Counter

VARIABLE = "LOGINWATCH_CRASH_AT"
POINTS = ("outputs", "changelog", "commit")

_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Die here by SIGKILL if the environment says so; nothing is flushed, nobody is told."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    point, _, number = wanted.partition(":")
    _passed[name] += 1
    if point == name and _passed[name] == int(number or 1):
        os.kill(os.getpid(), signal.SIGKILL)
