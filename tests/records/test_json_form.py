"""The JSON form, field by field: what is taken, what is refused and with which words."""

from contextlib import suppress
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import BadRecordError
from streams.records.codec import Codec
from streams.records.json_form import from_json, parse_json, to_json
from streams.records.limits import OUTSIDE
from streams.records.schemas import latest, released
from tests.records.golden import example
from tests.records.values import LOGIN, records

RECORDS = sorted(released())
GARBAGE: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    "",
    "x" * 100_000,
    "a\x00b",
    "\ud800",
    [],
    [None],
    {},
    {"a": 1},
    b"b",
]


def refusal_of(record: str, value: Any) -> tuple[str, str]:
    with pytest.raises(BadRecordError) as refusal:
        from_json(record, value)
    return refusal.value.reason, str(refusal.value)


def outcome(record: str, value: Any) -> str:
    """Why a value is refused, or "taken"."""
    try:
        from_json(record, value)
    except BadRecordError as refusal:
        return str(refusal)
    return "taken"


def valid(record: str) -> dict[str, Any]:
    """An ordinary value of a record in its JSON form."""
    return to_json(record, example(latest(record).source, {}))


@pytest.mark.parametrize("record", RECORDS)
@settings(max_examples=25)
@given(data=st.data())
def test_every_record_survives_json(record: str, data: st.DataObject) -> None:
    """Written, printed by orjson, parsed and read: the same record."""
    value = data.draw(records(record))

    assert from_json(record, parse_json(orjson.dumps(to_json(record, value)))) == value


@pytest.mark.parametrize("record", RECORDS)
def test_each_missing_field_gets_its_default_or_a_refusal(record: str) -> None:
    """Optional fields may be left out; the others are named in the sentence."""
    for field in latest(record).source["fields"]:
        value = valid(record)
        del value[field["name"]]

        if "default" in field:
            assert from_json(record, value)[field["name"]] == field["default"]
        else:
            assert refusal_of(record, value) == ("missing-field", f"{record}.{field['name']} is missing")


@pytest.mark.parametrize("record", RECORDS)
def test_null_stands_only_where_the_schema_allows_it(record: str) -> None:
    """Null in a required field is another mistake than leaving it out, and has its own reason."""
    for field in latest(record).source["fields"]:
        value = valid(record) | {field["name"]: None}

        if isinstance(field["type"], list):
            assert from_json(record, value)[field["name"]] is None
        else:
            assert refusal_of(record, value)[0] == "null-field"


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: ascii(garbage)[:20])
@pytest.mark.parametrize("record", RECORDS)
def test_garbage_in_any_field_is_taken_or_refused_with_its_name(record: str, garbage: Any) -> None:
    """No other exception, whatever stands where; a refusal names the field."""
    for field in latest(record).source["fields"]:
        sentence = outcome(record, valid(record) | {field["name"]: garbage})

        assert sentence == "taken" or f"{record}.{field['name']}" in sentence
        assert len(sentence) < 500


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("time", True, "wrong-type"),
        ("time", 1.5, "wrong-type"),
        ("time", float("nan"), "wrong-type"),
        ("time", float("inf"), "out-of-range"),
        ("time", 1e30, "out-of-range"),
        ("time", 2**63, "out-of-range"),
        ("time", -1, "time-out-of-range"),
        ("time", 1_767_600_000_000_000, "time-out-of-range"),
        ("time", "1969-12-31T23:59:59Z", "time-out-of-range"),
        ("time", "2026-01-05T09:00:00", "bad-time"),
        ("time", "yesterday", "bad-time"),
        ("time", [1], "wrong-type"),
        ("account", 5, "wrong-type"),
        ("account", "x" * 1025, "too-long"),
        ("account", "user\r\n@example.org", "control-character"),
        ("account", "user\x7f@example.org", "control-character"),
        ("account", "user\x85@example.org", "control-character"),
        ("account", "user\ud83d@example.org", "bad-utf8"),
        ("ip", ["192.0.2.1"], "wrong-type"),
        ("success", 1, "wrong-type"),
        ("success", "true", "wrong-type"),
        ("service", None, "null-field"),
        ("service", 4, "wrong-type"),
        ("service", "x" * 1025, "too-long"),
        ("id", 17, "wrong-type"),
        ("client", {"name": "Thunderbird"}, "wrong-type"),
    ],
)
def test_a_login_with_a_bad_field_is_refused(field: str, value: Any, reason: str) -> None:
    """Each mistake has its reason, and the sentence begins with the field."""
    found, sentence = refusal_of("Login", LOGIN | {field: value})

    assert found == reason
    assert sentence.startswith(f"Login.{field}")


@pytest.mark.parametrize(
    ("record", "field", "value", "reason"),
    [
        ("AccountCommand", "action", "explode", "unknown-symbol"),
        ("AccountCommand", "minutes", 2**31, "out-of-range"),
        ("AccountCommand", "minutes", False, "wrong-type"),
        ("Policy", "mode", "Enforce", "unknown-symbol"),
        ("Policy", "allowed_ips", -(2**31) - 1, "out-of-range"),
        ("Policy", "notify", "soc@example.org", "wrong-type"),
        ("Policy", "notify", ["soc@example.org", None], "null-field"),
        ("Policy", "notify", ["soc@example.org"] * 1001, "too-long"),
        ("Policy", "notify", ["a\nb@example.org"], "control-character"),
        ("Submission", "recipients", -1, "out-of-range"),
        ("Submission", "size", -1, "out-of-range"),
        ("Review", "verdict", "", "unknown-symbol"),
        ("Review", "note", "x" * 10_001, "too-long"),
        ("Review", "note", "bell \x07", "control-character"),
        ("SafeNetwork", "expires", -5, "time-out-of-range"),
        ("DeadLetter", "raw", "AAAA!", "bad-base64"),
        ("DeadLetter", "raw", "AAA", "bad-base64"),
        ("DeadLetter", "raw", "äöü", "bad-base64"),
        ("Incident", "networks", [{"network": "192.0.2.1/32"}], "missing-field"),
        ("Incident", "networks", {"network": "192.0.2.1/32"}, "wrong-type"),
        ("Incident", "policy", {}, "missing-field"),
        ("AccountView", "policy", 5, "wrong-type"),
    ],
)
def test_bad_fields_of_other_records_are_refused(record: str, field: str, value: Any, reason: str) -> None:
    """The same rules everywhere, from the schema and the limits."""
    assert refusal_of(record, valid(record) | {field: value})[0] == reason


def test_nested_fields_are_named_by_their_path() -> None:
    """The sentence leads to the place."""
    value = valid("Incident")
    value["networks"][0]["latitude"] = float("nan")

    assert refusal_of("Incident", value)[1].startswith("Incident.networks.latitude")


def test_an_unknown_service_is_another_one() -> None:
    """A provider's own protocol must not cost the login."""
    assert from_json("Login", LOGIN | {"service": "managesieve"})["service"] == "other"


def test_unknown_fields_are_left_out() -> None:
    """Providers send what they have; Avro readers skip unknown fields too."""
    assert from_json("Login", LOGIN | {"region": "eu", "nested": {"a": [1]}}) == LOGIN


def test_a_repeated_field_counts_as_its_last() -> None:
    """As in every JSON reader that does not refuse it."""
    text = orjson.dumps(LOGIN)[:-1] + b',"ip":"198.51.100.7"}'

    assert from_json("Login", parse_json(text))["ip"] == "198.51.100.7"


def test_a_note_may_have_lines() -> None:
    """People write reviews in a text box."""
    note = "Called the owner.\r\n\tIt was not her."

    assert from_json("Review", valid("Review") | {"note": note})["note"] == note


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "bad-json"),
        (b'{"time": NaN}', "bad-json"),
        (b'{"time": Infinity}', "bad-json"),
        (b'{"a": 1} {"b": 2}', "bad-json"),
        (b'{"a":' * 5000, "bad-json"),
        (b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}", "bad-json"),
        (b'{"account": "\xff\xfe"}', "bad-utf8"),
        (b'{"account": "\xed\xa0\x80"}', "bad-utf8"),
        (b'{"account": "\\ud800"}', "bad-utf8"),
        (b"{'a': 1}", "bad-json"),
    ],
)
def test_broken_json_is_refused(raw: bytes, reason: str) -> None:
    """Broken text is told apart from broken JSON."""
    with pytest.raises(BadRecordError) as refusal:
        parse_json(raw)

    assert refusal.value.reason == reason


@pytest.mark.parametrize("value", [None, 5, "text", [LOGIN]])
def test_a_value_that_is_no_object_is_refused(value: Any) -> None:
    """The sentence says what it is instead."""
    assert refusal_of("Login", value)[0] in {"wrong-type", "null-field"}


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
@pytest.mark.parametrize("field", ["time", "account", "ip", "success", "service", "id", "something"])
def test_a_field_may_be_nested_as_deep_as_json_may(field: str, begin: str, end: str) -> None:
    """Every depth that the parser takes is refused in a sentence; deeper than Python can print it ended the worker."""
    text = orjson.dumps({**to_json("Login", LOGIN), field: "HERE"}).decode()
    taken = set()
    for depth in range(980, 1026):
        raw = text.replace('"HERE"', begin * depth + ("" if begin == "[" else "1") + end * depth).encode()
        for read in (Codec().login, partial(Codec().decode, "Login")):
            with suppress(BadRecordError):
                read(raw)
                taken.add(depth)
    assert bool(taken) == (field == "something")


def test_limits_are_for_records_from_outside_only() -> None:
    """Our own records may hold long texts; only their types are checked."""
    assert "Incident" not in OUTSIDE

    assert len(from_json("Incident", valid("Incident") | {"summary": "x" * 5000})["summary"]) == 5000


def test_written_json_has_all_fields_in_the_order_of_the_schema() -> None:
    """So that golden files can be compared byte by byte."""
    assert list(to_json("Login", dict(reversed(LOGIN.items())))) == list(LOGIN)
