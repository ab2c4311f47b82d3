"""
The lock on released schemas: `schemas/FINGERPRINTS` has a line for each file, and no file may differ from its line.

Decision: two sums a line. The fingerprint (CRC-64-AVRO) is what bytes on topics carry; it does not see defaults and logical
types, so a SHA-256 of everything but the docs stands beside it. Wording may be mended; meaning is a new version.
`python -m streams.records.lock` adds the lines of new files, and names with exit code 1 whatever is wrong: a file that was
edited, a version that cannot read the others. Nothing wrong is locked.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.records.evolution import incompatibilities
from streams.records.schemas import Schema, folder, load_all

LOCK = "FINGERPRINTS"
HEADING = "# file, CRC-64-AVRO, SHA-256 without docs; written by: python -m streams.records.lock\n"


def without_docs(schema: Any) -> Any:
    """The schema without its `doc` texts."""
    if isinstance(schema, dict):
        return {key: without_docs(value) for key, value in schema.items() if key != "doc"}
    if isinstance(schema, list):
        return [without_docs(member) for member in schema]
    return schema


def lock_line(schema: Schema) -> str:
    """What the lock says of one file: its name and two sums."""
    meaning = json.dumps(without_docs(schema.source), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{schema.record}.{schema.version}.avsc {schema.fingerprint} {hashlib.sha256(meaning.encode()).hexdigest()}"


def read_lock(directory: Path) -> dict[str, str]:
    """The lines of the lock by file name; empty when there is no lock yet."""
    path = directory / LOCK
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {line.split()[0]: line for line in lines if line and not line.startswith("#")}


def problems(schemas: Sequence[Schema], locked: Mapping[str, str]) -> list[str]:
    """What is wrong, a sentence each: files edited, deleted or not locked, versions that skip or cannot be read."""
    lines = {line.split()[0]: line for line in map(lock_line, schemas)}
    found = [f"{name} was released and is gone" for name in locked.keys() - lines.keys()]
    for name, line in lines.items():
        record, version, _ = name.split(".")
        if name not in locked:
            found.append(f"{name} is not locked: run python -m streams.records.lock")
        elif locked[name] != line:
            found.append(f"{name} was released and is edited: restore it and make version {int(version) + 1}")
        if int(version) > 1 and f"{record}.{int(version) - 1}.avsc" not in lines:
            found.append(f"{name} has no version before it")
    versions = [[schema for schema in schemas if schema.record == record] for record in {s.record for s in schemas}]
    return sorted([*found, *(problem for schemas_of_one in versions for problem in incompatibilities(schemas_of_one))])


def add_lines(directory: Path) -> list[str]:
    """Lock all new files of a directory. Locks nothing, and says why, when anything is wrong."""
    schemas = list(load_all(directory))
    lines = {line.split()[0]: line for line in map(lock_line, schemas)}
    locked = {**lines, **read_lock(directory)}
    found = problems(schemas, locked)
    if not found:
        text = "".join(f"{locked[name]}\n" for name in sorted(locked))
        (directory / LOCK).write_text(HEADING + text, encoding="utf-8")
    return found


if __name__ == "__main__":
    wrong = add_lines(folder())
    sys.stderr.writelines(f"{sentence}\n" for sentence in wrong)
    sys.exit(1 if wrong else 0)
