"""
The common job, as plainly as Python says it; every peer does this, each in its own state.

Decode a Login; if it succeeded, keep {address: time of its last login} of its account; more than 5 addresses within 60
minutes of event time write one block, and the account is quiet for 60 minutes. No import of loginwatch: peers run in an
environment of their own.
"""

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import fastavro

WINDOW_MS = 3_600_000
ALLOWED = 5
HEADER_BYTES = 10


def _schema() -> Any:
    """The Login's schema with its time as the plain number that it is: datetimes would cost every peer 2 µs a login."""
    source = json.loads((Path(__file__).parents[2] / "schemas" / "Login.1.avsc").read_text(encoding="utf-8"))
    source["fields"][0]["type"] = "long"
    return fastavro.parse_schema(source)


SCHEMA = _schema()


def decode(raw: bytes) -> dict[str, Any]:
    """All fields of a single-object Login, `time` in ms."""
    login: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(raw[HEADER_BYTES:]), SCHEMA, None)  # type: ignore[assignment]
    return login


def judge(seen: dict[str, int], quiet_until: int, ip: str, time_ms: int) -> bool:
    """Take a login into `seen`, in place; True = a block is to be written now."""
    seen[ip] = time_ms
    if len(seen) <= ALLOWED:
        return False
    for address in [address for address, last in seen.items() if time_ms - last >= WINDOW_MS]:
        del seen[address]
    return len(seen) > ALLOWED and time_ms >= quiet_until


def setting(name: str) -> str:
    """One of the variables by which the harness tells a peer what to do."""
    return os.environ[name]


def mark(word: str, number: int = 0) -> None:
    """A line for the harness: the word, CPU seconds of this process so far, the time."""
    line = f"{word} {time.process_time():.3f} {time.time():.3f} {number}\n"
    os.write(1, line.encode())  # Faust takes sys.stdout for its log
