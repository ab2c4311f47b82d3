"""Bytes and records: forms by their first byte, round trips, and every kind of garbage."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastavro import schemaless_writer
from hypothesis import example as explicit_example
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import BadRecordError
from streams.records import schemas
from streams.records.checks import record_check
from streams.records.codec import Codec
from streams.records.json_form import to_json
from streams.records.reasons import REASONS
from streams.records.schemas import latest, released
from tests.records.golden import example
from tests.records.values import LOGIN, records

RECORDS = sorted(released())
CODEC = Codec()
ENCODED = CODEC.encode("Login", LOGIN)
BODY = ENCODED[10:]


def reason_of(raw: bytes, record: str = "Login") -> str:
    with pytest.raises(BadRecordError) as refusal:
        CODEC.decode(record, raw)
    assert refusal.value.reason in REASONS
    return refusal.value.reason


def outcome(record: str, raw: bytes) -> str:
    """What becomes of these bytes: read, or the reason why not."""
    try:
        CODEC.decode(record, raw)
    except BadRecordError as refusal:
        return refusal.reason
    return "read"


def avro(value: dict[str, Any], record: str = "Login") -> bytes:
    """Bytes of a value that `encode` would refuse."""
    buffer = io.BytesIO()
    buffer.write(latest(record).header)
    schemaless_writer(buffer, latest(record).parsed, value)
    return buffer.getvalue()


@pytest.mark.parametrize("record", RECORDS)
@settings(max_examples=25)
@given(data=st.data())
def test_every_record_survives_avro(record: str, data: st.DataObject) -> None:
    """Single-object encoding begins with the schema's header and gives back the same record."""
    value = data.draw(records(record))

    raw = CODEC.encode(record, value)

    assert raw.startswith(latest(record).header)
    assert CODEC.decode(record, raw) == value


@pytest.mark.parametrize("record", RECORDS)
@settings(max_examples=25)
@given(data=st.data())
def test_every_record_survives_json_bytes(record: str, data: st.DataObject) -> None:
    """JSON bytes of the same field names give the same record."""
    value = data.draw(records(record))

    assert CODEC.decode(record, orjson.dumps(to_json(record, value))) == value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"\xc3", "unknown-form"),
        (b"\xc3\x02" + ENCODED[2:], "unknown-form"),
        (b"[1]", "unknown-form"),
        (b' {"a":1}', "unknown-form"),
        (b"\xef\xbb\xbf{}", "unknown-form"),
        (b"Obj\x01", "unknown-form"),
        (b"\xc3\x01", "truncated"),
        (ENCODED[:9], "truncated"),
        (b"\xc3\x01" + bytes(8) + BODY, "unknown-schema"),
        (latest("Submission").header + BODY, "unknown-schema"),
        (b"\x00", "truncated"),
        (b"\x00\x00\x00\x00", "truncated"),
        (b"\x00\x00\x00\x00\x01" + BODY, "unknown-schema"),
        (ENCODED + b"\x00", "trailing-bytes"),
        (ENCODED + ENCODED, "trailing-bytes"),
        (b"{", "bad-json"),
        (b"{}", "missing-field"),
    ],
)
def test_garbage_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    """The first byte decides the form; what does not follow it is refused."""
    assert reason_of(raw) == reason


@pytest.mark.parametrize("record", RECORDS)
def test_every_truncation_is_refused(record: str) -> None:
    """No prefix of a record is a record."""
    raw = CODEC.encode(record, example(latest(record).source, {}))

    reasons = {reason_of(raw[:length], record) for length in range(2, len(raw))}

    assert reasons == {"truncated"}


@given(raw=st.binary(max_size=200))
@explicit_example(raw=BODY[:6] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f")
@explicit_example(raw=BODY[:6] + b"\x01" + BODY[7:])
@explicit_example(raw=b"\xff" * 200)
def test_random_bytes_after_a_good_header_are_a_record_or_refused(raw: bytes) -> None:
    """Lengths beyond the bytes, negative ones, endless numbers: never another exception."""
    for record in RECORDS:
        assert outcome(record, latest(record).header + raw) in {"read", *REASONS}


@given(raw=st.binary(max_size=60))
def test_random_bytes_are_refused(raw: bytes) -> None:
    """Without a header there is nothing to believe."""
    assert reason_of(raw) in REASONS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": -1}, "time-out-of-range"),
        ({"time": 253_402_300_800_000}, "time-out-of-range"),
        ({"account": "x" * 1025}, "too-long"),
        ({"account": "a\x00b"}, "control-character"),
        ({"client": "a\x1bb"}, "control-character"),
    ],
)
def test_the_limits_hold_for_avro_too(change: dict[str, Any], reason: str) -> None:
    """What JSON may not say, Avro may not say, and we do not write."""
    assert reason_of(avro(LOGIN | change)) == reason
    with pytest.raises(BadRecordError) as refusal:
        CODEC.encode("Login", LOGIN | change)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"user@", b"us\xff\xfe@", "bad-utf8"),
        (b"user@", b"u\xed\xa0\x80@", "bad-utf8"),
        (b"\x01\x00\x02\x04a1", b"\x01\x7e\x02\x04a1", "bad-avro"),
    ],
    ids=["no UTF-8", "half of a surrogate pair", "no such service"],
)
def test_damaged_avro_is_refused(old: bytes, new: bytes, reason: str) -> None:
    """Text that is not UTF-8, a number that is no symbol."""
    assert old in ENCODED

    assert reason_of(ENCODED.replace(old, new)) == reason


def test_a_refusal_reads_the_same_in_every_run() -> None:
    """Dead letters are compared byte by byte, so no sentence may hold an address in memory."""
    for length in range(len(ENCODED)):
        with pytest.raises(BadRecordError) as refusal:
            CODEC.decode("Login", ENCODED[:length])
        assert "0x" not in str(refusal.value)


@pytest.mark.parametrize(
    ("record", "change"),
    [
        ("Login", {"success": "no"}),
        ("Login", {"success": 1}),
        ("Login", {"time": 1.5}),
        ("Login", {"service": "nntp"}),
        ("Login", {"account": "\ud800"}),
        ("Block", {"id": 5}),
        ("Block", {"state": "shut"}),
        ("Block", {"until": 2**70}),
        ("Block", {"reason": "\ud800"}),
        ("Block", {"untl": 5}),
        ("Block", {"except_networks": 5}),
        ("DeadLetter", {"raw": "text"}),
    ],
)
def test_a_value_that_is_no_record_is_not_written(record: str, change: dict[str, Any]) -> None:
    """A mistake of our own is found where it is made, not by the reader."""
    with pytest.raises(BadRecordError):
        CODEC.encode(record, example(latest(record).source, {}) | change)


def test_a_missing_field_is_not_written() -> None:
    """Fields without a default must be there."""
    with pytest.raises(BadRecordError):
        CODEC.encode("Block", {"id": "x"})


def test_fields_with_defaults_may_be_left_out_on_writing() -> None:
    """They are written as their defaults."""
    short = {name: LOGIN[name] for name in ("time", "account", "ip", "success")}

    assert CODEC.decode("Login", CODEC.encode("Login", short)) == LOGIN | {"service": "other", "id": None}


@pytest.fixture
def tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The schemas with a version 2 of Domain, which has a note."""
    directory = shutil.copytree(schemas.folder(), tmp_path / "schemas")
    source = dict(latest("Domain").source)
    source["fields"] = [*source["fields"], {"name": "note", "type": ["null", "string"], "default": None}]
    (directory / "Domain.2.avsc").write_text(json.dumps(source))
    with monkeypatch.context() as patch:
        patch.setattr(schemas, "folder", lambda: directory)
        forget()
        yield
    forget()


def forget() -> None:
    """Let the files be read again."""
    schemas.released.cache_clear()
    record_check.cache_clear()


@pytest.mark.usefixtures("tomorrow")
def test_the_codec_of_tomorrow_reads_todays_bytes_and_json() -> None:
    """All versions are known as writers' schemas; the field that they lack gets its default."""
    today = schemas.version("Domain", 1)
    raw = today.header + b"\x16example.org\x00"

    assert Codec().decode("Domain", raw) == {"domain": "example.org", "group": None, "note": None}
    assert Codec().decode("Domain", b'{"domain": "example.org"}')["note"] is None


@pytest.mark.usefixtures("tomorrow")
def test_the_codec_of_tomorrow_writes_the_new_version() -> None:
    """The highest version is what is written."""
    raw = Codec().encode("Domain", {"domain": "example.org", "group": None, "note": "new"})

    assert raw.startswith(schemas.version("Domain", 2).header)
    assert Codec().decode("Domain", raw)["note"] == "new"
