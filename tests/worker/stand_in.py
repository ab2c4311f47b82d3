"""
A stand-in engine with the API of `streams.engine.Engine`: counts the logins of every account and publishes each.

Its state is 24 bytes of applied offsets, a count, and a checksum over everything it has applied, so that a login applied
twice, left out or taken in another order shows in the bytes. Every login of an account becomes one output with the count
before it, which makes lost and invented outputs visible too. A record on `policies` sets the word that outputs carry.
"""

import hashlib
import os
import struct
from collections.abc import Sequence
from typing import Any

from streams.core.refusal import Refused
from streams.engine.accounts import Accounts, PlainAccounts
from streams.engine.batch import Batch, Output
from streams.geo import NoPlaces
from streams.settings import Settings
from streams.worker.main import Parts

STATE = struct.Struct("<qqqQ16s")
TOPICS = {"logins": 0, "submissions": 1, "account-commands": 2}


class StandIn:
    """Counts; see the module."""

    def __init__(self, *, every: int = 1) -> None:
        self.accounts: dict[int, Accounts] = {}
        self.word = b"none"
        self._every = every
        self._batch = Batch()

    def use_places(self, places: Any) -> None:
        pass

    def new_accounts(self) -> PlainAccounts:
        return PlainAccounts()

    def usual_logins(self, partition: int, records: Any, first: int, end: int) -> int:
        return first

    def apply_table(self, topic: str, key: bytes | None, raw: bytes | None) -> None:
        if raw is not None and raw.startswith(b"bad"):
            raise Refused("bad-policy", "this policy says nothing")
        if topic == "policies":
            self.word = raw or b"none"

    def process(
        self,
        topic: str,
        partition: int,
        offset: int,
        now_ms: int,
        key: bytes | None,
        raw: bytes | None,
        headers: Sequence[Any] = (),
    ) -> None:
        if key is None or raw is None or raw.startswith(b"poison"):
            self._batch.outputs.append(Output("dead-letters", key, f"{topic}/{partition}/{offset}".encode(), now_ms))
            return
        account = key.decode()
        accounts = self.accounts.setdefault(partition, self.new_accounts())
        packed = accounts.get(account)
        fields = list(STATE.unpack(packed)) if packed else [-1, -1, -1, 0, b""]
        if offset <= fields[TOPICS[topic]]:
            accounts.touch(account)
            return
        fields[TOPICS[topic]] = offset
        fields[3] += 1
        fields[4] = hashlib.blake2b(fields[4] + raw, digest_size=16).digest()
        accounts.keep(account, STATE.pack(*fields))
        if fields[3] % self._every == 0:
            value = b"%d %s %s %s" % (fields[3], fields[4].hex().encode(), self.word, raw)
            self._batch.outputs.append(Output("incidents", account, value, now_ms))

    def refuse(self, refusal: Refused, topic: str, partition: int, offset: int, now_ms: int, *_: Any) -> None:
        self._batch.outputs.append(Output("dead-letters", None, refusal.reason.encode(), now_ms))

    def take(self) -> Batch:
        batch, self._batch = self._batch, Batch()
        touched = {partition: accounts.take_touched() for partition, accounts in self.accounts.items()}
        batch.touched = {partition: states for partition, states in touched.items() if states}
        return batch


class StandInForm:
    """Its states, as recovery understands them."""

    def check(self, packed: bytes) -> None:
        if len(packed) != STATE.size:
            raise Refused("bad-state", f"a state of {len(packed)} bytes cannot be read")

    def is_newer(self, candidate: bytes, held: bytes) -> bool:
        self.check(candidate)
        return STATE.unpack(candidate)[:3] >= STATE.unpack(held)[:3]

    def newest_login(self, accounts: Accounts) -> int:
        return max((int(STATE.unpack(packed)[0]) for packed in accounts.values()), default=-1)


class NoCodec:
    registry = None

    def encode(self, record: str, value: dict[str, Any]) -> bytes:
        return repr((record, value)).encode()


def parts(settings: Settings) -> Parts:
    return Parts(StandIn(every=int(os.environ.get("STAND_IN_EVERY", "1"))), StandInForm(), NoCodec(), NoPlaces())
