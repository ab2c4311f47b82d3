"""
Under which other keys a rule lies on its topic.

Decision: other tools write keys as they like, and compaction goes by the key as it is written: what is not deleted there
would be in force again after the next start. Only keys that are not the canonical one are kept, so there are few rows.
"""

from collections.abc import Iterable, Sequence

import orjson
from sqlalchemy import Connection, delete, select

from streams.panel.store.reading import Item
from streams.panel.store.tables import SPELLING
from streams.panel.store.writes import matching, upsert

Found = dict[str, list[str]]
"""By canonical key, the other keys under which records lie on the topic, sorted."""


def spellings(connection: Connection, topic: str, keys: Iterable[str]) -> Found:
    """Of these canonical keys; those that lie under no other key are left out."""
    query = select(SPELLING.c.key, SPELLING.c.written).where(SPELLING.c.topic == topic)
    return {row.key: orjson.loads(row.written) for row in matching(connection, query, SPELLING.c.key, set(keys))}


def note_spellings(connection: Connection, topic: str, items: Sequence[Item]) -> None:
    """Take in under which keys the rules of a batch lie now, and under which no more."""
    others = [item for item in items if item.written not in ("", item.key)]
    if not others:
        return
    found = {key: set(written) for key, written in spellings(connection, topic, (item.key for item in others)).items()}
    for item in others:
        written = found.setdefault(item.key, set())
        if item.value is None:
            written.discard(item.written)
        else:
            written.add(item.written)
    for key in [key for key, written in found.items() if not written]:
        connection.execute(delete(SPELLING).where(SPELLING.c.topic == topic, SPELLING.c.key == key))
    kept = {key: orjson.dumps(sorted(written)).decode() for key, written in found.items() if written}
    upsert(connection, SPELLING, [{"topic": topic, "key": key, "written": text} for key, text in kept.items()])
