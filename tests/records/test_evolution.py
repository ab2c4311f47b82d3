"""A reader of tomorrow reads today's bytes, and today's reader those of tomorrow."""

import copy
import io
import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from fastavro import schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.records.codec import Codec
from streams.records.evolution import incompatibilities
from streams.records.schemas import Schema, crc64, latest, load, released
from tests.records.values import LOGIN, records, values

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
"""Bytes of each released version, as hex, with the value that today's schema reads from them."""


def tomorrow(record: str, change: Callable[[dict[str, Any]], None], directory: Path) -> tuple[Schema, Schema]:
    """Today's version of a record and a changed one."""
    source = copy.deepcopy(dict(latest(record).source))
    change(source)
    path = directory / f"{record}.{latest(record).version + 1}.avsc"
    path.write_text(json.dumps(source))
    return latest(record), load(path)


def field(source: dict[str, Any], name: str) -> dict[str, Any]:
    return next(field for field in source["fields"] if field["name"] == name)


def add_optional_field(source: dict[str, Any]) -> None:
    source["fields"].append({"name": "device", "type": ["null", "string"], "default": None})


def remove_optional_field(source: dict[str, Any]) -> None:
    source["fields"].remove(field(source, "client"))


def reorder_fields(source: dict[str, Any]) -> None:
    source["fields"].reverse()


def add_service(source: dict[str, Any]) -> None:
    field(source, "service")["type"]["symbols"].append("jmap")


def add_required_field(source: dict[str, Any]) -> None:
    source["fields"].append({"name": "device", "type": "string"})


def remove_required_field(source: dict[str, Any]) -> None:
    source["fields"].remove(field(source, "ip"))


def rename_field(source: dict[str, Any]) -> None:
    field(source, "ip")["name"] = "address"


def change_type(source: dict[str, Any]) -> None:
    field(source, "success")["type"] = "int"


def change_unit(source: dict[str, Any]) -> None:
    field(source, "time")["type"]["logicalType"] = "timestamp-micros"


def make_optional(source: dict[str, Any]) -> None:
    field(source, "ip").update(type=["null", "string"], default=None)


@pytest.mark.parametrize("change", [add_optional_field, remove_optional_field, reorder_fields, add_service])
def test_a_compatible_change_is_read_both_ways(change: Any, tmp_path: Path) -> None:
    """Old bytes with the new schema, new bytes with the old one: by our rules and by fastavro."""
    old, new = tomorrow("Login", change, tmp_path)

    assert incompatibilities([old, new]) == []
    for writer, reader in permutations((old, new)):
        buffer = io.BytesIO()
        schemaless_writer(buffer, writer.parsed, LOGIN | {"device": "phone"})
        buffer.seek(0)
        value: Any = schemaless_reader(buffer, writer.parsed, reader.parsed)
        assert (value["account"], value["time"], value["service"]) == ("user@example.org", LOGIN["time"], "imap")


@pytest.mark.parametrize(
    "change", [add_required_field, remove_required_field, rename_field, change_type, change_unit, make_optional]
)
def test_an_incompatible_change_is_refused(change: Any, tmp_path: Path) -> None:
    """Whatever would leave old or new processes unable to read is named."""
    assert incompatibilities(tomorrow("Login", change, tmp_path)) != []


def test_a_new_symbol_needs_a_default_for_readers_of_today(tmp_path: Path) -> None:
    """Actions have none: a worker of today could not tell what to do."""

    def add_action(source: dict[str, Any]) -> None:
        field(source, "action")["type"]["symbols"].append("forget")

    found = incompatibilities(tomorrow("AccountCommand", add_action, tmp_path))

    assert found == [
        "AccountCommand.2 cannot read AccountCommand.3: AccountCommand.action may be forget, which the other does not know"
    ]


def test_a_change_deep_inside_is_found(tmp_path: Path) -> None:
    """Nested records, lists, maps and unions are looked into, and the sentence says where."""

    def change(source: dict[str, Any]) -> None:
        networks = field(field(source, "details")["type"], "networks")["type"]["items"]
        field(networks, "city")["type"] = ["null", "bytes"]

    found = incompatibilities(tomorrow("Notification", change, tmp_path))

    assert any("Notification.details.networks.city" in problem for problem in found)


@pytest.mark.parametrize("record", sorted(released()))
@settings(max_examples=25)
@given(data=st.data())
def test_all_versions_read_each_other(record: str, data: st.DataObject) -> None:
    """Values of any version, written with it, are read with any other, whatever the rules above say."""
    for writer in released()[record]:
        value = data.draw(values(writer.source, {}, st.text(st.characters(codec="utf-8"), max_size=5)))
        for reader in released()[record]:
            buffer = io.BytesIO()
            schemaless_writer(buffer, writer.parsed, value)
            buffer.seek(0)
            schemaless_reader(buffer, writer.parsed, reader.parsed)


def test_every_released_version_has_golden_bytes() -> None:
    """A new version brings its own: python -m tests.records.golden adds them."""
    assert set(GOLDEN) == {f"{s.record}.{s.version}" for versions in released().values() for s in versions}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden_bytes_are_read_with_todays_schema(name: str) -> None:
    """Bytes of every released version, written when it was new, mean today what they meant then."""
    record = name.split(".", maxsplit=1)[0]

    value = Codec().decode(record, bytes.fromhex(GOLDEN[name]["bytes"]))

    expected = GOLDEN[name]["value"]
    assert known_then(value, expected) == expected


def known_then(value: Any, expected: Any) -> Any:
    """The value without the fields that later versions added, nested ones too."""
    if isinstance(expected, dict):
        return {name: known_then(value[name], part) for name, part in expected.items()}
    if isinstance(expected, list):
        return [known_then(*pair) for pair in zip(value, expected, strict=True)]
    return value


def test_an_incident_written_before_foreign_senders_has_none() -> None:
    """A mailer of today reads the notifications that a worker of yesterday wrote."""
    old = Codec().decode("Notification", bytes.fromhex(GOLDEN["Notification.1"]["bytes"]))["details"]
    new = Codec().decode("Notification", bytes.fromhex(GOLDEN["Notification.2"]["bytes"]))["details"]

    assert (old["foreign_messages_24h"], old["foreign_senders"]) == (0, [])
    assert (new["foreign_messages_24h"], len(new["foreign_senders"])) == (3, 1)


@settings(max_examples=25)
@given(data=st.data())
def test_a_new_record_is_read_by_a_fleet_that_knows_both_versions(data: st.DataObject, tmp_path_factory: Any) -> None:
    """With both schemas at hand, reading the new one as the old gives the same fields."""
    old, new = tomorrow("Login", add_optional_field, tmp_path_factory.mktemp("schemas"))
    value = data.draw(records("Login"))
    buffer = io.BytesIO()
    schemaless_writer(buffer, new.parsed, value | {"device": None})
    buffer.seek(0)

    assert schemaless_reader(buffer, new.parsed, old.parsed) == value
    assert crc64(new.source) != crc64(old.source)
