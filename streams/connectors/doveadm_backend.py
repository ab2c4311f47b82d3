"""
A Dovecot whose sessions are ended through its doveadm HTTP API: the client around `doveadm.py`.

Decision: a kick is done again after `REPEAT_MS`, since a login between its second `allow` and its mail process is in no list
of sessions. What was learned of the Dovecot is forgotten when it does not answer: it may come back as another version.
"""

import base64
from collections.abc import Sequence

import aiohttp
import structlog

from streams.connectors import doveadm
from streams.connectors.doveadm import Answer, Command, Dialect
from streams.connectors.enforcement_queue import Block, Order, Reply, Verdict
from streams.connectors.receivers import Receiver, read_bounded, trouble_of
from streams.core.refusal import Refused
from streams.metrics import AUTH_CACHE_FLUSHES, KICKS, Metric, Metrics
from streams.records.codec import Codec
from streams.settings import Settings

log = structlog.get_logger(__name__)

REPEAT_MS = 3_000
ROUNDS = 2
KICKS_AT_ONCE = 50
"""In one request; each takes Dovecot about 10 ms."""


class AwayError(Exception):
    """The backend cannot be used now."""


class DoveadmBackend:
    """One Dovecot node."""

    counter: Metric = KICKS
    kind = "doveadm"
    lifts = True
    """An unblock needs no kick, and one that waits is not wanted any more."""

    def __init__(
        self,
        receiver: Receiver,
        session: aiohttp.ClientSession,
        settings: Settings,
        metrics: Metrics,
        *,
        repeat_ms: int = REPEAT_MS,
    ) -> None:
        self.name = receiver.name
        self._url = receiver.url if receiver.url.path not in ("", "/") else receiver.url.with_path(doveadm.PATH)
        self._session = session
        key = settings.enforcement_doveadm_key.get_secret_value()
        self._headers = {
            "Authorization": f"X-Dovecot-API {base64.b64encode(key.encode()).decode()}",
            "Content-Type": "application/json",
        }
        self._default_domain = settings.default_domain
        self._flushes = settings.enforcement_auth_cache_flush
        self._metrics = metrics
        self._repeat_ms = repeat_ms
        self._dialect: Dialect | None = None

    def wants(self, block: Block, now_ms: int, *, news: bool) -> bool:  # noqa: ARG002 - webhooks need it
        """Is there anything to close?"""
        return block["state"] == "blocked" and not self.is_over(block, now_ms)

    def is_over(self, block: Block, now_ms: int) -> bool:
        """A block that has ended closes nothing."""
        return int(block["until"]) <= now_ms

    def letter(self, block: Block) -> bytes:
        """What a dead letter keeps: the block."""
        return Codec().encode("Block", block)

    async def probe(self) -> Reply | None:
        """Is it there, and does it take the key?"""
        try:
            await self._dialect_now()
        except AwayError as error:
            return Reply(Verdict.AWAY, "retried", str(error))
        return Reply(Verdict.DONE, "none")

    async def carry_out(self, order: Order) -> Reply:
        """One round of kicks; at the first also empty the auth cache."""
        try:
            names = doveadm.names_of(order.account, self._default_domain)
        except Refused as refusal:
            return Reply(Verdict.NEVER, "refused", str(refusal))
        try:
            dialect = await self._dialect_now()
            outcomes = [await self._close(name, order.block["except_networks"], dialect) for name in names]
        except AwayError as error:
            self._dialect = None
            return Reply(Verdict.AWAY, "retried", str(error))
        if order.round == 0:
            await self._flush(names, dialect)
        outcome = next((word for word in ("closed", "spared") if word in outcomes), "none")
        if order.round + 1 < ROUNDS:
            return Reply(Verdict.AGAIN, outcome, wait_ms=self._repeat_ms)
        return Reply(Verdict.DONE, outcome)

    async def _close(self, name: str, except_networks: Sequence[str], dialect: Dialect) -> str:
        """Close the sessions of a name outside these networks. `closed`, `spared` (all that were open) or `none`."""
        if not except_networks:
            return await self._close_all(name, dialect)
        (answer,) = await self._ask([doveadm.who(name)])
        try:
            plan = doveadm.plan(doveadm.sessions_of(answer, name), except_networks)
        except Refused as refusal:
            raise AwayError(str(refusal)) from refusal
        if plan.everything:
            return await self._close_all(name, dialect)
        closed = False
        for start in range(0, len(plan.addresses), KICKS_AT_ONCE):
            some = plan.addresses[start : start + KICKS_AT_ONCE]
            closed |= await self._kick([doveadm.kick(name, address) for address in some])
        return "closed" if closed else "spared" if plan.spared else "none"

    async def _close_all(self, name: str, dialect: Dialect) -> str:
        closed = await self._kick([doveadm.kick(name)])
        if dialect.proxy_kick:
            (answer,) = await self._ask([doveadm.proxy_kick(name)])
            closed |= doveadm.was_kicked_at_proxy(answer)
        return "closed" if closed else "none"

    async def _kick(self, commands: list[Command]) -> bool:
        answers = await self._ask(commands)
        try:
            closed = [doveadm.was_kicked(answer) for answer in answers]
        except Refused as refusal:
            raise AwayError(str(refusal)) from refusal
        return any(closed)

    async def _flush(self, names: Sequence[str], dialect: Dialect) -> None:
        """A cache that cannot be emptied delays a new password, but opens nothing that is blocked: never tried again."""
        command = doveadm.flush(names, dialect) if self._flushes else None
        outcome = "skipped"
        if command is not None:
            try:
                (answer,) = await self._ask([command], tries=1)
                outcome = "failed" if answer.error else "flushed"
            except AwayError as error:
                log.debug("the auth cache could not be emptied", backend=self.name, why=str(error))
                outcome = "failed"
        self._metrics.of(AUTH_CACHE_FLUSHES, outcome=outcome).inc()

    async def _dialect_now(self) -> Dialect:
        """What this Dovecot understands, asked once."""
        if self._dialect is None:
            listed = await self._request("GET", None)
            (nobody,) = await self._ask([doveadm.kick(doveadm.NOBODY)])
            try:
                self._dialect = doveadm.dialect_of(doveadm.read_commands(listed), nobody)
            except Refused as refusal:
                raise AwayError(str(refusal)) from refusal
        return self._dialect

    async def _ask(self, commands: list[Command], *, tries: int = 2) -> list[Answer]:
        """The answers to these commands. Raises AwayError."""
        raw = await self._request("POST", doveadm.body_of(commands), tries=tries)
        try:
            return doveadm.read_answers(raw, commands)
        except Refused as refusal:
            raise AwayError(str(refusal)) from refusal

    async def _request(self, method: str, body: bytes | None, *, tries: int = 2) -> bytes:
        """The body of the answer. A kept connection may have been closed meanwhile, so that is tried once more at once."""
        try:
            async with self._session.request(
                method, self._url, data=body, headers=self._headers, allow_redirects=False
            ) as response:
                if response.status == 401:
                    raise AwayError("answers 401: it does not accept enforcement_doveadm_key as its doveadm_api_key")
                if response.status != 200:
                    raise AwayError(f"answers {response.status}: is this its doveadm HTTP listener?")
                return await read_bounded(response)
        except Refused as refusal:
            raise AwayError(str(refusal)) from refusal
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if tries > 1 and not isinstance(error, aiohttp.ClientConnectorError):
                return await self._request(method, body, tries=tries - 1)
            raise AwayError(trouble_of(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise AwayError(trouble_of(error)) from error
