"""
The door for weakforced's clients: its lists and its commands beside `allow` and `report`.

Decision: an entry lives on the compacted topic `access-lists`, which every gateway reads, so it holds on all of them and
after a restart. A call is answered when Kafka has the change and this gateway shows it. A white-listed address or network
is a safe network for everyone as well, since whoever trusts it at the door does not want it counted; it goes with its
entry, and a safe network that an administrator made is never touched.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

import structlog

from streams.bus.view import Record, TableView
from streams.connectors.access_lists import AccessLists, Entry, Listed, Subject, entry_key
from streams.connectors.blocks_view import BlocksView
from streams.connectors.http_door import Call
from streams.connectors.list_writer import ListWriter, Write
from streams.connectors.weakforced import (
    NOT_DONE,
    NOTHING_NAMED,
    OK,
    WARMUP,
    Reply,
    Standing,
    db_stats,
    failure,
    listing,
    not_done,
    parse_add,
    parse_delete,
    parse_key,
    verdict,
)
from streams.core.accounts import EVERYONE
from streams.core.book import safe_key
from streams.core.refusal import Refused
from streams.errors import DeliveryError
from streams.metrics import ACCESS_CHANGES, ACCESS_ENTRIES, ACCESS_UNREADABLE, Metrics
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import ACCESS_LISTS, COMMANDS, SAFE_NETWORKS

LOG = structlog.get_logger(__name__)

ACTOR = "weakforced client "
"""Before the peer's address: who added an entry, and how our own safe networks are told from an administrator's."""
SHOWN_WITHIN_S = 2.0
TIDY_EVERY_S = 60.0
TIDY_AGAIN_S = 1.0
"""When there was more to delete than once at a time."""
EXPIRED_KEPT_MS = 3_600_000
"""
An expired entry's record is deleted this much later. Any gateway does it, and one that adds the same entry again at
that very moment could lose it, so this is away from the moment of expiry, when feeds renew their entries.
"""
MOST_TIDIED = 100
COUNT_HOLDS_MS = 1000
"""Counting what is in force takes milliseconds with many entries, so full lists are not counted for every entry."""


class WeakforcedDoor:
    """
    The lists, their view, and every command of weakforced but `allow` and `report`.

    `ready` says whether the gateway judges logins; `stats` gives the numbers of the deprecated command.
    """

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        metrics: Metrics,
        blocks: BlocksView,
        *,
        clock_ms: Callable[[], int],
        ready: Callable[[], bool],
        stats: Callable[[], bytes],
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._blocks = blocks
        self._clock_ms = clock_ms
        self._ready = ready
        self._stats = stats
        self._writer = ListWriter(settings, codec)
        self.lists = AccessLists(codec, settings.default_domain, self._unreadable)
        self._trusted: dict[bytes, str] = {}
        """Safe networks for everyone by key: who added each."""
        self._counting = asyncio.Lock()
        self._counted_ms = 0
        """When the entries in force were last counted; 0 if that holds no longer."""
        self._room = 0
        """How many more entries are taken until they are counted again."""
        self.view = TableView(settings, [ACCESS_LISTS, SAFE_NETWORKS], apply_batch=self._apply, name="lists")
        metrics.on_scrape(ACCESS_ENTRIES, lambda: len(self.lists))

    def close(self) -> None:
        """Stop the housekeeping of the lists, and let go of Kafka."""
        self.lists.close()
        self._writer.close()

    def judge(self, address: str, account: str | None, now_ms: int) -> tuple[str, bytes] | None:
        """What the lists say of a client: the metric's word and the answer to `allow`; None if they say nothing."""
        entry = self.lists.judge(address, account, now_ms)
        return None if entry is None else (f"{entry.listed}ed", verdict(entry, self._settings.gateway_list_message))

    def calls(self) -> Mapping[str, Call]:
        """Every command, by its name."""
        done = {
            "addBLEntry": Call("POST", lambda body, peer: self._add("blacklist", body, peer)),
            "addWLEntry": Call("POST", lambda body, peer: self._add("whitelist", body, peer)),
            "delBLEntry": Call("POST", lambda body, _: self._delete("blacklist", body)),
            "delWLEntry": Call("POST", lambda body, _: self._delete("whitelist", body)),
            "getBL": Call("GET", lambda _body, _peer: self._list("blacklist")),
            "getWL": Call("GET", lambda _body, _peer: self._list("whitelist")),
            "getDBStats": Call("POST", lambda body, _: self._db_stats(body)),
            "reset": Call("POST", self._reset),
            "ping": Call("GET", self._ping),
            "stats": Call("GET", self._show_stats),
        }
        return done | {name: Call("", _refuser(name)) for name in NOT_DONE}

    async def tidy_for_ever(self) -> None:
        """Delete the records of entries that expired a while ago."""
        tidied = 0
        while True:
            await asyncio.sleep(TIDY_AGAIN_S if tidied == MOST_TIDIED else TIDY_EVERY_S)
            tidied = await self.tidy()

    async def tidy(self) -> int:
        """Delete the records of entries that expired a while ago, not too many at once: how many."""
        gone = (await asyncio.to_thread(self.lists.expired, self._clock_ms() - EXPIRED_KEPT_MS))[:MOST_TIDIED]
        try:
            if gone:
                await self._writer.write(
                    [write for entry in gone for write in self._removal(entry.listed, entry.subject)]
                )
        except DeliveryError as error:
            LOG.debug("expired entries are not deleted yet", entries=len(gone), reason=str(error))
            return 0
        return len(gone)

    async def _add(self, listed: Listed, body: bytes, peer: str) -> Reply:
        now_ms = self._clock_ms()
        try:
            order = parse_add(body, self._settings.default_domain)
            entry = Entry(listed, order.subject, order.reason, ACTOR + peer, now_ms, now_ms + order.expire_secs * 1000)
            await self._require_room(entry, now_ms)
            writes = [Write(ACCESS_LISTS, entry.key, await self._writer.encode("AccessEntry", entry.record()))]
            if _is_safe_network(entry):
                writes += await self._safe_network(entry)
        except Refused as refusal:
            return self._refused(refusal)
        return await self._written(writes)

    async def _delete(self, listed: Listed, body: bytes) -> Reply:
        try:
            subject = parse_delete(body, self._settings.default_domain)
        except Refused as refusal:
            return self._refused(refusal)
        return await self._written(self._removal(listed, subject))

    async def _list(self, listed: Listed) -> Reply:
        return await asyncio.to_thread(lambda: listing(listed, self.lists.entries(listed, self._clock_ms())))

    async def _db_stats(self, body: bytes) -> Reply:
        try:
            subject = parse_key(body, self._settings.default_domain)
        except Refused as refusal:
            return failure(f"Could not parse input: {refusal}")
        if subject is None:
            return failure(NOTHING_NAMED, 400)
        now_ms = self._clock_ms()
        black, white = (self.lists.of(listed, subject, now_ms) for listed in ("blacklist", "whitelist"))
        until = None if subject.account is None else self._blocks.until(subject.account, now_ms)
        blacklisted = None if black is None else (black.reason, black.expires_ms)
        if blacklisted is None and until is not None:
            blacklisted = ("blocked by loginwatch", until)
        whitelisted = None if white is None else (white.reason, white.expires_ms)
        return db_stats(subject, Standing(blacklisted, whitelisted, until))

    async def _reset(self, body: bytes, peer: str) -> Reply:
        """Black list entries go, and with a login the worker forgets its activity and lifts its block."""
        try:
            subject = parse_key(body, self._settings.default_domain)
        except Refused as refusal:
            return self._refused(refusal)
        if subject is None:
            return failure(NOTHING_NAMED, 400)
        now_ms = self._clock_ms()
        removed = [subject] if self.lists.holds(entry_key("blacklist", subject)) is not None else []
        if subject.kind == "login" and subject.account is not None:
            removed += [entry.subject for entry in self.lists.about(subject.account, now_ms)]
        writes = [write for one in dict.fromkeys(removed) for write in self._removal("blacklist", one)]
        if subject.account is not None:
            writes.append(await self._reset_command(subject.account, peer, now_ms))
        return await self._written(writes)

    async def _ping(self, _body: bytes, _peer: str) -> Reply:
        return OK if self._ready() else WARMUP

    async def _show_stats(self, _body: bytes, _peer: str) -> Reply:
        return 200, self._stats()

    def _removal(self, listed: Listed, subject: Subject) -> list[Write]:
        """Tombstones of an entry, known here or not, and of the safe network that came with it."""
        writes = [Write(ACCESS_LISTS, entry_key(listed, subject), None)]
        if listed == "whitelist" and subject.account is None and subject.network is not None:
            key = safe_key(EVERYONE, subject.network).encode()
            if self._trusted.get(key, "").startswith(ACTOR):
                writes.append(Write(SAFE_NETWORKS, key, None))
        return writes

    async def _safe_network(self, entry: Entry) -> list[Write]:
        """The safe network that means the same as a white-listed network, unless an administrator made one already."""
        assert entry.subject.network is not None
        key = safe_key(EVERYONE, entry.subject.network).encode()
        if not self._trusted.get(key, ACTOR).startswith(ACTOR):
            return []
        record = {
            "scope": EVERYONE,
            "network": str(entry.subject.network),
            "description": entry.reason or "on the white list",
            "actor": entry.actor,
            "time": entry.time_ms,
            "expires": entry.expires_ms,
        }
        return [Write(SAFE_NETWORKS, key, await self._writer.encode("SafeNetwork", record))]

    async def _reset_command(self, account: str, peer: str, now_ms: int) -> Write:
        command = {
            "time": now_ms,
            "id": str(uuid4()),
            "account": account,
            "action": "reset",
            "actor": ACTOR + peer,
            "reason": None,
            "minutes": None,
        }
        return Write(COMMANDS, account.encode(), await self._writer.encode("AccountCommand", command))

    async def _written(self, writes: list[Write]) -> Reply:
        """Write, wait until this gateway shows it, answer."""
        if not self.view.caught_up.is_set():
            # what is not known yet could be overwritten: an administrator's safe network, for instance
            self._metrics.of(ACCESS_CHANGES, outcome="failed").inc()
            return failure(f"the lists cannot be changed now, {self.view.problem() or 'they are loading'}")
        if not writes:
            return OK
        awaited = [write for write in writes if write.topic is ACCESS_LISTS]
        shown = [self._shown(write) for write in awaited]
        try:
            await self._writer.write(writes)
            if shown:
                await asyncio.wait(shown, timeout=SHOWN_WITHIN_S)
        except DeliveryError as error:
            self._metrics.of(ACCESS_CHANGES, outcome="failed").inc()
            LOG.warning("a change of the lists failed", reason=str(error))
            return failure(str(error))
        finally:
            for write in awaited:
                self.lists.expect_no_longer(write.key, write.value)
        if any(write.value is None for write in awaited):
            self._counted_ms = 0
        self._metrics.of(ACCESS_CHANGES, outcome="written").inc()
        return OK

    def _shown(self, write: Write) -> asyncio.Future[None]:
        """Done when this gateway's own view has applied the record."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def resolve() -> None:
            if not future.done():
                future.set_result(None)

        def applied() -> None:
            loop.call_soon_threadsafe(resolve)

        self.lists.expect(write.key, write.value, applied)
        return future

    async def _require_room(self, entry: Entry, now_ms: int) -> None:
        """Counts beside the event loop, on which logins wait. Raises Refused when the lists are full."""
        most = self._settings.gateway_list_entries
        if len(self.lists) < most or self.lists.holds(entry.key) is not None:
            return
        async with self._counting:
            if not 0 <= now_ms - self._counted_ms < COUNT_HOLDS_MS:
                self._counted_ms = now_ms  # before the count: a deletion meanwhile makes it void
                self._room = most - await asyncio.to_thread(self.lists.in_force, now_ms)
            if self._room <= 0:
                raise Refused(
                    "list-full", f"the lists hold {most} entries already, as many as gateway_list_entries allows"
                )
            self._room -= 1

    def _refused(self, refusal: Refused) -> Reply:
        self._metrics.of(ACCESS_CHANGES, outcome="refused").inc()
        return failure(str(refusal))

    def _unreadable(self, reason: str) -> None:
        self._metrics.of(ACCESS_UNREADABLE, reason=reason).inc()

    def _apply(self, records: list[Record]) -> None:
        self.lists.apply((record.key, record.value) for record in records if record.topic == ACCESS_LISTS.name)
        for record in records:
            if record.topic == SAFE_NETWORKS.name and record.key is not None:
                self._take_safe_network(record.key, record.value)

    def _take_safe_network(self, key: bytes, raw: bytes | None) -> None:
        """Remember who trusts a network for everyone; one that cannot be read is taken for an administrator's."""
        if not key.startswith(EVERYONE.encode()):
            return
        if raw is None:
            self._trusted.pop(key, None)
            return
        try:
            self._trusted[key] = self.lists.decode("SafeNetwork", raw)["actor"]
        except Refused as refusal:
            self._unreadable(refusal.reason)
            self._trusted[key] = ""


def _is_safe_network(entry: Entry) -> bool:
    return entry.listed == "whitelist" and entry.subject.kind == "ip"


def _refuser(name: str) -> Callable[[bytes, str], Awaitable[Reply]]:
    async def refuse(_body: bytes, _peer: str) -> Reply:
        return not_done(name)

    return refuse
