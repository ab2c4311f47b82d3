"""
Schemas that others registered, made safe to read with: a few bytes must not cost more than a few bytes should.

A schema is refused when it could make fastavro run without end or out of its stack, in C, with the interpreter's lock
held, so that neither the watchdog nor a signal would get through.
"""

import json
from collections.abc import Mapping
from typing import Any

from fastavro import parse_schema
from fastavro.schema import SchemaParseException

from streams.records.schemas import released, without_marks

MOST_PARTS = 10_000
"""Of a schema in which every name is replaced by what it stands for; ours have less than a hundred."""


def parse_foreign(schema: Any) -> Any:
    """
    A registered schema for fastavro; one of ours, when it is the same.

    None when it is of another kind, refers to others, contains itself, is broken, or could make its reader run away.
    """
    if (schema.schema_type or "AVRO") != "AVRO" or schema.references:
        return None
    try:
        source, named = json.loads(schema.schema_str), dict[str, Any]()
        if contains_itself(source, ()):
            return None
        parsed = parse_schema(without_marks(source), named)
        if _Extent(named).parts(parsed) > MOST_PARTS:
            return None
        ours = (version.parsed for versions in released().values() for version in versions)
        return next((own for own in ours if own == parsed), parsed)
    except (SchemaParseException, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def contains_itself(schema: Any, inside: tuple[str, ...]) -> bool:
    """Does a record of this schema hold itself? Then a few bytes could nest deeper than fastavro's stack."""
    if isinstance(schema, str):
        return schema.rpartition(".")[2] in inside
    if isinstance(schema, list):
        return any(contains_itself(member, inside) for member in schema)
    inside = (*inside, str(schema.get("name", "")).rpartition(".")[2])
    parts = [schema.get(part, []) for part in ("type", "items", "values")]
    return any(
        contains_itself(part, inside) for part in [*parts, *(field["type"] for field in schema.get("fields", []))]
    )


class _Extent:
    """How much there is to read in a schema that does not contain itself; `named` are its definitions by full name."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._known: dict[str, tuple[int, int]] = {}

    def parts(self, schema: Any) -> int:
        """Parts, with all names replaced. Raises ValueError for an array whose items may have no bytes: its length is free."""
        return self._of(schema)[1]

    def _of(self, schema: Any) -> tuple[int, int]:
        """The fewest bytes of a value, 0 or more, and the parts."""
        if isinstance(schema, list):
            return 1, 1 + sum(self._of(member)[1] for member in schema)
        if isinstance(schema, str):
            return self._of_name(schema)
        kind = schema["type"]
        if kind in ("record", "error"):
            fields = [self._of(field["type"]) for field in schema["fields"]]
            return sum(size for size, _ in fields), 1 + sum(parts for _, parts in fields)
        if kind == "array":
            size, parts = self._of(schema["items"])
            if size == 0:
                raise ValueError("an array of nothing")
            return 1, 1 + parts
        if kind == "map":
            return 1, 1 + self._of(schema["values"])[1]
        return (int(schema["size"]), 1) if kind == "fixed" else self._of(kind)

    def _of_name(self, name: str) -> tuple[int, int]:
        if name not in self._named:
            return (0 if name == "null" else 1), 1
        if name not in self._known:
            self._known[name] = self._of(self._named[name])
        return self._known[name]
