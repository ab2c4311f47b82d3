"""
What a door knows of `policies` and `domains`: which senders an account may use.

Decision: one thread applies records (the table view's), another asks without a lock, so that loading never holds up an
answer. The version rises after every record, and what was resolved at an older one is not used again. Answers are kept by domain, and by account only for accounts with a policy of their own.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

import structlog

from streams.bus.record import Record
from streams.core.accounts import domain_of
from streams.core.book import RuleBook
from streams.core.refusal import Refused
from streams.engine.tables import Tables
from streams.errors import RegistryUnavailableError
from streams.records.codec import Codec

LOG = structlog.get_logger(__name__)

MOST_KEPT = 100_000
REGISTRY_RETRY_S = 1.0


class SenderRules(NamedTuple):
    """What an account's effective policy demands of its senders."""

    match_username: bool
    match_domain: bool


ANY_SENDER = SenderRules(match_username=False, match_domain=False)


class RulesView:
    """
    The sender rules of every account.

    `on_bad` is told the reason of each record that cannot be used; what was set before stays then.
    """

    def __init__(self, codec: Codec, default_domain: str, on_bad: Callable[[str], None]) -> None:
        self._book = RuleBook(default_domain)
        self._tables = Tables(codec, self._book)
        self._on_bad = on_bad
        self._version = 0
        self._kept: dict[str, SenderRules] = {}
        self._kept_of = 0
        self._closed = threading.Event()

    def apply(self, record: Record) -> None:
        """Take in one record of `policies` or `domains`. Never raises for what it says."""
        try:
            self._set(record)
        except Refused as refusal:
            LOG.warning("rule unreadable, it changes nothing", topic=record.topic, key=repr(record.key),
                        reason=refusal.reason, error=str(refusal))  # fmt: skip
            self._on_bad(refusal.reason)
        finally:
            self._version += 1

    def close(self) -> None:
        """Wait no longer for a schema registry that is away."""
        self._closed.set()

    def of(self, account: str) -> SenderRules:
        """The rules of a canonical account."""
        version = self._version
        if version != self._kept_of or len(self._kept) > MOST_KEPT:
            self._kept.clear()
            self._kept_of = version
        key = account if f"account:{account}" in self._book.policies else domain_of(account)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._resolve(account)
        return kept

    def _resolve(self, account: str) -> SenderRules:
        while True:
            try:
                policy = self._book.effective(account)
            except KeyError:  # a policy was taken back between two looks
                continue
            return SenderRules(policy.match_username, policy.match_domain)

    def _set(self, record: Record) -> None:
        while True:
            try:
                return self._tables.apply(record.topic, record.key, record.value)
            except RegistryUnavailableError as error:
                # without its schema nothing is known about the record: passing it over would leave a rule unheeded
                LOG.warning("rule waits for the schema registry", error=str(error))
                if self._closed.wait(REGISTRY_RETRY_S):
                    raise Refused("registry-unavailable", str(error)) from error
