"""The Confluent wire format, against a stand-in for the registry (tests/records/registry_stand_in.py says what it is not)."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.errors import BadRecordError, ConfigurationError, RegistryUnavailableError
from streams.records.codec import CONFLUENT, Codec
from streams.records.foreign import contains_itself
from streams.records.registry import Registry, from_settings
from streams.records.schemas import latest, released
from streams.settings import Settings
from tests.records.registry_stand_in import RegistryStandIn
from tests.records.values import LOGIN, records


@pytest.fixture
def stand_in() -> Iterator[RegistryStandIn]:
    with RegistryStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def codec(stand_in: RegistryStandIn) -> Codec:
    return Codec(Registry(stand_in.url))


def foreign(stand_in: RegistryStandIn, schema: dict[str, Any], value: dict[str, Any], **rest: Any) -> bytes:
    """What another program writes: its own schema, registered, and its value."""
    import io

    buffer = io.BytesIO()
    buffer.write(CONFLUENT.pack(0, stand_in.add(json.dumps(schema), **rest)))
    schemaless_writer(buffer, parse_schema(schema), value)
    return buffer.getvalue()


def reason_of(codec: Codec, raw: bytes) -> str:
    with pytest.raises(BadRecordError) as refusal:
        codec.decode("Login", raw)
    return refusal.value.reason


THEIRS: dict[str, Any] = {
    "type": "record",
    "name": "AuthEvent",
    "namespace": "com.provider",
    "fields": [
        {"name": "region", "type": "string"},
        {"name": "account", "type": "string"},
        {"name": "ip", "type": "string"},
        {"name": "success", "type": "boolean"},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
THEIR_LOGIN = {
    "region": "eu",
    "account": "user@example.org",
    "ip": "192.0.2.10",
    "success": True,
    "time": LOGIN["time"],
}


@pytest.mark.parametrize("record", sorted(released()))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_record_survives_the_confluent_form(record: str, codec: Codec, data: st.DataObject) -> None:
    """A zero byte, the id, the body, and back."""
    value = data.draw(records(record))

    raw = codec.encode(record, value)

    assert raw[0] == 0
    assert codec.decode(record, raw) == value


def test_schemas_are_registered_once_under_the_name_of_their_record(stand_in: RegistryStandIn, codec: Codec) -> None:
    """With docs and logical types, as in the file; later records ask nothing."""
    for _ in range(3):
        codec.encode("Login", LOGIN)

    assert stand_in.subjects == {"loginwatch.Login": [1]}
    assert stand_in.schemas[0]["schema"] == latest("Login").text
    assert len(stand_in.questions) == 2


def test_a_registered_schema_is_found_again(stand_in: RegistryStandIn, codec: Codec) -> None:
    """Another process gets the same id, and registers nothing."""
    raw = codec.encode("Login", LOGIN)

    assert Codec(Registry(stand_in.url)).encode("Login", LOGIN) == raw
    assert len(stand_in.schemas) == 1


def test_a_codec_with_a_registry_reads_all_forms(codec: Codec) -> None:
    """The first byte decides, not the settings."""
    assert codec.decode("Login", Codec().encode("Login", LOGIN)) == LOGIN
    assert codec.login(codec.encode("Login", LOGIN))[1] == "user@example.org"


def test_somebody_elses_schema_is_read_by_field_names(stand_in: RegistryStandIn, codec: Codec) -> None:
    """Fields in another order, unknown ones, missing optional ones, an integer for a time."""
    schema = {**THEIRS, "name": "Login"}

    assert codec.decode("Login", foreign(stand_in, schema, THEIR_LOGIN)) == LOGIN | {"service": "other", "id": None}


def test_times_in_other_units_are_converted(stand_in: RegistryStandIn, codec: Codec) -> None:
    """Microseconds are marked as such in the writer's schema."""
    schema = json.loads(json.dumps({**THEIRS, "name": "Login"}).replace("timestamp-millis", "timestamp-micros"))

    raw = foreign(stand_in, schema, {**THEIR_LOGIN, "time": LOGIN["time"] * 1000})

    assert codec.decode("Login", raw)["time"] == LOGIN["time"]


def test_a_schema_without_our_fields_is_refused(stand_in: RegistryStandIn, codec: Codec) -> None:
    """It is somebody's record, but no Login."""
    schema = {**THEIRS, "name": "Login", "fields": THEIRS["fields"][:2]}

    assert reason_of(codec, foreign(stand_in, schema, THEIR_LOGIN)) == "schema-mismatch"


@pytest.mark.parametrize(
    ("schema", "rest"),
    [
        ('{"type": "object"}', {"schemaType": "JSON"}),
        ('"loginwatch.Login"', {"references": [{"name": "a", "subject": "b", "version": 1}]}),
        ("no schema", {}),
        ('{"type": "record", "name": "Login"}', {}),
        ('{"type": "record", "name": "Login", "fields": [{"name": "next", "type": ["null", "Login"]}]}', {}),
        ("5", {}),
    ],
    ids=["JSON schema", "references", "no JSON", "no fields", "contains itself", "a number"],
)
def test_schemas_that_cannot_be_used_are_refused(
    stand_in: RegistryStandIn, codec: Codec, schema: str, rest: Any
) -> None:
    """The registry is asked once, then the answer is known."""
    raw = CONFLUENT.pack(0, stand_in.add(schema, **rest)) + b"\x00"

    assert [reason_of(codec, raw) for _ in range(3)] == ["schema-mismatch"] * 3
    assert len(stand_in.questions) == 1


def test_a_schema_that_contains_itself_is_refused_even_if_it_fits(stand_in: RegistryStandIn, codec: Codec) -> None:
    """A few bytes could nest it deeper than the reader's stack, which would end the process."""
    schema = {**THEIRS, "name": "Login", "fields": [*THEIRS["fields"], {"name": "next", "type": ["null", "Login"]}]}

    assert reason_of(codec, foreign(stand_in, schema, {**THEIR_LOGIN, "next": None})) == "schema-mismatch"


def doubling(depth: int) -> dict[str, Any]:
    """A record of 2**depth parts, each of no bytes."""
    record: dict[str, Any] = {"type": "record", "name": "R0", "fields": [{"name": "a", "type": "null"}]}
    for number in range(1, depth):
        fields = [{"name": "a", "type": record}, {"name": "b", "type": f"R{number - 1}"}]
        record = {"type": "record", "name": f"R{number}", "fields": fields}
    return record


@pytest.mark.parametrize(
    ("more", "rest"),
    [
        ({"type": "array", "items": "null"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"),
        ({"type": "array", "items": {"type": "record", "name": "E", "fields": []}}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, b"\x00"),
        (doubling(45), b""),
    ],
    ids=["nothing", "empty records", "no bytes", "2 to the power of 45 parts"],
)  # fmt: skip
def test_a_schema_of_which_a_few_bytes_could_be_read_for_ever_is_refused(
    stand_in: RegistryStandIn, codec: Codec, more: Any, rest: bytes
) -> None:
    """fastavro would count to 2**62 with the interpreter's lock held: no watchdog, no signal."""
    schema = {**THEIRS, "name": "Login", "fields": [*THEIRS["fields"], {"name": "more", "type": more}]}
    without = foreign(stand_in, {**THEIRS, "name": "Login"}, THEIR_LOGIN)
    raw = CONFLUENT.pack(0, stand_in.add(json.dumps(schema))) + without[CONFLUENT.size :] + rest

    assert reason_of(codec, raw) == "schema-mismatch"


def test_arrays_of_something_are_read(stand_in: RegistryStandIn, codec: Codec) -> None:
    """A foreign schema may have lists, maps and names that stand in several places."""
    entry = {"type": "record", "name": "Entry", "fields": [{"name": "text", "type": "string"}]}
    more = [
        {"name": "tags", "type": {"type": "array", "items": entry}},
        {"name": "map", "type": {"type": "map", "values": "Entry"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a"]}},
    ]
    schema = {**THEIRS, "name": "Login", "fields": [*THEIRS["fields"], *more]}
    value = {**THEIR_LOGIN, "tags": [{"text": "x"}] * 3, "map": {"y": {"text": "z"}}, "kind": "a"}

    assert codec.decode("Login", foreign(stand_in, schema, value))["account"] == LOGIN["account"]


@pytest.mark.parametrize(
    "items",
    ["double", "boolean", {"type": "fixed", "name": "F", "size": 4}, {"type": "fixed", "name": "F", "size": -1}],
    ids=["double", "boolean", "fixed", "fewer than no bytes"],
)
def test_a_count_of_more_than_there_is_ends_where_the_record_does(stand_in: RegistryStandIn, items: Any) -> None:
    """fastavro skips numbers past the end, up to 2**62 of them, with the lock held: asked in a process that can be killed."""
    more = {"name": "more", "type": {"type": "array", "items": items}}
    schema = {**THEIRS, "name": "Login", "fields": [*THEIRS["fields"], more]}
    without = foreign(stand_in, {**THEIRS, "name": "Login"}, THEIR_LOGIN)
    count = b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"  # 2**62
    raw = CONFLUENT.pack(0, stand_in.add(json.dumps(schema))) + without[CONFLUENT.size :] + count
    ask = (
        "import sys; from streams.records.codec import Codec; from streams.records.registry import Registry\n"
        "try: Codec(Registry(sys.argv[1])).decode('Login', bytes.fromhex(sys.argv[2]))\n"
        "except ValueError as error: print(error.reason)"
    )

    command = [sys.executable, "-c", ask, stand_in.url, raw.hex()]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert done.stdout.decode().strip() in ("truncated", "bad-avro"), done.stderr.decode()


@pytest.mark.parametrize("text", ["4cX1-2", "12345678-1234-1234-1234-123456789abc"], ids=["any text", "a real one"])
def test_an_id_marked_as_uuid_is_the_text_that_it_is(stand_in: RegistryStandIn, codec: Codec, text: str) -> None:
    """Avro lets a reader ignore logical types; fastavro would make an object of it, or an error."""
    more = {"name": "id", "type": {"type": "string", "logicalType": "uuid"}}
    schema = {**THEIRS, "name": "Login", "fields": [*THEIRS["fields"], more]}
    plain = {**schema, "fields": [*THEIRS["fields"], {**more, "type": "string"}]}
    value = foreign(stand_in, plain, {**THEIR_LOGIN, "id": text})[CONFLUENT.size :]

    assert codec.decode("Login", CONFLUENT.pack(0, stand_in.add(json.dumps(schema))) + value)["id"] == text


def test_a_decimal_is_not_computed(stand_in: RegistryStandIn, codec: Codec) -> None:
    """The digits of 60,000 bytes took a third of a second; as the bytes that they are they are no account."""
    fields = [{**each, "type": "bytes"} if each["name"] == "account" else each for each in THEIRS["fields"]]
    schema = {**THEIRS, "name": "Login", "fields": fields}
    value = foreign(stand_in, schema, {**THEIR_LOGIN, "account": b"\x7f" * 60_000})[CONFLUENT.size :]
    marked = json.dumps(schema).replace('"bytes"', '{"type": "bytes", "logicalType": "decimal", "precision": 150000}')

    assert reason_of(codec, CONFLUENT.pack(0, stand_in.add(marked)) + value) == "too-long"


def test_an_id_that_no_registry_can_have_is_not_asked_for(stand_in: RegistryStandIn, codec: Codec) -> None:
    """Confluent's registry answers to it as a server that is no registry, and everything would wait for that to end."""
    assert reason_of(codec, b"\x00\xff\xff\xff\xff\x00") == "unknown-schema"
    assert stand_in.questions == []


def test_an_id_that_the_registry_does_not_know_makes_a_bad_record(stand_in: RegistryStandIn, codec: Codec) -> None:
    """It is asked once, not for each record of the kind."""
    raw = CONFLUENT.pack(0, 77) + b"\x00"

    assert [reason_of(codec, raw) for _ in range(3)] == ["unknown-schema"] * 3
    assert stand_in.questions == ["GET /schemas/ids/77"]


def test_a_registry_that_is_down_does_not_stop_cached_schemas(stand_in: RegistryStandIn, codec: Codec) -> None:
    """Known ids go on, in both directions; unknown ones say that the registry is away."""
    raw = codec.encode("Login", LOGIN)
    codec.decode("Login", raw)
    stand_in.stop()
    try:
        assert codec.decode("Login", raw) == LOGIN
        assert codec.encode("Login", LOGIN) == raw
        with pytest.raises(RegistryUnavailableError):
            codec.decode("Login", CONFLUENT.pack(0, 2) + raw[5:])
        with pytest.raises(RegistryUnavailableError):
            codec.encode(
                "Review",
                dict.fromkeys(("id", "incident", "account", "note", "actor"), "x") | {"time": 1, "verdict": "other"},
            )
    finally:
        stand_in.start()

    assert reason_of(codec, CONFLUENT.pack(0, 2) + raw[5:]) == "unknown-schema"


def test_a_registry_that_breaks_is_asked_again(stand_in: RegistryStandIn) -> None:
    """Its errors are no answer: the same record is read when it has recovered."""
    codec = Codec(Registry(stand_in.url))
    raw = codec.encode("Login", LOGIN)
    stand_in.broken = True
    with pytest.raises(RegistryUnavailableError, match="backend data store"):
        codec.decode("Login", raw)
    stand_in.broken = False

    assert codec.decode("Login", raw) == LOGIN


def test_a_patient_registry_waits_for_its_return(stand_in: RegistryStandIn) -> None:
    """It asks again with growing pauses until the answer comes."""
    raw = Codec(Registry(stand_in.url)).encode("Login", LOGIN)
    stand_in.broken = True
    asked = len(stand_in.questions)
    found: list[Any] = []
    reader = threading.Thread(
        target=lambda: found.append(Codec(Registry(stand_in.url, patience_s=60)).decode("Login", raw))
    )
    reader.start()
    while len(stand_in.questions) < asked + 2:
        reader.join(0.01)
    stand_in.broken = False
    reader.join(60)

    assert found == [LOGIN]


def test_a_server_that_is_no_registry_is_not_believed(stand_in: RegistryStandIn) -> None:
    """A plain 404 of a wrong address must not send records to dead letters."""
    codec = Codec(Registry(f"{stand_in.url}/wrong/path"))

    with pytest.raises(RegistryUnavailableError, match="schema_registry_url"):
        codec.decode("Login", CONFLUENT.pack(0, 1) + b"\x00")


def test_a_registry_that_refuses_our_schema_is_a_matter_of_configuration(
    stand_in: RegistryStandIn, codec: Codec
) -> None:
    """Waiting does not help; the operator has to look."""
    stand_in.refuses = True

    with pytest.raises(ConfigurationError, match="incompatible"):
        codec.encode("Login", LOGIN)


def test_without_a_url_there_is_no_registry() -> None:
    """Single-object encoding is the default."""
    assert from_settings(Settings()) is None


def test_the_registry_of_the_settings_is_asked(stand_in: RegistryStandIn) -> None:
    """Address and user come from the settings; the password is in no text."""
    registry = from_settings(
        Settings(schema_registry_url=stand_in.url, schema_registry_username="u", schema_registry_password="p")
    )

    assert registry is not None
    assert registry.schema_id(latest("Login")) == 1
    assert "p" not in vars(registry)


def test_an_address_that_is_none_is_a_matter_of_configuration() -> None:
    """Found at start, not with the first record."""
    with pytest.raises(ConfigurationError, match="schema_registry_url"):
        Registry("registry:8081")


def test_none_of_our_own_schemas_contains_itself() -> None:
    """Or no other program could send them."""
    assert not any(contains_itself(schema.source, ()) for versions in released().values() for schema in versions)
