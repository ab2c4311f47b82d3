"""Random records, made from the schemas themselves."""

from typing import Any

from hypothesis import strategies as st

from streams.records import schemas
from streams.records.limits import OUTSIDE

TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=40)
ANY_TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
TIMES = st.integers(0, 253_402_300_799_999)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bytes": st.binary(max_size=40),
}


def records(record: str) -> st.SearchStrategy[dict[str, Any]]:
    """Values of one record: from outside inside the limits, of our own with any text."""
    outside = record in OUTSIDE
    strategy = values(schemas.latest(record).source, {}, TEXTS if outside else ANY_TEXTS)
    if record != "Submission":
        return strategy
    return strategy.map(
        lambda value: (
            value | {"recipients": value["recipients"] & 0xFFFF, "size": value["size"] and value["size"] >> 1 & 2**62}
        )
    )


def values(schema: Any, named: dict[str, Any], texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Values of one type."""
    if isinstance(schema, list):
        return st.none() | values(schema[1], named, texts)
    if isinstance(schema, str):
        if schema == "string":
            return texts
        return PRIMITIVES[schema] if schema in PRIMITIVES else values(named[schema], named, texts)
    named[schema.get("name", "")] = schema
    if schema["type"] == "record":
        return st.fixed_dictionaries({f["name"]: values(f["type"], named, texts) for f in schema["fields"]})
    if schema["type"] == "enum":
        return st.sampled_from(schema["symbols"])
    if schema["type"] == "array":
        return st.lists(values(schema["items"], named, texts), max_size=3)
    if schema["type"] == "map":
        return st.dictionaries(texts, values(schema["values"], named, texts), max_size=3)
    return TIMES


LOGIN: dict[str, Any] = {
    "time": 1_767_600_000_000,
    "account": "user@example.org",
    "ip": "192.0.2.10",
    "success": True,
    "service": "imap",
    "id": "a1",
    "session": None,
    "server": None,
    "client": None,
    "failure": None,
}
"""An ordinary login, to be varied."""
