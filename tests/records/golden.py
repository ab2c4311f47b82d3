"""Golden bytes: `python -m tests.records.golden` adds those of new versions to golden.json, and changes no others."""

import json
from pathlib import Path
from typing import Any

from streams.records.codec import Codec
from streams.records.schemas import latest, released

PATH = Path(__file__).parent / "golden.json"
PLAIN: dict[str, Any] = {"int": 3, "long": 5, "boolean": True, "double": 48.25, "string": "text", "bytes": b"\x00raw"}


def example(schema: Any, named: dict[str, Any]) -> Any:
    """One value with everything set and one member in each list."""
    if isinstance(schema, list):
        return example(schema[1], named)
    if isinstance(schema, str):
        return PLAIN[schema] if schema in PLAIN else example(named[schema], named)
    named[schema.get("name", "")] = schema
    match schema["type"]:
        case "record":
            return {field["name"]: example(field["type"], named) for field in schema["fields"]}
        case "enum":
            return schema["symbols"][0]
        case "array":
            return [example(schema["items"], named)]
        case "map":
            return {"notify": example(schema["values"], named)}
    return 1_767_600_000_000


def without_bytes(value: dict[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in value.items() if not isinstance(member, bytes)}


if __name__ == "__main__":
    golden = json.loads(PATH.read_text())
    for record in sorted(released()):
        name = f"{record}.{latest(record).version}"
        value = example(latest(record).source, {})
        golden.setdefault(name, {"bytes": Codec().encode(record, value).hex(), "value": without_bytes(value)})
    PATH.write_text(json.dumps(golden, indent=1) + "\n")
