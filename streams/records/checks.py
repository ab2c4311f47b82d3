"""
Checks of one record's value against its schema, strict about types, each refusal with the field's name and what it got.

A check is a function from a value to the value to go on with; it is built once per record and form by walking the schema.
The forms differ in three things: JSON has bytes as base64 and times as RFC 3339 text too, and turns an unknown symbol
into the default of its enum, if there is one, as Avro's own schema resolution does.
"""

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Literal

from streams.errors import BadRecordError
from streams.records import reasons, schemas
from streams.records.limits import (
    INT_RANGE,
    LIST_MEMBERS,
    LONG_RANGE,
    NUMBER_RANGES,
    OUTSIDE,
    check_number,
    check_text,
)
from streams.records.reasons import shown
from streams.records.times import check_range, epoch_ms, parse_rfc3339

Check = Callable[[Any], Any]
Form = Literal["json", "avro"]
MISSING: Any = object()
JSON_NAMES = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}


@cache
def record_check(record: str, form: Form) -> Check:
    """The check of a whole record of today's version, in this form."""
    return Builder(record in OUTSIDE, form).check(schemas.latest(record).source, record)


def wrong_type(field: str, wanted: str, value: Any) -> BadRecordError:
    """The refusal of a value of another type than the field's."""
    if value is None:
        return BadRecordError(reasons.NULL_FIELD, f"{field} is null, but must be {wanted}")
    found = JSON_NAMES.get(type(value), f"of type {type(value).__name__}")
    return BadRecordError(reasons.WRONG_TYPE, f"{field} must be {wanted}, but is {found}: {shown(value)}")


class Builder:
    """Builds checks from schemas; remembers the named types it has met, as Avro names them later on."""

    def __init__(self, outside: bool, form: Form) -> None:
        self.outside = outside
        self.form = form
        self.named: dict[str, Mapping[str, Any]] = {}

    def check(self, schema: Any, field: str) -> Check:
        """The check of one type, `field` being where it stands, such as `Policy.notify`."""
        if isinstance(schema, str):
            if schema in self.named:
                return self.check(self.named[schema], field)
            return self.primitive(schema, field)
        if isinstance(schema, list):
            inner = self.check(next(member for member in schema if member != "null"), field)
            return lambda value: None if value is None else inner(value)
        if "name" in schema:
            self.named[schema["name"]] = schema
        if schema.get("logicalType") == schemas.MILLISECONDS:
            return self.time(field)
        build = {"record": self.record, "enum": self.enum, "array": self.array, "map": self.map}
        return build[schema["type"]](schema, field)

    def primitive(self, kind: str, field: str) -> Check:
        """The check of one of Avro's primitive types."""
        if kind == "string":
            return self.text(field)
        if kind in ("int", "long"):
            return self.number(field, INT_RANGE if kind == "int" else LONG_RANGE)
        return {"boolean": boolean, "double": double, "bytes": base64_bytes if self.form == "json" else raw_bytes}[
            kind
        ](field)

    def text(self, field: str) -> Check:
        """Text, inside the limits if it comes from outside."""

        def check(value: Any) -> Any:
            if type(value) is not str:
                raise wrong_type(field, "text", value)
            return check_text(value, field) if self.outside else value

        return check

    def number(self, field: str, bounds: tuple[int, int]) -> Check:
        """A whole number; true and false are none, though Python says so."""
        bounds = NUMBER_RANGES.get(field, bounds)

        def check(value: Any) -> Any:
            if type(value) is not int:
                raise no_integer(field, value)
            return check_number(value, field, bounds)

        return check

    def time(self, field: str) -> Check:
        """Milliseconds since the epoch; RFC 3339 in JSON; a moment where a foreign Avro schema has other units."""

        def check(value: Any) -> Any:
            if type(value) is str and self.form == "json":
                value = located(field, parse_rfc3339, value)
            elif isinstance(value, datetime) and value.tzinfo is not None:
                value = epoch_ms(value)
            if type(value) is not int:
                raise no_integer(field, value)
            check_number(value, field, LONG_RANGE)
            return located(field, check_range, value) if self.outside else value

        return check

    def enum(self, schema: Mapping[str, Any], field: str) -> Check:
        """One of the symbols."""
        symbols = frozenset(schema["symbols"])
        default = schema.get("default") if self.form == "json" else None

        def check(value: Any) -> Any:
            if type(value) is not str:
                raise wrong_type(field, "text", value)
            if value in symbols:
                return value
            if default is None:
                known = ", ".join(schema["symbols"])
                raise BadRecordError(reasons.UNKNOWN_SYMBOL, f"{field} is {shown(value)}, but must be one of {known}")
            check_text(value, field)
            return default

        return check

    def array(self, schema: Mapping[str, Any], field: str) -> Check:
        """A list of members that are all alike."""
        inner = self.check(schema["items"], field)

        def check(value: Any) -> Any:
            if not isinstance(value, list | tuple):
                raise wrong_type(field, "a list", value)
            if self.outside and len(value) > LIST_MEMBERS:
                raise BadRecordError(reasons.TOO_LONG, f"{field} has {len(value)} members, more than {LIST_MEMBERS}")
            return [inner(member) for member in value]

        return check

    def map(self, schema: Mapping[str, Any], field: str) -> Check:
        """An object with any names."""
        inner = self.check(schema["values"], field)
        name = self.text(field)

        def check(value: Any) -> Any:
            if type(value) is not dict:
                raise wrong_type(field, "an object", value)
            return {name(key): inner(member) for key, member in value.items()}

        return check

    def record(self, schema: Mapping[str, Any], path: str) -> Check:
        """An object with the schema's fields: absent ones get their default, unknown ones are left out."""
        fields = [
            (field["name"], self.check(field["type"], f"{path}.{field['name']}"), field.get("default", MISSING))
            for field in schema["fields"]
        ]

        def check(value: Any) -> Any:
            if type(value) is not dict:
                raise wrong_type(path, "an object", value)
            record = {}
            for name, inner, default in fields:
                found = value.get(name, default)
                if found is MISSING:
                    raise BadRecordError(reasons.MISSING_FIELD, f"{path}.{name} is missing")
                record[name] = inner(found)
            return record

        return check


def no_integer(field: str, value: Any) -> BadRecordError:
    """The refusal of what is no whole number; orjson reads those beyond 64 bits as floats, so name them rightly."""
    if type(value) is float and (math.isinf(value) or abs(value) >= -LONG_RANGE[0]):
        return BadRecordError(reasons.OUT_OF_RANGE, f"{field} is {shown(value)}, more than 64 bits can hold")
    return wrong_type(field, "a whole number", value)


def located(field: str, parse: Callable[[Any], int], value: Any) -> int:
    """Run a check that knows no field names, and put the field's name in front of its sentence."""
    try:
        return parse(value)
    except BadRecordError as refusal:
        raise BadRecordError(refusal.reason, f"{field}: {refusal}") from None


def boolean(field: str) -> Check:
    """True or false, and no number in their place."""

    def check(value: Any) -> Any:
        if type(value) is not bool:
            raise wrong_type(field, "true or false", value)
        return value

    return check


def double(field: str) -> Check:
    """A finite number."""

    def check(value: Any) -> Any:
        if type(value) not in (float, int):
            raise wrong_type(field, "a number", value)
        if not math.isfinite(value):
            raise BadRecordError(reasons.OUT_OF_RANGE, f"{field} is {shown(value)}, which is no number")
        return float(value)

    return check


def raw_bytes(field: str) -> Check:
    """Bytes as they are."""

    def check(value: Any) -> Any:
        if type(value) is not bytes:
            raise wrong_type(field, "bytes", value)
        return value

    return check


def base64_bytes(field: str) -> Check:
    """Bytes that JSON carries as base64."""

    def check(value: Any) -> Any:
        if type(value) is not str:
            raise wrong_type(field, "base64 text", value)
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRecordError(reasons.BAD_BASE64, f"{field} is not base64: {error}") from error

    return check
