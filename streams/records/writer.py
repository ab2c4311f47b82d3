"""
Avro written by hand: what fastavro writes, in less time, and nothing twice that is remembered as written (`Part`).

fastavro tries each branch of a union for each value; our schemas have no unions but those of null and one other type.
So each schema is made once into one function, from its values to bytes. Decision: it takes exact types only. For anything
else (a missing field, a tuple, True for a number) it raises an error that says nothing: the caller lets fastavro write
the value, or say what is wrong with it. A test holds that both write the same bytes.
"""

import struct
from collections.abc import Callable
from functools import cache
from itertools import chain
from operator import call, itemgetter
from typing import Any

from streams.core.values import Part
from streams.records.limits import INT_RANGE, LONG_RANGE

Write = Callable[[Any], bytes]
Shape = tuple[Any, ...]
"""A type without names that point elsewhere, docs and defaults: equal shapes are written alike, by the same function."""

_RECORDS = (dict, Part)
_DOUBLE = struct.Struct("<d")
_BYTE = tuple(bytes((number,)) for number in range(0x100))


def writer(parsed: Any) -> Write | None:
    """The function that writes the values of a schema as fastavro parsed it; None if the schema has what it does not know."""
    try:
        return _of_shape(_shape(parsed, {}))
    except (KeyError, ValueError):
        return None


def _shape(schema: Any, named: dict[str, Shape]) -> Shape:
    """
    The shape of a type. KeyError for a type yet unknown, as a record inside itself is; ValueError for other unions.

    >>> _shape(["null", {"type": "array", "items": "long"}], {})
    ('optional', ('array', ('long',)))
    """
    if isinstance(schema, list):
        null, other = schema
        if null != "null":
            raise ValueError(schema)
        return "optional", _shape(other, named)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in _SCALARS and (isinstance(schema, str) or "logicalType" not in schema):
        return (kind,)
    if isinstance(schema, str):
        return named[schema]
    if kind == "record":
        fields = tuple((field["name"], _shape(field["type"], named)) for field in schema["fields"])
        shape: Shape = ("record", fields)
    elif kind == "enum":
        shape = ("enum", tuple(schema["symbols"]))
    else:
        shape = (kind, _shape({"array": schema.get("items"), "map": schema.get("values")}[kind], named))
    if "name" in schema:
        named[schema["name"]] = shape
    return shape


@cache
def _of_shape(shape: Shape) -> Write:
    """The function of a shape; all are of our own schemas, so there are few."""
    kind, *rest = shape
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "record":
        return _record([(name, _of_shape(field)) for name, field in rest[0]])
    if kind == "enum":
        return {symbol: _varint(number << 1) for number, symbol in enumerate(rest[0])}.__getitem__
    return {"array": _array, "map": _map, "optional": _optional}[kind](_of_shape(rest[0]))


def _varint(number: int) -> bytes:
    """
    A number from 0 on, 7 bits to a byte, the lowest first; each byte but the last has the mark that more follow.

    >>> _varint(300).hex()
    'ac02'
    """
    if number < 1 << 7:
        return _BYTE[number]
    if number < 1 << 14:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80)) + _varint(number >> 14)


def _whole(bounds: tuple[int, int]) -> Write:
    lowest, highest = bounds

    def write(value: Any) -> bytes:
        if type(value) is not int or not lowest <= value <= highest:
            raise ValueError
        return _BYTE[value << 1] if 0 <= value < 1 << 6 else _varint(value << 1 ^ value >> 63)

    return write


def _string(value: Any) -> bytes:
    if type(value) is not str:
        raise ValueError
    raw = value.encode()
    length = len(raw)
    return (_BYTE[length << 1] if length < 1 << 6 else _varint(length << 1)) + raw


def _bytes(value: Any) -> bytes:
    if type(value) is not bytes:
        raise ValueError
    return _varint(len(value) << 1) + value


def _double(value: Any) -> bytes:
    if type(value) is not float:
        raise ValueError
    return _DOUBLE.pack(value)


def _boolean(value: Any) -> bytes:
    if type(value) is not bool:
        raise ValueError
    return b"\1" if value else b"\0"


def _optional(inner: Write) -> Write:
    def write(value: Any) -> bytes:
        return b"\0" if value is None else b"\2" + inner(value)

    return write


def _array(inner: Write) -> Write:
    def write(value: Any) -> bytes:
        if type(value) is not list:
            raise ValueError
        return b"".join((_varint(len(value) << 1), *map(inner, value), b"\0")) if value else b"\0"

    return write


def _map(inner: Write) -> Write:
    def write(value: Any) -> bytes:
        if type(value) is not dict:
            raise ValueError
        members = chain.from_iterable((_string(key), inner(member)) for key, member in value.items())
        return b"".join((_varint(len(value) << 1), *members, b"\0")) if value else b"\0"

    return write


def _record(fields: list[tuple[str, Write]]) -> Write:
    number = len(fields)
    if number < 2:
        raise ValueError(fields)  # `itemgetter` gives no tuple of one
    values_of = itemgetter(*(name for name, _ in fields))
    writes = tuple(write_field for _, write_field in fields)

    def write(value: Any) -> bytes:
        if type(value) is Part and value.written_by is write:
            return value.written
        if type(value) not in _RECORDS or len(value) != number:
            raise ValueError
        raw = b"".join(map(call, writes, values_of(value)))
        if type(value) is Part:
            value.written, value.written_by = raw, write
        return raw

    return write


_SCALARS: dict[str, Write] = {
    "int": _whole(INT_RANGE),
    "long": _whole(LONG_RANGE),
    "string": _string,
    "bytes": _bytes,
    "double": _double,
    "boolean": _boolean,
}
