"""
What is kept of an account, and its packed form.

Decision: an account is kept as one immutable `bytes` of a fixed header, one entry of 56 bytes per network, and a tail of
JSON for what few accounts have (a block, an incident, messages). The same bytes are the value in the changelog. So a
usual account costs little memory, an unchanged one costs nothing to write, and the hot path (`hot.py`) patches an entry
without unpacking the rest. Everything else works on `AccountState`, unpacked for the occasion.

Times are milliseconds since 1970, addresses numbers of 128 bits (`addresses.py`). The first byte is the version of the
form; a reader knows all versions that ever were.
"""

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from streams.core import blocks, incidents, messages
from streams.core.addresses import Network, Order
from streams.core.blocks import Block, Span, past_blocks
from streams.core.incidents import Incident
from streams.core.messages import Messages
from streams.core.refusal import Refused

if TYPE_CHECKING:
    from streams.core.overview import Overview

VERSION = 1
NONE = -1
"""A time or offset that is not set."""
NOT_JUDGED = bytes(8)
"""The stamp of an account that no rules were applied to yet, or not to what is kept of it now."""
DAY_MS = 86_400_000
DAYS_KEPT = 32
"""Days are kept as one bit each for this many days back from a network's last login, and as a number before."""
DAYS_MASK = (1 << DAYS_KEPT) - 1
MOST_DAYS_BEFORE = 0xFFFF
MOST_LOGINS = 0xFFFF_FFFF

HEADER = struct.Struct("<BBHqqq8sHBB")
"""version, flags, number of networks, offset of the last applied login, newest, counted from, stamp, window, prefixes."""
ENTRY = struct.Struct("<B2s6sIHqIqIB16s")
"""prefix, country, first, days, days before, run start, run last before last, last, logins, service, last address."""

HAS_TAIL = 1
BUSY = 2
"""
Every login is judged in full: an episode or an incident's block is open, or a login dated ahead of its `now` is kept, beside
which even an in-order login of a present network can raise the count. Together with `RUNS`: only a network has several runs.
"""
RUNS = 4
"""
The tail has further runs, and nothing else makes the account busy: `hot.py` knows these. `BUSY` is set too, because programs
from before this flag judge in full what has several runs.
"""
NO_RUN = 0xFFFF_FFFF
"""In the place of "run last before last" of an entry: its network is not present, and was not lately."""

SERVICES = ("imap", "pop3", "smtp", "http", "sieve", "other")
"""Stored by position: only ever append."""
SERVICE_NUMBER = {name: number for number, name in enumerate(SERVICES)}

Run = tuple[int, int]
NO_MESSAGES = Messages()


@dataclass(slots=True)
class Kept:
    """A network of an account's activity: its logins, and the runs of presence of those that counted."""

    network: Network
    first_ms: int
    last_ms: int
    address: int
    service: str
    country: str | None
    logins: int = 1
    days: int = 0
    days_before: int = 0
    runs: list[Run] = field(default_factory=list)

    @property
    def day(self) -> int:
        """The UTC day of the last login, to which the lowest bit of `days` belongs."""
        return self.last_ms // DAY_MS

    def has(self, time_ms: int) -> bool:
        """Whether a login of that time is listed, as far as is known: the last one, or one that began or ended a run."""
        if time_ms >= self.last_ms:
            return time_ms == self.last_ms
        return any(time_ms in run for run in self.runs)

    @property
    def different_days(self) -> int:
        """On how many different UTC days it was used (not during a block)."""
        return self.days.bit_count() + self.days_before

    def different_days_before(self, day: int) -> int:
        """The same, of the days before a given one."""
        return (self.days >> max(0, self.day - day + 1)).bit_count() + self.days_before


@dataclass(slots=True)
class AccountState:
    """
    Everything kept of one account.

    `newest_ms`: greatest judged time (at most its `now`) of the listed logins; `cutoff_ms`: logins up to then never
    count (reset, unblock); `stamp`: the rules the account was last judged by; `window` and prefixes: those of the
    login read last; `past_blocks`: when it was blocked before `block`; offsets: last applied record of each input topic
    (that of submissions is in `messages`); `overview`: see there, None = look at every network.
    """

    networks: dict[Network, Kept] = field(default_factory=dict)
    newest_ms: int = NONE
    cutoff_ms: int = NONE
    stamp: bytes = NOT_JUDGED
    window: int = 0
    ipv4_prefix: int = 0
    ipv6_prefix: int = 0
    episode: Incident | None = None
    block: Block | None = None
    past_blocks: tuple[Span, ...] = ()
    blocked_incident: Incident | None = None
    ignored_logins: int = 0
    messages: Messages = field(default_factory=Messages)
    login_offset: int = NONE
    command_offset: int = NONE
    command_id: str = ""
    overview: "Overview | None" = field(default=None, compare=False, repr=False)

    @property
    def counts_from_ms(self) -> int:
        """Logins up to this time do not count: the last reset or unblock, or the end of the last block."""
        return self.cutoff_ms if self.block is None else max(self.cutoff_ms, self.block.end_ms)

    def was_blocked(self, time_ms: int) -> bool:
        """Whether a login of that time was made during a block, the last one or one before it."""
        if self.block is None:
            return False
        return self.block.covers(time_ms) or any(start <= time_ms <= end for start, end in self.past_blocks)

    def put_block(self, block: Block) -> None:
        """A new block takes the place of the last one. One that had ended by then stays a cut-off; a running one does not."""
        self.past_blocks = past_blocks(self.past_blocks, self.block, block.from_ms)
        if self.block is not None and self.block.end_ms <= block.from_ms:
            self.cutoff_ms = max(self.cutoff_ms, self.block.end_ms)
        self.block = block


def pack(state: AccountState) -> bytes:
    """The packed form."""
    entries, runs = _networks(state) if state.overview is None else (state.overview.entries(), {})
    tail = _tail(state, runs)
    open_incident = state.episode is not None or state.blocked_incident is not None
    busy = open_incident or any(item.last_ms > state.newest_ms for item in state.networks.values())
    flags = (HAS_TAIL if tail else 0) | (BUSY if busy else BUSY | RUNS if "r" in tail else 0)
    header = HEADER.pack(
        VERSION,
        flags,
        len(state.networks),
        state.login_offset,
        state.newest_ms,
        state.counts_from_ms,
        state.stamp,
        state.window,
        state.ipv4_prefix,
        state.ipv6_prefix,
    )
    return b"".join((header, entries, orjson.dumps(tail) if tail else b""))


def _networks(state: AccountState) -> tuple[bytes, dict[str, list[Run]]]:
    """The entries of the networks, in order, and by the number of its entry what further runs a network has."""
    kept = [state.networks[network] for network in sorted(state.networks, key=_order)]
    runs = {str(index): item.runs[:-1] for index, item in enumerate(kept) if len(item.runs) > 1}
    return b"".join(map(pack_entry, kept)), runs


def unpack(packed: bytes) -> AccountState:
    """The state of a packed form. Raises Refused for bytes that are no state, or of a version yet unknown."""
    try:
        _check_form(packed)
        return _unpack(packed)
    except _UNREADABLE as error:
        raise _bad_state(error) from error


def take_apart(packed: bytes) -> tuple[bytes, dict[str, Any]]:
    """
    Header with entries, and the tail: enough to count a message, without unpacking the networks.

    Raises Refused as `unpack` does.
    """
    try:
        _check_form(packed)
        end = HEADER.size + HEADER.unpack_from(packed)[2] * ENTRY.size
        return packed[:end], orjson.loads(packed[end:]) if packed[1] & HAS_TAIL else {}
    except _UNREADABLE as error:
        raise _bad_state(error) from error


def put_together(body: bytes, tail: dict[str, Any]) -> bytes:
    """The packed form again, with a tail of which only the keys of `messages.py` changed."""
    flags = body[1] | HAS_TAIL if tail else body[1] & ~HAS_TAIL
    return b"".join((body[:1], flags.to_bytes(), body[2:], orjson.dumps(tail) if tail else b""))


_UNREADABLE = (struct.error, ValueError, KeyError, IndexError, TypeError, AttributeError)


def _check_form(packed: bytes) -> None:
    """Version and length: compiled code believes the number of networks."""
    if not packed or packed[0] != VERSION:
        version = packed[0] if packed else "none"
        raise Refused("bad-state", f"state of version {version}: this program reads {VERSION}; run a newer one")
    number = HEADER.unpack_from(packed)[2]
    behind = len(packed) - HEADER.size - number * ENTRY.size
    if behind < 0 or bool(behind) != bool(packed[1] & HAS_TAIL):
        raise Refused("bad-state", f"a state of {number} networks cannot have {len(packed)} bytes")


def _bad_state(error: Exception) -> Refused:
    return Refused("bad-state", f"the state of an account cannot be read: {error}")


def login_offset(packed: bytes) -> int:
    """The offset of the last applied login, read without unpacking (it is asked for every login)."""
    return int.from_bytes(packed[4:12], "little", signed=True)


def applied_offsets(packed: bytes) -> dict[str, int]:
    """The last applied offset of each input topic, by `logins`, `submissions`, `account-commands`; -1 = none."""
    _, tail = take_apart(packed)
    return {
        "logins": login_offset(packed),
        "submissions": tail.get("s", NONE),
        "account-commands": tail.get("c", (NONE, ""))[0],
    }


def is_newer(candidate: bytes, held: bytes) -> bool:
    """
    Whether a changelog record may replace the one held: never one that had applied less.

    A worker that lost its partitions without noticing may append an old state behind a newer one.
    """
    if held[:1] == candidate[:1] == bytes((VERSION,)) and not (held[1] | candidate[1]) & HAS_TAIL:
        return bool(HEADER.unpack_from(candidate)[3] >= HEADER.unpack_from(held)[3])
    new, old = applied_offsets(candidate), applied_offsets(held)
    return all(new[topic] >= old[topic] for topic in old)


def _order(network: Network) -> Order:
    return network.order


def pack_entry(kept: Kept) -> bytes:
    """The entry of a network, with the last of its runs."""
    start, last = kept.runs[-1] if kept.runs else (0, 0)
    return ENTRY.pack(
        kept.network.prefix,
        (kept.country or "\0\0").encode(),
        kept.first_ms.to_bytes(6, "big"),
        kept.days,
        kept.days_before,
        start,
        kept.last_ms - last if kept.runs else NO_RUN,
        kept.last_ms,
        min(kept.logins, MOST_LOGINS),
        SERVICE_NUMBER[kept.service],
        kept.address.to_bytes(16, "big"),
    )


def _tail(state: AccountState, runs: dict[str, list[Run]]) -> dict[str, Any]:
    """What few accounts have; keys are short because they are stored a million times."""
    tail: dict[str, Any] = {}
    if runs:
        tail["r"] = runs
    if state.block is not None:
        tail["b"] = blocks.to_json(state.block)
        tail["k"] = state.cutoff_ms
    if state.past_blocks:
        tail["p"] = state.past_blocks
    if state.episode is not None:
        tail["e"] = incidents.to_json(state.episode)
    if state.blocked_incident is not None:
        tail["i"] = incidents.to_json(state.blocked_incident)
    if state.ignored_logins:
        tail["g"] = state.ignored_logins
    if state.messages != NO_MESSAGES:
        messages.to_tail(state.messages, tail)
    if state.command_offset != NONE:
        tail["c"] = [state.command_offset, state.command_id]
    return tail


def _unpack(packed: bytes) -> AccountState:
    _, flags, number, offset, newest, counts_from, stamp, window, ipv4, ipv6 = HEADER.unpack_from(packed)
    end = HEADER.size + number * ENTRY.size
    kept = [_unpack_entry(entry) for entry in ENTRY.iter_unpack(packed[HEADER.size : end])]
    networks = {item.network: item for item in kept}
    if not flags & HAS_TAIL:
        return AccountState(networks, newest, counts_from, stamp, window, ipv4, ipv6, login_offset=offset)
    tail = orjson.loads(packed[end:])
    for index, runs in tail.get("r", {}).items():
        item = kept[int(index)]
        item.runs = [(start, last) for start, last in runs] + item.runs
    command_offset, command_id = tail.get("c", (NONE, ""))
    return AccountState(
        networks=networks,
        newest_ms=newest,
        cutoff_ms=tail.get("k", counts_from),
        stamp=stamp,
        window=window,
        ipv4_prefix=ipv4,
        ipv6_prefix=ipv6,
        episode=incidents.from_json(tail.get("e")),
        block=blocks.from_json(tail.get("b")),
        past_blocks=tuple((start, end) for start, end in tail.get("p", ())),
        blocked_incident=incidents.from_json(tail.get("i")),
        ignored_logins=tail.get("g", 0),
        messages=messages.from_tail(tail),
        login_offset=offset,
        command_offset=command_offset,
        command_id=command_id,
    )


def _unpack_entry(entry: tuple[Any, ...]) -> Kept:
    prefix, country, first, days, days_before, start, run_back, last_ms, logins, service, address = entry
    number = int.from_bytes(address, "big")
    shift = 128 - prefix
    runs = [] if run_back == NO_RUN else [(start, last_ms - run_back)]
    return Kept(  # by position: 0.3 us less than by name
        Network(number >> shift << shift, prefix),
        int.from_bytes(first, "big"),
        last_ms,
        number,
        SERVICES[service],
        None if country == b"\0\0" else country.decode(),
        logins,
        days,
        days_before,
        runs,
    )
