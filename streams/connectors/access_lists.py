"""
The black and white list of the doors, as they stand on `access-lists`: of accounts, networks, and accounts at one address.

Decision: entries are looked up, never searched: accounts by name, networks by one look-up per prefix length in use, so a
list of a hundred thousand addresses costs an answer no more than a short one. Expiry is looked at when asked; the record
goes later. One thread applies records, another asks without a lock: every change is one assignment.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import structlog

from streams.core.accounts import canonical_account
from streams.core.addresses import Network, parse_address, parse_network
from streams.core.refusal import Refused
from streams.errors import RegistryUnavailableError
from streams.records.codec import Codec

LOG = structlog.get_logger(__name__)

FULL_PREFIX = 128
FOREVER = 1 << 62
REGISTRY_RETRY_S = 1.0

Listed = Literal["blacklist", "whitelist"]
Kind = Literal["ip", "login", "iplogin"]


class Subject(NamedTuple):
    """What an entry is about: a network (from everywhere if None) and a canonical account (all of them if None)."""

    network: Network | None
    account: str | None

    @property
    def kind(self) -> Kind:
        """In weakforced's words."""
        if self.account is None:
            return "ip"
        return "login" if self.network is None else "iplogin"


class Entry(NamedTuple):
    """One entry of a list; it holds while now is before `expires_ms`."""

    listed: Listed
    subject: Subject
    reason: str
    actor: str
    time_ms: int
    expires_ms: int

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return entry_key(self.listed, self.subject)

    def record(self) -> dict[str, Any]:
        """The AccessEntry."""
        network, account = self.subject
        return {
            "list": self.listed,
            "network": None if network is None else str(network),
            "account": account,
            "reason": self.reason,
            "actor": self.actor,
            "time": self.time_ms,
            "expires": None if self.expires_ms >= FOREVER else self.expires_ms,
        }


class AccessLists:
    """
    Both lists in memory.

    `on_bad` is told the reason of each record that cannot be read; such a record changes nothing.
    """

    def __init__(self, codec: Codec, default_domain: str, on_bad: Callable[[str], None]) -> None:
        self._codec = codec
        self._default_domain = default_domain
        self._on_bad = on_bad
        self._held: dict[bytes, Entry] = {}
        self._lists: dict[str, _List] = {"blacklist": _List(), "whitelist": _List()}
        self._awaited: dict[tuple[bytes, bytes | None], list[Callable[[], None]]] = {}
        self._closed = threading.Event()

    def __len__(self) -> int:
        return len(self._held)

    def apply(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take keys and values of `access-lists`, in the order of their offsets. Never raises for what they say."""
        for key, raw in records:
            try:
                self._take(key, raw)
            except Refused as refusal:
                LOG.warning(
                    "entry unreadable, it changes nothing", key=repr(key), reason=refusal.reason, error=str(refusal)
                )
                self._on_bad(refusal.reason)
            for applied in self._awaited.pop((key or b"", raw), ()) if self._awaited else ():
                applied()

    def expect(self, key: bytes, raw: bytes | None, applied: Callable[[], None]) -> None:
        """Have `applied` called, by the thread that applies, after this record; ask before the record is written."""
        self._awaited.setdefault((key, raw), []).append(applied)

    def expect_no_longer(self, key: bytes, raw: bytes | None) -> None:
        """The record may never come."""
        self._awaited.pop((key, raw), None)

    def close(self) -> None:
        """Wait no longer for a schema registry that is away."""
        self._closed.set()

    def decode(self, record: str, raw: bytes) -> dict[str, Any]:
        """
        A record of these topics; a schema registry that is away is waited for, since what is not known cannot be passed
        over. Raises Refused.
        """
        while True:
            try:
                return self._codec.decode(record, raw)
            except RegistryUnavailableError as error:
                LOG.warning("an entry waits for the schema registry", error=str(error))
                if self._closed.wait(REGISTRY_RETRY_S):
                    raise Refused("registry-unavailable", str(error)) from error

    def find(self, listed: Listed, address: int | None, account: str | None, now_ms: int) -> Entry | None:
        """The entry that decides over a client: of its address (the narrowest network), its account, then of both."""
        one = self._lists[listed]
        if address is not None and (found := one.of_address(address, now_ms)):
            return found
        if account is None:
            return None
        found = one.exact.get(Subject(None, account))
        if found is not None and now_ms < found.expires_ms:
            return found
        found = None if address is None else one.exact.get(Subject(Network(address, FULL_PREFIX), account))
        return found if found is not None and now_ms < found.expires_ms else None

    def judge(self, address: str, account: str | None, now_ms: int) -> Entry | None:
        """
        The entry that decides over a client at a door, white before black; None if the lists say nothing of it.

        An address that is none lies in no network.
        """
        if not self._held:
            return None
        try:
            number = parse_address(address)
        except Refused:
            number = None
        return self.find("whitelist", number, account, now_ms) or self.find("blacklist", number, account, now_ms)

    def of(self, listed: Listed, subject: Subject, now_ms: int) -> Entry | None:
        """The entry in force about this subject: exactly this one, except that an address is found in networks too."""
        network = subject.network
        if subject.kind == "ip" and network is not None and network.prefix == FULL_PREFIX:
            return self._lists[listed].of_address(network.number, now_ms)
        found = self._lists[listed].exact.get(subject)
        return found if found is not None and now_ms < found.expires_ms else None

    def entries(self, listed: Listed, now_ms: int) -> list[Entry]:
        """All entries of a list that are in force, in weakforced's order of kinds."""
        found = [entry for entry in list(self._held.values()) if entry.listed == listed and now_ms < entry.expires_ms]
        return sorted(found, key=lambda entry: ("ip", "login", "iplogin").index(entry.subject.kind))

    def about(self, account: str, now_ms: int) -> list[Entry]:
        """Entries of the black list in force about this account, wherever its clients are."""
        black = self._lists["blacklist"]
        found = [black.exact.get(subject) for subject in black.subjects.get(account, ())]
        return [entry for entry in found if entry is not None and now_ms < entry.expires_ms]

    def in_force(self, now_ms: int) -> int:
        """How many entries are in force."""
        return sum(now_ms < entry.expires_ms for entry in list(self._held.values()))

    def holds(self, key: bytes) -> Entry | None:
        """The entry under a key, also one that has expired."""
        return self._held.get(key)

    def expired(self, before_ms: int) -> list[Entry]:
        """Entries that expired before a moment and whose records are still there."""
        return [entry for entry in list(self._held.values()) if entry.expires_ms < before_ms]

    def _take(self, key: bytes | None, raw: bytes | None) -> None:
        if key is None:
            raise Refused("no-key", "a record of access-lists has no key")
        entry = None if raw is None else read_entry(self.decode("AccessEntry", raw), self._default_domain)
        if entry is not None and entry.key != key:
            raise Refused("bad-key", f"the key of an entry is not that of its content, {entry.key!r}")
        old = self._held.pop(key, None)
        if entry is not None:
            self._lists[entry.listed].put(entry)
            self._held[key] = entry
        elif old is not None:
            self._lists[old.listed].drop(old.subject)


class _List:
    """One list. `networks` is by prefix, longest first, and replaced when a prefix comes or goes."""

    def __init__(self) -> None:
        self.exact: dict[Subject, Entry] = {}
        self.subjects: dict[str, tuple[Subject, ...]] = {}
        """By account."""
        self.networks: tuple[tuple[int, dict[int, Entry]], ...] = ()

    def of_address(self, address: int, now_ms: int) -> Entry | None:
        for prefix, entries in self.networks:
            shift = FULL_PREFIX - prefix
            found = entries.get(address >> shift << shift)
            # a mapped IPv4 address lies in no IPv6 network, see streams/core/addresses.py
            if found is not None and now_ms < found.expires_ms and _same_family(found.subject.network, address):
                return found
        return None

    def put(self, entry: Entry) -> None:
        network, account = entry.subject
        if account is not None and entry.subject not in self.exact:
            self.subjects[account] = (*self.subjects.get(account, ()), entry.subject)
        self.exact[entry.subject] = entry
        if entry.subject.kind != "ip" or network is None:
            return
        by_prefix = dict(self.networks)
        if network.prefix in by_prefix:
            by_prefix[network.prefix][network.number] = entry
        else:
            by_prefix[network.prefix] = {network.number: entry}
            self.networks = tuple(sorted(by_prefix.items(), reverse=True))

    def drop(self, subject: Subject) -> None:
        self.exact.pop(subject, None)
        network, account = subject
        if account is not None:
            self.subjects[account] = tuple(one for one in self.subjects[account] if one != subject)
            if not self.subjects[account]:
                del self.subjects[account]
        if subject.kind != "ip" or network is None:
            return
        by_prefix = dict(self.networks)
        by_prefix[network.prefix].pop(network.number, None)
        if not by_prefix[network.prefix]:
            del by_prefix[network.prefix]
            self.networks = tuple(sorted(by_prefix.items(), reverse=True))


def entry_key(listed: Listed, subject: Subject) -> bytes:
    """
    The key of an entry's record: list, then network and account as far as they are set, each in canonical form.

    >>> entry_key("blacklist", Subject(parse_network("192.0.2.77/24"), None))
    b'blacklist 192.0.2.0/24'
    """
    network, account = subject
    return " ".join(part for part in (listed, str(network or ""), account or "") if part).encode()


def read_entry(record: dict[str, Any], default_domain: str = "") -> Entry:
    """The entry of an AccessEntry. Raises Refused."""
    network, account = record["network"], record["account"]
    if network is None and account is None:
        raise Refused("bad-entry", "an entry names neither a network nor an account")
    subject = Subject(
        None if network is None else parse_network(network),
        None if account is None else canonical_account(account, default_domain),
    )
    if subject.kind == "iplogin" and subject.network is not None and subject.network.prefix != FULL_PREFIX:
        raise Refused("bad-entry", "an entry of an account names a network, but can only name one address")
    expires = record["expires"]
    return Entry(
        record["list"],
        subject,
        record["reason"],
        record["actor"],
        record["time"],
        FOREVER if expires is None else expires,
    )


def _same_family(network: Network | None, address: int) -> bool:
    return network is not None and network.is_v4 == (address >> 32 == 0xFFFF)
