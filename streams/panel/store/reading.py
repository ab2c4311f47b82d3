"""
From a record on a topic to what the read model keeps of it, or the reason why it is none.

Rules are checked by the code that the worker checks them with, so the panel never shows one that the worker refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from streams.bus.record import Record
from streams.core.accounts import canonical_account
from streams.core.book import RuleBook
from streams.engine.tables import Tables, canonical, canonical_key
from streams.panel.store import rows
from streams.records.codec import Codec
from streams.topology import BLOCKS, BY_NAME, COMMANDS, DOMAINS, INCIDENTS, POLICIES, REVIEWS, SAFE_NETWORKS, TABLES

TOPICS = (POLICIES, SAFE_NETWORKS, DOMAINS, BLOCKS, INCIDENTS, REVIEWS, COMMANDS)
RULES = frozenset(topic.name for topic in TABLES)
NO_DEEDS = (INCIDENTS.name, BLOCKS.name)
"""Topics of what the worker found and did; what people did is on the others."""
ACTOR_HEADER = "actor"
LONGEST_ACTOR = 320
ACCOUNTS = 20_000
"""Names whose canonical form is remembered."""


@dataclass(frozen=True, slots=True)
class Item:
    """
    One record, decoded. `value` None = a tombstone; `key` is the canonical key of a rule, else the account.

    `actor` is who the header names, for tombstones.
    """

    topic: str
    key: str
    value: dict[str, Any] | None
    offset: int
    time_ms: int
    deed: str
    """The id of the deed that it is; empty where it is none."""
    actor: str = ""
    written: str = ""
    """Of a rule, its key as it stands on the topic; empty where it has none."""


class Reader:
    """Reads records of `TOPICS`."""

    def __init__(
        self, codec: Codec, default_domain: str = "", *, is_canary: Callable[[bytes | None], bool] = lambda _key: False
    ) -> None:
        self._codec = codec
        self._domain = default_domain
        self._is_canary = is_canary
        # every revision of an incident names its account again
        self._canonical = lru_cache(maxsize=ACCOUNTS)(lambda name: canonical_account(name, default_domain))

    def read(self, record: Record) -> Item | None:
        """The record decoded; None for a tombstone that says nothing, and for the canary's. Raises Refused, RegistryUnavailableError."""
        rule = record.topic in RULES
        if record.value is None and not rule:
            return None  # compaction and retention leave those on `blocks`; what they delete is over long since
        if not rule and self._is_canary(record.key):
            return None  # hundreds of incidents a day that nobody need look at
        if rule:
            # refuses what the worker refuses, a key that is not of the content included
            Tables(self._codec, RuleBook(self._domain)).apply(record.topic, record.key, record.value)
        value = None if record.value is None else self._codec.decode(BY_NAME[record.topic].record, record.value)
        if not rule:
            key = self._account(value or {})
        elif value is None:
            key = canonical_key(record.topic, _text(record.key), self._domain)
        else:
            key, value = canonical(record.topic, value, self._domain)
        deed = ""
        if record.topic not in NO_DEEDS:
            deed = rows.deed_id(record.topic, record.partition, record.offset, record.key, record.value)
        written = _text(record.key) if rule else ""
        return Item(record.topic, key, value, record.offset, record.timestamp_ms, deed, _actor(record), written)

    def _account(self, value: dict[str, Any]) -> str:
        account = self._canonical(value["account"])
        value["account"] = account
        return account


def _text(key: bytes | None) -> str:
    return (key or b"").decode(errors="replace")


def _actor(record: Record) -> str:
    for name, value in record.headers:
        if name == ACTOR_HEADER and value is not None:
            return value.decode(errors="replace").replace("\0", "")[:LONGEST_ACTOR]
    return ""
