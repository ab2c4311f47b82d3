"""The fast readers of a Login answer exactly what the general path answers, only sooner."""

import io
from typing import Any

import orjson
import pytest
from fastavro import schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from streams.errors import BadRecordError
from streams.records import login
from streams.records.codec import Codec
from streams.records.schemas import latest
from tests.records.values import LOGIN

CODEC = Codec()
SCHEMA = latest("Login")
FIELDS = ("time", "account", "ip", "success", "service", "id")

PLAIN = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=70)
ODD_TEXTS = [
    "",
    "x" * 63,
    "x" * 64,
    "x" * 1024,
    "x" * 1025,
    "ü" * 32,
    "ü" * 600,
    "x" * 9000,
    "a\x00",
    "a\n",
    "a\x7f",
    "a\x85",
    "a\u2028",
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=80) | st.sampled_from(ODD_TEXTS)
TIMES = (
    st.integers(0, 2**41)
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, -1, 8191, 8192, 2**34 - 1, 2**34, 2**41 - 1, 2**41, 253_402_300_799_999, 253_402_300_800_000])
    | st.integers(-(2**41), -(2**34))
)
PLAIN_LOGINS = st.fixed_dictionaries(
    {
        "time": st.integers(1_700_000_000_000, 1_800_000_000_000),
        "account": PLAIN,
        "ip": PLAIN,
        "success": st.booleans(),
        "service": st.sampled_from(["imap", "pop3", "smtp", "http", "sieve", "other"]),
        **dict.fromkeys(("id", "session", "server", "client", "failure"), st.none() | PLAIN),
    }
)
ODD_FIELDS = st.sampled_from([name for name in LOGIN if name not in ("time", "success", "service")]).flatmap(
    lambda name: st.fixed_dictionaries({name: TEXTS})
) | st.fixed_dictionaries({"time": TIMES})
LOGINS = st.builds(lambda plain, odd: plain | odd, PLAIN_LOGINS, st.just({}) | ODD_FIELDS)
"""Ordinary logins, most with one field that is unusual: with more, hardly any would come near the fast path."""

ODD_TIMES = [
    "2026-01-05T09:00:00Z",
    "2026-01-05T09:00:59.123Z",
    "2026-01-05T09:00:60Z",
    "2026-01-05T09:00:61Z",
    "2026-01-05T09:00:00.1Z",
    "2026-01-05T09:00:00.+12Z",
    "2026-01-05T09:00:00.\u0661\u0662\u0663Z",
    "2026-01-05T09:00:00+01:00",
    "2026-01-05T09:00:00",
    "2026-01-05T09:00",
    "2026-01-05T25:00:00Z",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999Z",
    "",
]
ANYTHING = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXTS | st.just([]) | st.just({})
)


def avro(value: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    buffer.write(SCHEMA.header)
    schemaless_writer(buffer, SCHEMA.parsed, value)
    return buffer.getvalue()


def by_the_general_path(raw: bytes) -> tuple[Any, ...]:
    """The needed fields, or the refusal."""
    try:
        value = CODEC.decode("Login", raw)
    except BadRecordError as refusal:
        return refusal.reason, str(refusal)
    return tuple(value[field] for field in FIELDS)


def by_the_fast_path(raw: bytes) -> tuple[Any, ...]:
    try:
        return CODEC.login(raw)
    except BadRecordError as refusal:
        return refusal.reason, str(refusal)


def same(raw: bytes) -> None:
    """Same answer, and of the same types: True is not 1."""
    general, fast = by_the_general_path(raw), by_the_fast_path(raw)

    assert fast == general
    assert [type(part) for part in fast] == [type(part) for part in general]


@given(value=LOGINS)
def test_avro_logins_are_read_alike(value: dict[str, Any]) -> None:
    """Any values that the schema allows, inside the limits and beyond."""
    same(avro(value))


@given(value=PLAIN_LOGINS, at=st.integers(10, 30) | st.integers(0, 200), byte=st.integers(0, 255))
def test_damaged_avro_logins_are_read_alike(value: dict[str, Any], at: int, byte: int) -> None:
    """One byte is another one, at any place: lengths, marks, header, text."""
    raw = bytearray(avro(value))
    raw[at % len(raw)] = byte

    same(bytes(raw))


@given(value=PLAIN_LOGINS, cut=st.integers(0, 3) | st.integers(0, 200), more=st.binary(max_size=3))
def test_cut_and_lengthened_avro_logins_are_read_alike(value: dict[str, Any], cut: int, more: bytes) -> None:
    """Truncated bytes and bytes that go on."""
    raw = avro(value)

    same(raw[: max(0, len(raw) - cut)] + more)


@given(body=st.binary(max_size=60))
@example(body=b"\xff" * 5 + b"\x01")
@example(body=b"\x80\x80\x80\x80\x80\x00\x02a\x02b\x01\x00\x00\x00\x00\x00\x00")
@example(body=b"\x80\x80\x80\x80\x80\x62\x02a\x02b\x02\x00\x00\x00\x00\x00\x00")
@example(body=b"\x80\x80\x80\x80\x80\x62\x02a\x02b\x01\x01\x00\x00\x00\x00\x00")
@example(body=b"\x80\x80\x80\x80\x80\x62\x02a\x02b\x01\x00\x01\x02c\x00\x00\x00\x00")
@example(body=b"\x80\x80\x80\x80\x80\x62\x02a\x02b\x01\x00\x02\x81\x00\x00\x00\x00\x00")
@example(body=b"\x80\x80\x80\x80\x80\x62\x02a\x02b\x01\x00\x02\x82\x00c\x00\x00\x00\x00")
def test_random_bodies_are_read_alike(body: bytes) -> None:
    """Nothing but a good header."""
    same(SCHEMA.header + body)


@given(value=LOGINS)
def test_json_logins_are_read_alike(value: dict[str, Any]) -> None:
    """Any texts and times."""
    same(orjson.dumps(value))


@pytest.mark.parametrize("time", ODD_TIMES)
def test_json_times_are_read_alike(time: str) -> None:
    """Times in all spellings, twice, because the first one may fill a cache."""
    for _ in range(2):
        same(orjson.dumps(LOGIN | {"time": time}))


@pytest.mark.parametrize("text", ODD_TEXTS, ids=lambda text: ascii(text)[:12])
@pytest.mark.parametrize("field", ["account", "ip", "id", "session", "server", "client", "failure"])
def test_odd_texts_are_read_alike(field: str, text: str) -> None:
    """At the limits of length and of what is printable, in both forms."""
    same(avro(LOGIN | {field: text}))
    same(orjson.dumps(LOGIN | {field: text}))


@pytest.mark.parametrize("at", range(26))
@pytest.mark.parametrize("byte", [0, 1, 2, 63, 127, 128, 129, 254, 255])
def test_any_odd_byte_at_the_start_is_read_alike(at: int, byte: int) -> None:
    """Header, time and first length, whose bits say whether more bytes follow."""
    raw = bytearray(avro(LOGIN))
    raw[at] = byte

    same(bytes(raw))


@pytest.mark.parametrize("field", LOGIN)
@given(anything=ANYTHING)
@example(anything=True)
@example(anything=-1)
@example(anything=253_402_300_800_000)
def test_one_odd_json_field_is_read_alike(field: str, anything: Any) -> None:
    """A wrong type in one field, all others in order."""
    same(orjson.dumps(LOGIN | {field: anything}))


@given(
    changes=st.dictionaries(st.sampled_from([*LOGIN, "unknown", "more"]), ANYTHING),
    left_out=st.sets(st.sampled_from(list(LOGIN))),
)
def test_odd_json_logins_are_read_alike(changes: dict[str, Any], left_out: set[str]) -> None:
    """Wrong types anywhere, missing fields, unknown ones."""
    value = {name: member for name, member in (LOGIN | changes).items() if name not in left_out}

    same(orjson.dumps(value))


@pytest.mark.parametrize(
    "raw", [b"{", b"{}", b"[]", b'{"time": NaN}', b"", b"\x00\x00\x00\x00\x01", b'{"a": "\\ud800"}']
)
def test_no_login_at_all_is_refused_alike(raw: bytes) -> None:
    """The general path finds the words."""
    same(raw)


@pytest.mark.parametrize("text", ["x" * 20, "x" * 63, "x" * 64, "x" * 1024])
@pytest.mark.parametrize("field", ["id", "session", "client"])
def test_ordinary_logins_take_the_fast_path(field: str, text: str) -> None:
    """A reader that always fell back would be right, and slow."""
    value = LOGIN | {field: text}

    assert login.from_single_object(avro(value)) == tuple(value[name] for name in FIELDS)
    assert login.from_value(value) == tuple(value[name] for name in FIELDS)


def test_rfc_3339_takes_the_fast_path() -> None:
    """With and without milliseconds."""
    found = [login.from_value(LOGIN | {"time": f"2026-01-05T09:00:07{rest}"}) for rest in ("Z", ".250Z")]

    assert [value and value[0] for value in found] == [1_767_603_607_000, 1_767_603_607_250]


def test_the_fast_path_knows_the_latest_version() -> None:
    """A new version of Login needs a new reader, or all logins become slow."""
    assert SCHEMA.version == login.VERSION


def test_caches_of_times_are_bounded() -> None:
    """A stream of logins from all over the calendar must not fill the memory."""
    for step in range(login.CACHED_TIMES * 2):
        login.from_single_object(avro(LOGIN | {"time": LOGIN["time"] + step * 60_000}))
        login.from_value(LOGIN | {"time": f"20{step % 100:02}-01-{step % 28 + 1:02}T{step % 24:02}:{step % 60:02}:00Z"})

    assert 0 < len(login._high_parts) <= login.CACHED_TIMES
    assert 0 < len(login._minutes) <= login.CACHED_TIMES
