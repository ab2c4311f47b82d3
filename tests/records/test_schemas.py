"""The schema files themselves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from streams.records import schemas
from streams.records.schemas import crc64, folder, latest, load_all, released, without_marks
from streams.topology import JSON_EVENT, TOPICS

RECORDS = sorted(released())


def described(schema: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every record, enum and field below a schema, with where it stands."""
    if isinstance(schema, list):
        for member in schema:
            yield from described(member, path)
    elif isinstance(schema, dict):
        if "name" in schema:
            yield path, schema
        for field in schema.get("fields", []):
            yield f"{path}.{field['name']}", field
            yield from described(field["type"], f"{path}.{field['name']}")
        for part in ("items", "values"):
            yield from described(schema.get(part), path)


def test_every_record_of_the_topics_has_a_schema() -> None:
    """A topic names its record, and the record has a file."""
    assert {topic.record for topic in TOPICS if topic.record != JSON_EVENT} == set(RECORDS)


@pytest.mark.parametrize("record", RECORDS)
def test_records_and_fields_say_what_they_mean(record: str) -> None:
    """Each record, enum and field of each version has a doc of at least a few words."""
    silent = [
        path
        for schema in released()[record]
        for path, part in described(schema.source, f"{record}.{schema.version}")
        if len(part.get("doc", "").split()) < 2
    ]

    assert silent == []


@pytest.mark.parametrize("record", RECORDS)
def test_a_file_holds_the_record_that_its_name_says(record: str) -> None:
    """Name and namespace in the file are those of the file's name."""
    names = {(schema.source["name"], schema.source["namespace"]) for schema in released()[record]}

    assert names == {(record, "loginwatch")}


@pytest.mark.parametrize("record", RECORDS)
def test_whole_numbers_of_64_bits_that_are_times_are_marked(record: str) -> None:
    """Times are timestamp-millis in the files and plain longs for fastavro."""
    text = json.dumps(without_marks(latest(record).source))

    assert "logicalType" not in text
    assert all(
        "timestamp-millis" in json.dumps(field["type"])
        for path, field in described(latest(record).source, record)
        if path.rsplit(".", 1)[-1] in ("time", "from", "until", "opened", "revised", "first", "last", "expires")
    )


@pytest.mark.parametrize(
    ("outer", "field"), [("Notification", "details"), ("Incident", "policy"), ("AccountView", "policy")]
)
def test_nested_records_are_the_same_everywhere(outer: str, field: str) -> None:
    """A record that is part of another does not differ from its first home."""
    named: dict[str, Any] = {}
    for record in RECORDS:
        for _, part in described(latest(record).source, record):
            if "symbols" in part or part.get("type") == "record":
                first = named.setdefault(part["name"], part)
                assert {**part, "namespace": ""} == {**first, "namespace": ""} or expanded(part) == expanded(first)

    assert any(part["name"] == field for part in latest(outer).source["fields"])


def expanded(part: Any) -> set[tuple[str, str]]:
    """Fields and symbols of a named type, whatever was defined before it in its file."""
    names = {(field["name"], field["doc"]) for field in part.get("fields", [])}
    return names | {("", symbol) for symbol in part.get("symbols", [])}


def test_the_fingerprint_is_the_one_of_the_avro_specification() -> None:
    """CRC-64-AVRO of the schema "null" is 63dd24e7cc258f8a, little endian in a header."""
    assert crc64("null") == bytes.fromhex("63dd24e7cc258f8a")[::-1].hex()


def test_a_header_is_the_mark_and_the_fingerprint() -> None:
    """Ten bytes: C3 01, then the fingerprint."""
    assert latest("Login").header == b"\xc3\x01" + bytes.fromhex(latest("Login").fingerprint)


def test_versions_are_read_in_order(tmp_path: Any) -> None:
    """Version 10 comes after version 9."""
    text = (folder() / "Domain.1.avsc").read_text()
    for number in (10, 9, 1):
        (tmp_path / f"Domain.{number}.avsc").write_text(text)

    assert [schema.version for schema in load_all(tmp_path)] == [1, 9, 10]


def test_a_version_is_found_by_its_number() -> None:
    """Readers written for one version ask for it by number."""
    assert schemas.version("Login", 1) is released()["Login"][0]
    with pytest.raises(KeyError):
        schemas.version("Login", 999)
