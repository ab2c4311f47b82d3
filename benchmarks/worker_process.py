"""The worker as it is deployed, which also tells the harness when it takes its first record."""

import sys
import time
from typing import Any

from streams.worker import garbage

garbage.collect_rarely()  # as the command does
from streams.settings import Settings, load_settings  # noqa: E402
from streams.worker.main import Parts, production_parts, serve  # noqa: E402

WATCHED = ("process", "usual_logins")
"""What of the engine takes records."""


def mark(word: str, number: int = 0) -> None:
    """A line for the harness: the word, CPU seconds of this process so far, the time."""
    sys.stdout.write(f"{word} {time.process_time():.3f} {time.time():.3f} {number}\n")
    sys.stdout.flush()


def parts(settings: Settings) -> Parts:
    """The production parts; what of the engine takes records is watched until the first call, and then left alone."""
    made = production_parts(settings)
    engine: Any = made.engine
    for name in WATCHED:
        _watch(engine, name, getattr(engine, name))
    return made


def _watch(engine: Any, name: str, original: Any) -> None:
    def first(*arguments: Any, **named: Any) -> Any:
        if name in vars(engine):
            for watched in WATCHED:
                delattr(engine, watched)
            mark("FIRST")
        return original(*arguments, **named)

    setattr(engine, name, first)


if __name__ == "__main__":
    sys.exit(serve(load_settings(), parts))
