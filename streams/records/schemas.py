"""
The Avro schemas of all records and versions, as files in `schemas/` and as fastavro wants them.

Decision: files are named `<Record>.<version>.avsc` and never edited once released; `FINGERPRINTS` locks them. All versions
are known as writers' schemas (by their CRC-64-AVRO fingerprint), the highest one is what is written and read into.
fastavro would turn `timestamp-millis` into datetime objects, so that mark is taken off before it sees a schema: times
stay integers. The mark is in the files and in what a registry is given.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fastavro import parse_schema
from fastavro.schema import fingerprint, to_parsing_canonical_form

NAMESPACE = "loginwatch"
SINGLE_OBJECT = b"\xc3\x01"
"""The two bytes that open Avro's single-object encoding; the fingerprint follows, eight bytes, little endian."""
HEADER_BYTES = 10
MILLISECONDS = "timestamp-millis"
OTHER_TIMES = (
    "timestamp-micros", "local-timestamp-millis", "local-timestamp-micros", "date", "time-millis", "time-micros",
)  # fmt: skip
"""Logical types that say what a number counts, so they stay: microseconds are converted, the others refused."""


@dataclass(frozen=True)
class Schema:
    """One version of one record: `text` as in its file, `parsed` for fastavro, `header` as its single-object bytes begin."""

    record: str
    version: int
    text: str
    source: Mapping[str, Any]
    parsed: Any
    header: bytes

    @property
    def fingerprint(self) -> str:
        """CRC-64-AVRO of the parsing canonical form, 16 hex digits in the order of the bytes in the header."""
        return self.header[2:].hex()


def folder() -> Path:
    """Where the files are: beside this module in an installed wheel, at the top of the tree in a checkout."""
    packaged = Path(__file__).parent / "schemas"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "schemas"


def without_marks(schema: Any) -> Any:
    """
    The schema without the logical types that do not matter to us, in ours all: Avro lets every reader ignore them.

    fastavro would not: times become datetime objects, a text marked as `uuid` becomes an object, or an error, and a `decimal` of many bytes takes seconds.
    """
    if isinstance(schema, dict):
        marked = schema.get("logicalType") in OTHER_TIMES
        return {key: without_marks(value) for key, value in schema.items() if marked or key != "logicalType"}
    if isinstance(schema, list):
        return [without_marks(member) for member in schema]
    return schema


def crc64(source: Any) -> str:
    """CRC-64-AVRO of the schema's parsing canonical form, 16 hex digits, little endian."""
    return str(fingerprint(to_parsing_canonical_form(source), "CRC-64-AVRO"))


def load(path: Path) -> Schema:
    """Read one schema file, named `<Record>.<version>.avsc`."""
    record, version, _ = path.name.split(".")
    text = path.read_text(encoding="utf-8")
    source = json.loads(text)
    header = SINGLE_OBJECT + bytes.fromhex(crc64(source))
    return Schema(record, int(version), text, source, parse_schema(without_marks(source)), header)


def load_all(directory: Path) -> Iterator[Schema]:
    """Every schema file of a directory, lower versions first."""
    loaded = [load(path) for path in directory.glob("*.avsc")]
    yield from sorted(loaded, key=lambda schema: (schema.record, schema.version))


@cache
def released() -> Mapping[str, tuple[Schema, ...]]:
    """All versions of all records, by record, lower versions first. Read once from the files."""
    versions: dict[str, tuple[Schema, ...]] = {}
    for schema in load_all(folder()):
        versions[schema.record] = (*versions.get(schema.record, ()), schema)
    return versions


def latest(record: str) -> Schema:
    """The version that is written and read into."""
    return released()[record][-1]


def version(record: str, number: int) -> Schema:
    """One version of a record. KeyError when there is none."""
    return {schema.version: schema for schema in released()[record]}[number]
