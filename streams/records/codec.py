"""
Bytes on a topic to records and back, in the three forms that the first byte tells apart.

`C3 01` is Avro single-object encoding, `00` the Confluent wire format, `{` JSON. Writing uses single-object encoding, or
the Confluent format when there is a registry.
"""

import io
import struct
from typing import Any, cast

from fastavro import schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError

from streams.errors import BadRecordError
from streams.records import login, reasons, schemas
from streams.records.checks import record_check
from streams.records.json_form import from_json, parse_json
from streams.records.limits import OUTSIDE
from streams.records.reasons import shown
from streams.records.registry import Registry
from streams.records.writer import writer

CONFLUENT = struct.Struct(">bI")
"""A zero byte and the registry's id of the writer's schema, big endian."""
FOREIGN_ERRORS = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What fastavro and its datetime conversions raise on bytes or values that do not fit their schema."""


class WholeReads(io.BytesIO):
    """
    Bytes that are read as they are asked for or not at all.

    fastavro skips what only a foreign schema has without a look at what it got: on past the end, for as long as the count
    of a list says, up to 2**62, in C with the interpreter's lock held. Nothing of our own schemas is ever skipped, so they
    are spared this, which takes a third of a read.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """That many bytes. Raises EOFError, or ValueError for fewer than none."""
        if size is None or size < 0:
            raise ValueError("fewer than no bytes")
        found = super().read(size)
        if len(found) != size:
            raise EOFError
        return found


class Codec:
    """Reads all forms; writes with the registry's schema ids if a registry is given, else single objects."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry
        self._by_header = {
            (record, schema.header): schema for record, versions in schemas.released().items() for schema in versions
        }
        self._own = {(record, id(schema.parsed)) for (record, _), schema in self._by_header.items()}
        self._write = {record: writer(versions[-1].parsed) for record, versions in schemas.released().items()}

    def decode(self, record: str, raw: bytes) -> dict[str, Any]:
        """
        The record in these bytes, with every field of today's schema.

        Raises BadRecordError when they are none, RegistryUnavailableError when a schema id is not cached here and the
        registry does not answer: then nothing is known about the bytes, and the caller asks again later.
        """
        if raw[:2] == schemas.SINGLE_OBJECT:
            return self._single_object(record, raw)
        if raw[:1] == b"{":
            return from_json(record, parse_json(raw))
        if raw[:1] == b"\0":
            return self._confluent(record, raw)
        if not raw:
            raise BadRecordError(reasons.EMPTY, f"The value is empty where a {record} is expected")
        raise BadRecordError(
            reasons.UNKNOWN_FORM, f"The value begins with {shown(raw[:8])}: no Avro single object, Confluent or JSON"
        )

    def encode(self, record: str, value: dict[str, Any]) -> bytes:
        """
        The bytes of a record.

        Raises BadRecordError for a value that `decode` would refuse or that its schema does not allow, and
        RegistryUnavailableError when a registry is configured that has not told the schema's id yet and is away.
        """
        schema = schemas.latest(record)
        if record in OUTSIDE:
            value = checked(record, value)
        header = schema.header if self.registry is None else CONFLUENT.pack(0, self.registry.schema_id(schema))
        write = self._write[record]
        try:
            if write is not None:
                return header + write(value)
        except FOREIGN_ERRORS:
            pass  # fastavro takes it, or says what is wrong
        return header + written(record, schema.parsed, value)

    def login(self, raw: bytes) -> login.Login:
        """The fields of a Login that judging needs: time, account, ip, success, service, id. Raises as `decode` does."""
        if raw[:1] == b"{":
            value = parse_json(raw)
            return login.from_value(value) or needed(from_json("Login", value))
        return login.from_single_object(raw) or needed(self.decode("Login", raw))

    def _single_object(self, record: str, raw: bytes) -> dict[str, Any]:
        schema = self._by_header.get((record, raw[: schemas.HEADER_BYTES]))
        if schema is None:
            if len(raw) < schemas.HEADER_BYTES:
                raise BadRecordError(
                    reasons.TRUNCATED, f"The value ends after {len(raw)} bytes, inside its schema's fingerprint"
                )
            fingerprint = raw[2 : schemas.HEADER_BYTES].hex()
            raise BadRecordError(
                reasons.UNKNOWN_SCHEMA, f"Fingerprint {fingerprint} is of no {record} schema that this version knows"
            )
        value = read_avro(record, raw, schemas.HEADER_BYTES, schema.parsed)
        return checked(record, value) if record in OUTSIDE else value

    def _confluent(self, record: str, raw: bytes) -> dict[str, Any]:
        if len(raw) < CONFLUENT.size:
            raise BadRecordError(reasons.TRUNCATED, f"The value ends after {len(raw)} bytes, inside its schema's id")
        schema_id = CONFLUENT.unpack_from(raw)[1]
        if self.registry is None:
            raise BadRecordError(
                reasons.UNKNOWN_SCHEMA, f"Schema id {schema_id} needs a registry, and schema_registry_url is not set"
            )
        writer = self.registry.writer_schema(schema_id)
        stream = io.BytesIO if (record, id(writer)) in self._own else WholeReads
        return checked(record, read_avro(record, raw, CONFLUENT.size, writer, stream))


def needed(record: dict[str, Any]) -> login.Login:
    """The fields of a decoded Login that judging needs."""
    return record["time"], record["account"], record["ip"], record["success"], record["service"], record["id"]


def checked(record: str, value: dict[str, Any]) -> dict[str, Any]:
    """The same record, if its values are inside the limits (and of the right types, after a foreign schema)."""
    return cast("dict[str, Any]", record_check(record, "avro")(value))


def read_avro(
    record: str, raw: bytes, start: int, writer: Any, stream: type[io.BytesIO] = io.BytesIO
) -> dict[str, Any]:
    """Read Avro from `start`, written with any schema, as today's record; a foreign one WholeReads. Raises BadRecordError."""
    buffer = stream(raw)
    buffer.seek(start)
    try:
        value: Any = schemaless_reader(buffer, writer, schemas.latest(record).parsed)
    except (EOFError, SchemaResolutionError, *FOREIGN_ERRORS) as error:
        raise avro_refusal(record, error, buffer.tell(), len(raw)) from error
    if left := len(raw) - buffer.tell():
        raise BadRecordError(reasons.TRAILING_BYTES, f"{left} bytes follow after the end of the {record}")
    return cast("dict[str, Any]", value)


def written(record: str, parsed: Any, value: dict[str, Any]) -> bytes:
    """A record as fastavro writes it. Raises BadRecordError."""
    buffer = io.BytesIO()
    try:
        schemaless_writer(buffer, parsed, value, strict_allow_default=True)
    except FOREIGN_ERRORS as error:
        raise BadRecordError(reasons.UNENCODABLE, f"This is no {record}: {error}") from error
    return buffer.getvalue()


def avro_refusal(record: str, error: Exception, at: int, length: int) -> BadRecordError:
    """One of our reasons for fastavro's many errors. Its own words hold addresses of objects, which differ in each run."""
    if isinstance(error, SchemaResolutionError):
        return BadRecordError(reasons.SCHEMA_MISMATCH, f"Its writer's schema cannot be read as {record}")
    if isinstance(error, UnicodeDecodeError):
        return BadRecordError(reasons.BAD_UTF8, f"The {record} contains text that is not UTF-8: {error.reason}")
    if isinstance(error, EOFError) or (isinstance(error, IndexError) and at >= length):
        return BadRecordError(reasons.TRUNCATED, f"The value ends after {length} bytes, before the {record} does")
    return BadRecordError(
        reasons.BAD_AVRO, f"The {record} is damaged before byte {at} of {length}: {type(error).__name__}"
    )
