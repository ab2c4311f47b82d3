"""The compacted tables that say what is demanded: from a record to the book of rules."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from streams.core.accounts import canonical_domain, canonical_group, parse_scope
from streams.core.addresses import parse_network
from streams.core.book import RuleBook, parse_safe_key, safe_key
from streams.core.refusal import Refused
from streams.records.codec import Codec
from streams.topology import BY_NAME, DOMAINS, POLICIES, SAFE_NETWORKS

Value = TypeVar("Value")


class Tables:
    """Takes in records of `policies`, `safe-networks` and `domains`."""

    def __init__(self, codec: Codec, book: RuleBook) -> None:
        self._codec = codec
        self._domain = book.default_domain
        self._set = {
            POLICIES.name: book.set_policy,
            SAFE_NETWORKS.name: book.set_safe_network,
            DOMAINS.name: book.set_domain,
        }

    def apply(self, topic: str, key: bytes | None, raw: bytes | None) -> None:
        """
        Take in one record; no value = nothing is set under its key any more.

        Raises Refused, and what was set before stays. A record whose key is not that of its content is refused, because
        compaction goes by the key; without a key (in a file) the content says it all.
        """
        text = None if key is None else _text(key)
        if raw is None:
            if text is None:
                raise Refused("bad-key", f"a record of {topic} without a value needs a key")
            self._set[topic](text, None)
            return
        record = self._codec.decode(BY_NAME[topic].record, raw)
        if text is not None and canonical_key(topic, text, self._domain) != canonical(topic, record, self._domain)[0]:
            raise Refused("bad-key", f"the key {text[:80]!r} of a record of {topic} is not that of its content")
        self._set[topic](text or "", record)


def canonical_key(topic: str, key: str, default_domain: str = "") -> str:
    """The one form of a key of these topics, however it is written. Raises Refused."""
    if topic == POLICIES.name:
        return parse_scope(key, default_domain)
    if topic == DOMAINS.name:
        return canonical_domain(key)
    return safe_key(*parse_safe_key(key, default_domain))


def canonical(topic: str, record: Mapping[str, Any], default_domain: str = "") -> tuple[str, dict[str, Any]]:
    """The canonical key of a record of these topics, and the record with its names in the same form. Raises Refused."""
    if topic == DOMAINS.name:
        domain, group = canonical_domain(record["domain"]), record.get("group")
        return domain, {
            **record,
            "domain": domain,
            "group": canonical_group(group.removeprefix("group:")) if group else group,
        }
    scope = parse_scope(record["scope"], default_domain)
    if topic == POLICIES.name:
        return scope, {**record, "scope": scope}
    network = parse_network(record["network"])
    return safe_key(scope, network), {**record, "scope": scope, "network": str(network)}


def in_place_of(keys: Iterable[str], key: str, value: Value | None) -> list[tuple[str, Value | None]]:
    """
    The records that put a value (None = nothing) under a canonical key in place of what lies under these keys of it.

    Compaction goes by keys as they are written, so what lies under others is deleted there: before, as the last record is
    the one obeyed.
    """
    return [*((other, None) for other in keys if other != key), (key, value)]


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise Refused("bad-key", "the key is not UTF-8") from error
