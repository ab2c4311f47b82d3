"""
May one version of a schema stand beside another? Avro's rules of resolution, judged from the schemas alone.

Decision: every version must read every other, older ones included, because while a fleet is being renewed old and new
processes share topics. So a new field needs a default, a field or symbol goes only if the others can do without it, and
types stay what they are, the unit of times included.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

from streams.records.schemas import Schema

Named = dict[str, Mapping[str, Any]]


def incompatibilities(versions: Sequence[Schema]) -> list[str]:
    """What keeps one version of a record from reading another, a sentence each."""
    return [
        f"{reader.record}.{reader.version} cannot read {writer.record}.{writer.version}: {problem}"
        for writer, reader in permutations(versions, 2)
        for problem in Resolution().differences(writer.source, reader.source, reader.record)
    ]


class Resolution:
    """One walk through a writer's and a reader's schema; remembers the named types met on each side."""

    def __init__(self) -> None:
        self.written: Named = {}
        self.read: Named = {}

    def differences(self, writer: Any, reader: Any, path: str) -> list[str]:
        """Why bytes of `writer` cannot be read as `reader`; `path` names where in the record."""
        writer, reader = resolve(writer, self.written), resolve(reader, self.read)
        if isinstance(writer, list):
            return [problem for member in writer for problem in self.differences(member, reader, path)]
        if isinstance(reader, list):
            attempts = [self.differences(writer, member, path) for member in reader]
            return [] if [] in attempts else [f"{path} is {kind(writer)}, which is none of its types"]
        if kind(writer) != kind(reader):
            return [f"{path} is {kind(writer)} in one and {kind(reader)} in the other"]
        if kind(writer) == "record":
            return self.fields(writer, reader, path)
        if kind(writer) == "enum":
            return symbols(writer, reader, path)
        if kind(writer) in ("array", "map"):
            inner = "items" if kind(writer) == "array" else "values"
            return self.differences(writer[inner], reader[inner], path)
        return []

    def fields(self, writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> list[str]:
        """Fields that are missing without a default, or differ."""
        written = {field["name"]: field for field in writer["fields"]}
        found = [] if writer["name"] == reader["name"] else [f"{path} is named {writer['name']} and {reader['name']}"]
        for field in reader["fields"]:
            name = f"{path}.{field['name']}"
            if field["name"] in written:
                found += self.differences(written[field["name"]]["type"], field["type"], name)
            elif "default" not in field:
                found.append(f"{name} is missing in one and has no default in the other")
        return found


def resolve(schema: Any, named: Named) -> Any:
    """The schema itself, or what its name stands for; remembers what has a name."""
    if isinstance(schema, str):
        return named.get(schema, schema)
    if isinstance(schema, dict) and "name" in schema:
        named[schema["name"]] = schema
    return schema


def kind(schema: Any) -> str:
    """The type as one word, with its logical type where it has one."""
    if isinstance(schema, str):
        return schema
    logical = schema.get("logicalType")
    return f"{schema['type']} ({logical})" if logical else str(schema["type"])


def symbols(writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> list[str]:
    """Symbols that the reader does not know and has no default for."""
    unknown = set(writer["symbols"]) - set(reader["symbols"])
    return (
        [f"{path} may be {', '.join(sorted(unknown))}, which the other does not know"]
        if unknown and "default" not in reader
        else []
    )
