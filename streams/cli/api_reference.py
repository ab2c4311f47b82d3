"""The reference of the panel's API, from the OpenAPI description that the panel itself serves."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Table = Any
"""As `reference._table`: head and rows to Markdown."""


def calls_and_records(description: Mapping[str, Any], table: Table) -> Iterator[str]:
    """A section for every call, by subject, then one for every record that calls take or answer."""
    by_subject: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            by_subject.setdefault(operation["tags"][0], []).append(_call(method.upper(), path, operation, table))
    for subject, parts in by_subject.items():
        yield f"## Calls: {subject}\n"
        yield from parts
    yield "## Records\n"
    for name, schema in sorted(description["components"]["schemas"].items()):
        yield _record(name, schema, table)


def _call(method: str, path: str, operation: Mapping[str, Any], table: Table) -> str:
    parts = [f"### {method} {path}\n", f"{' '.join(operation['description'].split())}\n"]
    parameters = [
        (f"`{each['name']}`", each["in"], _type(each["schema"]), _default(each["schema"]), each.get("description", ""))
        for each in operation.get("parameters", ())
    ]
    if parameters:
        parts.append(table(("Parameter", "In", "Type", "Default", "Meaning"), parameters))
    body = operation.get("requestBody")
    if body:
        parts.append(f"Takes {_contents(body)}.\n")
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            parts.append(f"Answers {status}{', ' + _contents(answer) if answer.get('content') else ''}.\n")
    return "\n".join(parts)


def _contents(message: Mapping[str, Any]) -> str:
    return " or ".join(
        f"{_type(content.get('schema', {}))} as `{media}`" for media, content in message["content"].items()
    )


def _record(name: str, schema: Mapping[str, Any], table: Table) -> str:
    parts = [f"### {name}\n"]
    if schema.get("description"):
        parts.append(f"{' '.join(schema['description'].split())}\n")
    if "enum" in schema:
        parts.append(f"One of {_listed(schema['enum'])}.\n")
    needed = schema.get("required", ())
    rows = [
        (f"`{field}`", _type(each), "yes" if field in needed else "", _default(each), each.get("description", ""))
        for field, each in schema.get("properties", {}).items()
    ]
    if rows:
        parts.append(table(("Field", "Type", "Required", "Default", "Meaning"), rows))
    return "\n".join(parts)


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[several]))
    if "enum" in schema:
        return _listed(schema["enum"])
    kind = str(schema.get("type", "JSON"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, Mapping):
        return f"map to {_type(values)}"
    return f"{kind}{_bounds(schema)}"


def _bounds(schema: Mapping[str, Any]) -> str:
    names = {"minimum": "from", "maximum": "to", "minLength": "at least", "maxLength": "at most"}
    unit = " characters" if "maxLength" in schema else ""
    said = " ".join(f"{word} {int(schema[name])}" for name, word in names.items() if name in schema)
    return f" ({said}{unit})" if said else ""


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    return "" if value is None or value == "" else f"`{value}`"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(f"`{value}`" for value in values)
