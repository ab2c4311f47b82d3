"""
The JSON form of records: the same field names, times as milliseconds since the epoch, bytes as base64.

What is read may say times as RFC 3339 with an offset instead, may leave out fields that have a default, and may have
fields that loginwatch does not know, which are left out.
"""

import base64
from typing import Any

import orjson

from streams.errors import BadRecordError
from streams.records import reasons, schemas
from streams.records.checks import record_check


def from_json(record: str, value: Any) -> dict[str, Any]:
    """
    The record that a parsed JSON value stands for, with every field of the schema.

    Raises BadRecordError, with the field and the reason, for anything that the schema or the limits do not allow.
    """
    checked: dict[str, Any] = record_check(record, "json")(value)
    return checked


def to_json(record: str, value: dict[str, Any]) -> dict[str, Any]:
    """The record's fields in the order of its schema, ready for orjson."""
    names = [field["name"] for field in schemas.latest(record).source["fields"]]
    return {name: plain(value.get(name)) for name in names}


def plain(value: Any) -> Any:
    """Bytes as base64 text, anything else as it is; only DeadLetter has bytes, and none in nested records."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def parse_json(raw: bytes) -> Any:
    """
    The JSON value in these bytes.

    Raises BadRecordError: not UTF-8, not JSON, NaN or Infinity, or nested more deeply than orjson's 1024 levels.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise json_refusal(raw, error) from error


def json_refusal(raw: bytes, error: ValueError) -> BadRecordError:
    """Why orjson could not read these bytes: its words do not tell broken text from broken JSON."""
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return BadRecordError(reasons.BAD_UTF8, f"The value is not UTF-8: byte {broken.start} of {len(raw)} is wrong")
    if "surrogate" in str(error):
        return BadRecordError(reasons.BAD_UTF8, f"The value contains half of a surrogate pair: {error}")
    return BadRecordError(reasons.BAD_JSON, f"The value begins like JSON but is none: {error}")
