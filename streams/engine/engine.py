"""
The engine: reads the records of the input topics one by one and says what is to be written.

It joins the core (what is decided), the records (bytes to values and back) and the accounts in memory. It does no I/O:
the worker hands it what Kafka brought and writes what it took; a replay does the same with a file.
"""

from collections.abc import Callable
from typing import Any, Protocol

from streams.core import commands, detect, hot
from streams.core.accounts import canonical_account, is_passed_on
from streams.core.addresses import Network, cut, parse_address
from streams.core.book import RuleBook, Rules
from streams.core.episodes import Outputs, World
from streams.core.hot import Spot
from streams.core.messages import from_tail, to_tail
from streams.core.recent import RecentStates
from streams.core.refusal import Refused
from streams.core.state import AccountState, login_offset, pack, put_together, take_apart, unpack
from streams.core.values import Login, judged_time
from streams.engine.accounts import Accounts, PlainAccounts
from streams.engine.batch import Arrival, Batch, Decision, Forward, Headers, Output
from streams.engine.tables import Tables
from streams.records.codec import Codec
from streams.records.letters import dead_letter
from streams.records.login import Login as LoginFields
from streams.records.times import LAST_MS
from streams.topology import BLOCKS, BY_NAME, COMMANDS, DEAD_LETTERS, LOGINS, SUBMISSIONS

MOST_SPOTS = 300_000
"""Addresses remembered, over all rules; then the caches start anew."""
EMPTY = pack(AccountState())
FORWARDED = "loginwatch-forwarded"
"""Header of a record that was passed on under its right key: it is not passed on twice."""


class Places(World, Protocol):
    """A geo database as the engine asks it."""

    def country_of(self, number: int) -> str | None:
        """The country code of an address given as a number of 128 bits."""
        ...


class Kernel(Protocol):
    """What does the usual logins of a batch: `compiled.usual.UsualLogins`."""

    def new_accounts(self) -> Any:
        """Nobody's accounts yet, in its own form."""

    def take_counts(self) -> tuple[int, int]:
        """Logins that counted and failed ones, since it was asked last."""

    def forget_countries(self) -> None:
        """What the geo database said before holds no longer."""

    def run(
        self, book: RuleBook, places: Any, accounts: Any, partition: int, records: Any, first: int, end: int
    ) -> int:
        """The first record that it leaves to the engine; `end` = none."""


class Engine:
    """
    All accounts of some partitions, and the rules they are judged by.

    `encode` turns a record's name and fields into bytes. `route` tells the partition of a key; without it (a replay)
    wrongly keyed logins are judged at once. `kernel` does the usual logins of `usual_logins`. Not safe for threads.
    """

    def __init__(
        self,
        *,
        codec: Codec,
        places: Places,
        lateness_ms: int,
        default_domain: str = "",
        encode: Callable[[str, dict[str, Any]], bytes] | None = None,
        route: Callable[[bytes], int] | None = None,
        process: str = "worker",
        largest: int = 1 << 16,
        kernel: Kernel | None = None,
    ) -> None:
        self.book = RuleBook(default_domain)
        self.accounts: dict[int, Accounts] = {}
        self.apply_table = Tables(codec, self.book).apply
        self._codec = codec
        self._encode = encode or codec.encode
        self._places = places
        self._lateness_ms = lateness_ms
        self._default_domain = default_domain
        self._route = route
        self._process = process
        self._kernel = kernel
        self._largest = largest
        self._batch = Batch()
        self._recent = RecentStates()
        self._usual = 0
        self._spots = 0

    @property
    def has_outputs(self) -> bool:
        """Whether something is to be written."""
        return bool(self._batch.outputs)

    def take(self) -> Batch:
        """What the records since the last call led to."""
        usual, failed = self._kernel.take_counts() if self._kernel is not None else (0, 0)
        if usual + self._usual:
            self._batch.count("logins", "counted", number=usual + self._usual)
            self._usual = 0
        if failed:
            self._batch.count("logins", "failed", number=failed)
        batch, self._batch = self._batch, Batch()
        for partition, accounts in self.accounts.items():
            touched = accounts.take_touched()
            if touched:
                batch.touched[partition] = touched
        return batch

    def held(self, partition: int) -> Accounts:
        """The accounts of a partition, for reading and writing."""
        accounts = self.accounts.get(partition)
        if accounts is None:
            accounts = self.accounts[partition] = self.new_accounts()
        return accounts

    def new_accounts(self) -> Accounts:
        """Nobody's accounts yet, in the form that this engine works on."""
        made: Accounts = PlainAccounts() if self._kernel is None else self._kernel.new_accounts()
        return made

    def usual_logins(self, partition: int, records: Any, first: int, end: int) -> int:
        """
        Do the logins from `first` to `end` (exclusive) of a batch as far as they are usual; the first that is not.

        `process` shall have that one, and the next call begins behind it: a partition's records are read in their order.
        """
        if self._kernel is None:
            return first
        return self._kernel.run(self.book, self._places, self.held(partition), partition, records, first, end)

    def use_places(self, places: Places) -> None:
        """Another geo database, or a new edition of it: what was remembered of addresses is forgotten."""
        self._places = places
        self._recent.forget()
        self.book.forget_rules()
        if self._kernel is not None:
            self._kernel.forget_countries()

    def process(
        self,
        topic: str,
        partition: int,
        offset: int,
        now_ms: int,
        key: bytes | None,
        raw: bytes | None,
        headers: Headers = (),
    ) -> None:
        """Read one record of an input topic. Never raises for what is in it: a bad one becomes a dead letter."""
        try:
            if raw is None or len(raw) > self._largest:
                raise _unusable(raw, self._largest)
            if not 0 <= now_ms <= LAST_MS:
                raise Refused("bad-timestamp", f"the record's timestamp is {now_ms}: set LogAppendTime on {topic}")
            if topic == LOGINS.name:
                fields = self._codec.login(raw)
                if not self.usual(fields, partition, offset, now_ms, key):
                    self._login(Arrival(topic, partition, offset, now_ms, key, raw, headers), fields)
            elif topic == SUBMISSIONS.name:
                self._submission(Arrival(topic, partition, offset, now_ms, key, raw, headers))
            else:
                self._command(Arrival(topic, partition, offset, now_ms, key, raw, headers))
        except Refused as refusal:
            self.refuse(refusal, topic, partition, offset, now_ms, key, raw)

    def refuse(
        self,
        refusal: Refused,
        topic: str,
        partition: int,
        offset: int,
        now_ms: int,
        key: bytes | None,
        raw: bytes | None,
    ) -> None:
        """Write a dead letter for a record that could not be used."""
        now_ms = min(max(now_ms, 0), LAST_MS)
        record = dead_letter(
            refusal,
            topic=topic,
            partition=partition,
            offset=offset,
            time_ms=now_ms,
            key=key,
            raw=raw,
            process=self._process,
            largest=self._largest,
        )
        self._batch.count("dead_letters", refusal.reason)
        letter = self._encode(DEAD_LETTERS.record, record)
        self._batch.outputs.append(Output(DEAD_LETTERS.name, record["key"], letter, now_ms))

    def usual(self, fields: LoginFields, partition: int, offset: int, now_ms: int, key: bytes | None) -> bool:
        """
        The hot path: a login of a known account, under its key, that takes no judgement, is done here.

        False = it is not: nothing was changed, and `process` shall have it. So a replay, which has the fields at hand,
        asks here first. Everything that the full way asks is asked here too: a known name is canonical, and a known
        account lies in its partition. Raises Refused for a bad address, as nothing was changed either.
        """
        time_ms, account, ip, success, service, _ = fields
        accounts = self.accounts.get(partition)
        packed = None if accounts is None else accounts.get(account)
        if accounts is None or packed is None or not success:
            return False
        if self._route is not None and is_passed_on(account, key):
            return False
        rules = self.book.rules(account, now_ms)
        spot = rules.spots.get(ip) or self._make_spot(rules, ip)
        patched = hot.extend(
            packed, spot, time_ms, service, rules, offset=offset, now_ms=now_ms, lateness_ms=self._lateness_ms
        )
        if patched is None:
            return False
        accounts.keep(account, patched)
        self._usual += 1
        return True

    def _login(self, arrival: Arrival, fields: LoginFields) -> None:
        time_ms, account, ip, success, service, login_id = fields
        if not success:
            self._batch.count("logins", "failed")
            return
        accounts = self.held(arrival.partition)
        packed = accounts.get(account)
        if packed is None:
            account = canonical_account(account, self._default_domain)
            packed = accounts.get(account)
        if self._route is not None and not self._is_ours(arrival, account, packed):
            return
        now_ms = arrival.now_ms
        if time_ms > now_ms:
            time_ms = self._unskewed(time_ms, now_ms)
        rules = self.book.rules(account, now_ms)
        spot = rules.spots.get(ip) or self._make_spot(rules, ip)
        if packed is not None and arrival.offset <= login_offset(packed):
            self._batch.count("logins", "replayed")
            accounts.touch(account)
            return
        if packed is None:
            first = hot.first(spot, time_ms, service, rules, offset=arrival.offset, now_ms=now_ms)
            if first is not None:
                accounts.keep(account, first)
                self._usual += 1
                return
        login = Login(
            account, time_ms, spot.number, spot.network, spot.country, service, login_id, spot.safe, spot.ignored
        )
        self._judge(arrival, login, packed, rules)

    def _judge(self, arrival: Arrival, login: Login, packed: bytes | None, rules: Rules) -> None:
        state = AccountState() if packed is None else self._recent.take(login.account, packed)
        verdict = detect.judge(
            state, login, rules, now_ms=arrival.now_ms, lateness_ms=self._lateness_ms, world=self._places
        )
        state.login_offset = arrival.offset
        self._batch.count("logins", verdict.outcome)
        if verdict.let_go:
            self._batch.count("let_go", number=verdict.let_go)
        self._recent.put(login.account, self._store(arrival.partition, login.account, state), state)
        if not verdict.outputs:
            return
        self._write(verdict.outputs, login.account, arrival.now_ms, rules)
        if verdict.outputs[0][1]["revision"] == 1:  # each login's first output is its incident
            blocked = any(topic == "blocks" for topic, _ in verdict.outputs)
            self._batch.decisions.append(Decision(arrival.now_ms, blocked))

    def _submission(self, arrival: Arrival) -> None:
        record = self._codec.decode(SUBMISSIONS.record, arrival.raw)
        found = self._owned(arrival, record["account"])
        if found is None or not record["accepted"]:
            return
        account, packed = found
        body, tail = take_apart(packed)
        sent = from_tail(tail)
        if arrival.offset <= sent.offset:
            self._batch.count("messages_repeated")
            self.accounts[arrival.partition].touch(account)
            return
        self._batch.count("messages" if sent.count(record, account, arrival.now_ms) else "messages_repeated")
        sent.offset = arrival.offset
        to_tail(sent, tail)
        self.accounts[arrival.partition].keep(account, put_together(body, tail))

    def _command(self, arrival: Arrival) -> None:
        record = self._codec.decode(COMMANDS.record, arrival.raw)
        found = self._owned(arrival, record["account"])
        if found is None:
            return
        account, packed = found
        state = unpack(packed)
        if arrival.offset <= state.command_offset:
            self._batch.count("commands", "replayed")
            self.accounts[arrival.partition].touch(account)
            return
        rules = self.book.rules(account, arrival.now_ms)
        outputs = commands.apply_command(state, record, rules, account, now_ms=arrival.now_ms, world=self._places)
        self._batch.count("commands", record["action"])
        if record["action"] != "describe":
            state.command_offset = arrival.offset
            self._store(arrival.partition, account, state)
        self._write(outputs, account, arrival.now_ms, rules)
        if record["action"] == "reset" and record["forget"]:
            self._forget(arrival, account)

    def _forget(self, arrival: Arrival, account: str) -> None:
        """
        Leave nothing of the account: tombstones for its state and for its blocks.

        The applied offsets go with the state, so a batch that is repeated after a crash may count its last logins anew.
        """
        self.accounts[arrival.partition].forget(account)
        self._batch.outputs.append(Output(BLOCKS.name, account, None, arrival.now_ms))

    def _owned(self, arrival: Arrival, name: str) -> tuple[str, bytes] | None:
        """The canonical account and its packed state (an empty one if there is none); None where the record was passed on."""
        accounts = self.held(arrival.partition)
        packed = accounts.get(name)
        account = name if packed is not None else canonical_account(name, self._default_domain)
        packed = accounts.get(account)
        if self._route is not None and not self._is_ours(arrival, account, packed):
            return None
        return account, EMPTY if packed is None else packed

    def _is_ours(self, arrival: Arrival, account: str, packed: bytes | None) -> bool:
        """
        Whether a record came under its account's key, in its account's partition; else it is passed on, once.

        The partition is only computed for accounts that are new here: murmur2 in Python costs more than a login.
        """
        route = self._route
        in_place = packed is not None or route is None or route(account.encode()) == arrival.partition
        if not is_passed_on(account, arrival.key, in_place=in_place):
            return True
        if any(header == FORWARDED for header, _ in arrival.headers):
            raise Refused(
                "bad-partition",
                f"passed on under its key {account!r}, the record still came to partition {arrival.partition}: "
                "some producer does not partition by murmur2, or the topics have different numbers of partitions",
            )
        self._batch.count("forwarded", arrival.topic)
        self._batch.forwards.append(Forward(arrival.topic, account, arrival.raw, ((FORWARDED, b"1"),)))
        return False

    def _unskewed(self, time_ms: int, now_ms: int) -> int:
        judged = judged_time(time_ms, now_ms)
        if judged != time_ms:
            self._batch.count("skew")
        return judged

    def _make_spot(self, rules: Rules, ip: str) -> Spot:
        number = parse_address(ip)
        network = cut(number, rules.policy.ipv4_prefix, rules.policy.ipv6_prefix)
        country = self._places.country_of(number)
        safe = bool(rules.safe) and rules.safe_cover(Network(number, 128)) is not None
        spot = hot.make_spot(number, network, country, safe=safe, ignored=country in rules.ignored)
        self._spots += 1
        if self._spots > MOST_SPOTS:
            self.book.forget_rules()
            self._spots = 0
        rules.spots[ip] = spot
        return spot

    def _store(self, partition: int, account: str, state: AccountState) -> bytes:
        packed = pack(state)
        self.accounts[partition].keep(account, packed)
        return packed

    def _write(self, outputs: Outputs, account: str, now_ms: int, rules: Rules) -> None:
        for topic, record in outputs:
            value = self._encode(BY_NAME[topic].record, record)
            self._batch.outputs.append(Output(topic, account, value, now_ms))
            self._batch.count_output(topic, record, rules.policy)


def _unusable(raw: bytes | None, largest: int) -> Refused:
    if raw is None:
        return Refused("empty", "the record has no value")
    return Refused("too-large", f"the record has {len(raw)} bytes, more than {largest}")
