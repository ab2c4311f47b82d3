"""
The gateway: Dovecot's auth policy server, and weakforced's. It answers `allow` from memory and turns `report` into logins.

Settings: `gateway_*`. In Dovecot: `auth_policy_server_url = http://127.0.0.1:9102/` and
`auth_policy_server_api_header = X-API-Key:SECRET`. Wire: POST with a flat JSON object (Dovecot 2.3 and 2.4, weakforced);
every login asks `allow` twice, alike, and then reports.

The lists and other commands of weakforced are in `weakforced_door.py`.

Decision: whatever is asked, `allow` is answered 200 in the exact form (`auth_policy.py`), and what was let pass unjudged
is counted by reason, since Dovecot would let it pass in silence. Reports that cannot be used are dead letters unless they
failed, in the form of a Login, so that they can be mended and sent again.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Self

import orjson
import structlog

from streams.bus.view import Record, TableView
from streams.connectors.answering_door import AnsweringDoor, serve_door, wall_ms
from streams.connectors.auth_policy import PASS, answer, login_record, parse_request, usable
from streams.connectors.blocks_view import Answer, BlocksView
from streams.connectors.door_measures import FAULT, DoorMeasures
from streams.connectors.http_door import DoorOptions, HttpDoor
from streams.connectors.report_sender import ReportSender
from streams.connectors.weakforced import OK, Reply, failure
from streams.connectors.weakforced_door import WeakforcedDoor
from streams.core.accounts import canonical_account
from streams.core.refusal import Refused
from streams.errors import ConfigurationError
from streams.metrics import (
    BLOCKS_UNREADABLE,
    DOOR_ANSWERS,
    DOOR_REFUSED,
    Metrics,
)
from streams.records import registry
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS

LOG = structlog.get_logger(__name__)

NOT_A_SERVICE = "doveadm"
"""`doveadm auth test` asks and reports like a login, but is none."""
ID_BYTES = 12
REGISTRY_PATIENCE_S = 2.0
"""At start a schema registry is waited for no longer: a door that is not there is worse than its bytes' form."""
PASSED: Reply = (200, PASS)
KEY_AND_VALUE = attrgetter("key", "value")


class Gateway(AnsweringDoor):
    """
    One gateway: its listener, its view of `blocks`, its way to Kafka.

    Raises ConfigurationError when it may not or cannot start so. `run` serves until `request_stop`.
    """

    def __init__(self, settings: Settings, *, codec: Codec | None = None) -> None:
        options = _door_options(settings)
        metrics = Metrics("gateway")
        self._measures = DoorMeasures(metrics)
        self._settings = settings
        codec = codec or Codec(registry.from_settings(settings, patience_s=REGISTRY_PATIENCE_S))
        blocks = BlocksView(codec, wall_ms, self._measures.count_by(BLOCKS_UNREADABLE, "reason"))
        self._view = TableView(settings, [BLOCKS], apply_batch=self._apply, name="blocks")
        self._weakforced = WeakforcedDoor(
            settings,
            codec,
            metrics,
            blocks,
            clock_ms=wall_ms,
            ready=lambda: self.ready,
            stats=self._measures.stats,
        )
        self._deny: Reply = (200, answer(-1, settings.gateway_deny_message))
        self._count_answer = self._measures.count_by(DOOR_ANSWERS, "answer")
        super().__init__(
            "gateway",
            metrics,
            self._listener_of(options),
            views=(self._view, self._weakforced.view),
            blocks=blocks,
            held=(blocks, self._weakforced),
            reports=ReportSender(settings, codec, metrics),
            drain_s=settings.gateway_drain_timeout,
        )

    def allow(self, body: bytes, _peer: str) -> Reply:
        """May this login go on? Changes nothing, so Dovecot's two questions get one answer."""
        now_ms = wall_ms()
        account: str | None = None
        try:
            question = parse_request(body)
        except Refused as refusal:
            self._count_answer(f"open_{refusal.reason}")
            return PASSED
        try:
            account = canonical_account(question.login, self._settings.default_domain)
        except Refused as refusal:
            unjudged = refusal.reason  # its address may be on a list all the same
        listed = self._weakforced.judge(question.remote, account, now_ms)
        if listed is not None:
            self._count_answer(listed[0])
            return 200, listed[1]
        if account is None or not self._view.caught_up.is_set():
            self._count_answer(f"open_{unjudged}" if account is None else "open_not-ready")
            return PASSED
        found = self._blocks.ask(account, question.remote, now_ms)
        if found is Answer.DENIED:
            self._count_answer("denied")
            return self._deny
        self._count_answer("familiar" if found is Answer.FAMILIAR else "allowed")
        return PASSED

    def report(self, body: bytes, peer: str) -> Reply:
        """
        Pass on how a login went, stamped now: Dovecot sends no time, and does not repeat a report.

        A body that is no report is answered 500, as by weakforced; one that cannot be used is ours to mend.
        """
        now_ms = wall_ms()
        try:
            question = parse_request(body)
        except Refused as refusal:
            # nothing of the body is kept: without its form the password hash cannot be told from the rest
            self._reports.refuse(orjson.dumps({"time": now_ms, "server": peer, "bytes": len(body)}), now_ms, refusal)
            return failure(str(refusal))
        if question.protocol == NOT_A_SERVICE:
            self._reports.count("not_a_login")
            return OK
        login = login_record(question, now_ms, peer, secrets.token_urlsafe(ID_BYTES))
        try:
            self._reports.send(usable(login, self._settings.default_domain))
        except Refused as refusal:
            if question.success is False:
                self._reports.count("unusable_failure")
            else:
                self._reports.refuse(json.dumps(login).encode(), now_ms, refusal)
        return OK

    async def run(self, ready: Callable[[Self], None] | None = None) -> None:
        """As every door, and tidies the lists of weakforced's clients meanwhile."""
        tidying = asyncio.create_task(self._weakforced.tidy_for_ever())
        try:
            await super().run(ready)
        finally:
            tidying.cancel()

    def addresses(self) -> dict[str, Any]:
        """Where it listens, for the log."""
        return {"address": self._settings.gateway_listen}

    def _apply(self, records: list[Record]) -> None:
        self._blocks.apply(map(KEY_AND_VALUE, records))

    def _listener_of(self, options: DoorOptions) -> HttpDoor:
        return HttpDoor(
            options,
            {
                "allow": self._measures.command("allow", self.allow, PASSED),
                "report": self._measures.command("report", self.report, FAULT),
            },
            {
                "/health/live": self._live_page,
                "/livez": self._live_page,  # weakforced's names
                "/health/ready": self._ready_page,
                "/readyz": self._ready_page,
                "/metrics": self._metrics_page,
            },
            self._measures.count_by(DOOR_REFUSED, "reason"),
            {name: self._measures.call(name, call) for name, call in self._weakforced.calls().items()},
        )

    def _live_page(self) -> tuple[int, str, bytes]:
        reasons = self.failures()
        return _health("live", not reasons, reasons)

    def _ready_page(self) -> tuple[int, str, bytes]:
        reasons = self.troubles() + (["the gateway is stopping"] if self._stop_asked else [])
        return _health("ready", self.ready, reasons)

    def _metrics_page(self) -> tuple[int, str, bytes]:
        return 200, "text/plain; version=0.0.4; charset=utf-8", self.metrics.page()


def serve(settings: Settings, *, gateway: Gateway | None = None, ready: Callable[[Gateway], None] | None = None) -> int:
    """
    Run a gateway until SIGTERM, SIGINT or its `request_stop`; the exit code.

    In a thread other than the main one there are no signals: make the gateway first and keep it.
    """
    return serve_door(gateway or Gateway(settings), ready)


def _door_options(settings: Settings) -> DoorOptions:
    """How to listen. Raises ConfigurationError when nobody could be told from anybody."""
    secret = settings.gateway_api_key.get_secret_value()
    if not secret and not settings.gateway_allow_anonymous:
        raise ConfigurationError(
            "the gateway needs a secret: set gateway_api_key, and the same in Dovecot's auth_policy_server_api_header; "
            "or, if nobody else can reach the listener, set gateway_allow_anonymous"
        )
    if secret and settings.gateway_allow_anonymous:
        raise ConfigurationError("gateway_api_key and gateway_allow_anonymous contradict each other: unset one")
    return DoorOptions(
        listen=settings.gateway_listen,
        setting="gateway_listen",
        secret=secret,
        max_request_bytes=settings.gateway_max_request_bytes,
        max_connections=settings.gateway_max_connections,
        tls_cert_file=settings.gateway_tls_cert_file,
        tls_key_file=settings.gateway_tls_key_file,
    )


def _health(name: str, good: bool, reasons: list[str]) -> tuple[int, str, bytes]:
    return (200 if good else 503), "application/json", orjson.dumps({name: good, "reasons": reasons})
