"""
Writing what was read: a batch of records becomes rows, in the transaction that also moves the offsets.

Decision: the rows do not depend on how records fall into batches, nor on which of two topics was quicker: whatever
depends on both is looked up anew when either changes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from streams.panel.store import rows
from streams.panel.store.erase import without_erased
from streams.panel.store.ingest_blocks import write_blocks
from streams.panel.store.ingest_incidents import write_incidents
from streams.panel.store.ingest_rules import deed_row, write_rules
from streams.panel.store.reading import Item
from streams.panel.store.tables import DEED, REVIEW
from streams.panel.store.writes import insert_new, upsert
from streams.topology import BLOCKS, COMMANDS, INCIDENTS, REVIEWS, TABLES

Row = dict[str, Any]
ByTopic = Mapping[str, Sequence[Item]]
QUESTION = "describe"


def write(connection: Connection, items: Sequence[Item]) -> set[str]:
    """Write a batch, in the order of each partition: what changed, of `changes.KINDS`."""
    by_topic: dict[str, list[Item]] = {}
    for item in without_erased(connection, items):
        by_topic.setdefault(item.topic, []).append(item)
    deeds = [*write_rules(connection, by_topic), *_commands(by_topic), *_reviews(by_topic)]
    insert_new(connection, DEED, deeds)
    reviews = {item.value["id"]: rows.review_row(item.value, item.offset) for item in _of(by_topic, REVIEWS.name)}
    upsert(connection, REVIEW, list(reviews.values()))
    blocked = write_blocks(connection, [item.value for item in _of(by_topic, BLOCKS.name)])
    reviewed = {row["incident"] for row in reviews.values()}
    incidents = write_incidents(connection, [item.value for item in _of(by_topic, INCIDENTS.name)], reviewed, blocked)
    happened = {
        "rules": any(table.name in by_topic for table in TABLES),
        "audit": bool(deeds),
        "reviews": bool(reviews),
        "blocks": BLOCKS.name in by_topic,
        "incidents": incidents,
    }
    return {kind for kind, changed in happened.items() if changed}


def _of(by_topic: ByTopic, topic: str) -> list[Any]:
    """The items of a topic that have a value, as all but those of rules do."""
    return [item for item in by_topic.get(topic, ()) if item.value is not None]


def _commands(by_topic: ByTopic) -> list[Row]:
    """Deeds that account commands are; a question changes nothing."""
    return [
        deed_row(
            item,
            f"account.{item.value['action']}",
            f"account:{item.key}",
            reason=item.value["reason"] or "",
            after=None if item.value["minutes"] is None else {"minutes": item.value["minutes"]},
        )
        for item in _of(by_topic, COMMANDS.name)
        if item.value["action"] != QUESTION
    ]


def _reviews(by_topic: ByTopic) -> list[Row]:
    return [
        deed_row(
            item,
            "incident.review",
            f"account:{item.key}",
            subject=item.value["incident"],
            reason=item.value["note"],
            after={"verdict": item.value["verdict"]},
        )
        for item in _of(by_topic, REVIEWS.name)
    ]
