"""The compacted tables that say what is demanded: from a record to the book of rules."""

from collections.abc import Mapping
from typing import Any

from streams.core.accounts import canonical_domain, parse_scope
from streams.core.book import RuleBook, parse_safe_key
from streams.core.refusal import Refused
from streams.records.codec import Codec
from streams.topology import BY_NAME, DOMAINS, POLICIES, SAFE_NETWORKS


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
        if text is not None and not self._is_key_of(topic, text, record):
            raise Refused("bad-key", f"the key {text[:80]!r} of a record of {topic} is not that of its content")
        self._set[topic](text or "", record)

    def _is_key_of(self, topic: str, key: str, record: Mapping[str, Any]) -> bool:
        if topic == POLICIES.name:
            return parse_scope(key, self._domain) == parse_scope(record["scope"], self._domain)
        if topic == DOMAINS.name:
            return canonical_domain(key) == canonical_domain(record["domain"])
        content = f"{record['scope']} {record['network']}"
        return parse_safe_key(key, self._domain) == parse_safe_key(content, self._domain)


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise Refused("bad-key", "the key is not UTF-8") from error
