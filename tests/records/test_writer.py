"""Avro written by hand: byte for byte what fastavro writes, or an error."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.values import Part
from streams.errors import BadRecordError
from streams.records.codec import FOREIGN_ERRORS, Codec, written
from streams.records.schemas import latest, released
from streams.records.writer import Write, writer
from tests.records.golden import example
from tests.records.values import records, values

RECORDS = sorted(released())


def writer_of(record: str) -> Write:
    made = writer(latest(record).parsed)
    assert made is not None
    return made


def fastavro(record: str, value: dict[str, Any]) -> bytes:
    return written(record, latest(record).parsed, value)


@pytest.mark.parametrize("record", RECORDS)
@settings(max_examples=50)
@given(data=st.data())
def test_both_write_the_same_bytes(record: str, data: st.DataObject) -> None:
    """Of every record, whatever is in it."""
    value = data.draw(records(record))

    assert writer_of(record)(value) == fastavro(record, value)


@pytest.mark.parametrize("kind", ["int", "long", "double", "string"])
@settings(max_examples=300)
@given(data=st.data())
def test_both_write_the_same_numbers_and_texts(kind: str, data: st.DataObject) -> None:
    """Of all sizes: a number has one byte for each 7 bits."""
    schema = {"type": "record", "name": "Pair", "fields": [{"name": "a", "type": kind}, {"name": "b", "type": kind}]}
    near = st.builds(lambda bits, more: (1 << bits) + more, st.integers(0, 62), st.integers(-2, 2))
    strategies = {"long": near | values("long", {}, st.text()), "string": st.text(max_size=200)}
    one = data.draw(strategies.get(kind, values(kind, {}, st.text())))
    value = {"a": one, "b": one}
    write = writer(schema)
    assert write is not None

    assert write(value) == written("Pair", schema, value)


def with_parts(value: dict[str, Any]) -> dict[str, Any]:
    """The same incident, with parts of it that remember their bytes."""
    return {**value, "networks": [Part(item) for item in value["networks"]], "policy": Part(value["policy"])}


@given(records("Incident"))
def test_a_part_is_written_once_and_the_same_each_time(value: dict[str, Any]) -> None:
    """Also inside another record that contains the same type, and by fastavro."""
    incident = with_parts(value)

    assert writer_of("Incident")(incident) == fastavro("Incident", value) == fastavro("Incident", incident)
    assert all(part.written for part in [*incident["networks"], incident["policy"]])
    assert writer_of("Incident")(incident) == fastavro("Incident", value)
    told = example(latest("Notification").source, {}) | {"details": incident}
    assert writer_of("Notification")(told) == fastavro("Notification", told)


def test_a_part_is_never_written_as_another_type() -> None:
    """What one type remembered is no answer for another of the same field names."""
    fields = [{"name": "a", "type": "int"}, {"name": "b", "type": "int"}]
    other = [{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]
    one = writer({"type": "record", "name": "One", "fields": fields})
    two = writer({"type": "record", "name": "Two", "fields": other})
    assert one is not None
    assert two is not None
    part = Part({"a": 1, "b": 2})

    assert one(part) == b"\2\4"
    with pytest.raises(ValueError):
        two(part)


def fastavro_alone(record: str, value: dict[str, Any]) -> bytes:
    return latest(record).header + fastavro(record, value)


def bytes_or_words(write: Callable[[str, dict[str, Any]], bytes], record: str, value: dict[str, Any]) -> bytes | str:
    try:
        return write(record, value)
    except BadRecordError as refusal:
        return str(refusal)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 5},
        {"id": None},
        {"id": "\ud800"},
        {"revision": True},
        {"revision": 2**31},
        {"opened": 2**63},
        {"opened": 1.0},
        {"opened": None},
        {"blocked_until": "soon"},
        {"rule": "both"},
        {"rule": ["ips"]},
        {"networks": ()},
        {"networks": [{}]},
        {"networks": [None]},
        {"policy": []},
        {"more": 1},
    ],
)
def test_what_is_no_exact_value_is_left_to_fastavro(change: dict[str, Any]) -> None:
    """It writes a tuple as a list, or a number for true, and refuses the rest with its own words."""
    value = example(latest("Incident").source, {}) | change

    with pytest.raises(FOREIGN_ERRORS):
        writer_of("Incident")(value)
    assert bytes_or_words(Codec().encode, "Incident", value) == bytes_or_words(fastavro_alone, "Incident", value)


ITSELF = {"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "A"]}]}


@pytest.mark.parametrize(
    "unknown",
    [
        ["int", "null"],
        ["null", "int", "string"],
        {"type": "fixed", "name": "F", "size": 2},
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "record", "name": "One", "fields": [{"name": "a", "type": "int"}]},
        "float",
        ITSELF,
    ],
)
def test_a_schema_with_other_types_has_no_writer(unknown: Any) -> None:
    """fastavro writes its records."""
    fields = [{"name": "x", "type": unknown}, {"name": "y", "type": "int"}]

    assert writer({"type": "record", "name": "Other", "fields": fields}) is None
