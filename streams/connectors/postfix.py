"""
The Postfix door: a policy service that refuses blocked and black-listed accounts and forbidden senders, and reports messages.

Settings: `postfix_*`. In Postfix, for authenticated senders: `check_policy_service { inet:127.0.0.1:9105, timeout=2s,
{ default_action=DUNNO }, try_limit=2, retry_delay=1s }` in `smtpd_sender_restrictions` (asked at RCPT) and in
`smtpd_end_of_data_restrictions` (counts the message).

Decision: it refuses or has no opinion (DUNNO), never OK, which would skip Postfix's own rules. Whatever of ours fails, the
message passes, counted. The verdict is made before anything is reported, so that reporting can change none.
"""

import secrets
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Self

import orjson
import structlog

from streams.bus.health import HealthServer
from streams.bus.view import Record, TableView
from streams.connectors.access_lists import AccessLists
from streams.connectors.answering_door import AnsweringDoor, serve_door, usable, wall_ms
from streams.connectors.blocks_view import Answer, BlocksView
from streams.connectors.policy_door import PolicyDoor, PolicyDoorOptions
from streams.connectors.policy_protocol import PASS, REPLACEMENT, Request, parse_denial, reply
from streams.connectors.policy_records import THROUGH_DOVECOT, Remembered, login_record, submission_record
from streams.connectors.report_sender import ReportSender
from streams.connectors.rules_view import ANY_SENDER, RulesView
from streams.connectors.sender_policy import forbidden, refusal
from streams.core.accounts import canonical_account
from streams.core.addresses import parse_address
from streams.core.refusal import Refused
from streams.core.senders import related
from streams.errors import ConfigurationError
from streams.metrics import (
    ACCESS_ENTRIES,
    ACCESS_UNREADABLE,
    BLOCKS_UNREADABLE,
    DOOR_REFUSED,
    DOOR_SECONDS,
    POLICY_ANSWERS,
    RULES_READY,
    RULES_UNREADABLE,
    SENDERS_REFUSED,
    SENDERS_SEEN,
    Metrics,
)
from streams.records import registry
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import ACCESS_LISTS, BLOCKS, DOMAINS, LOGINS, POLICIES, SUBMISSIONS

LOG = structlog.get_logger(__name__)

COUNTED_AT = {"end-of-data": ("END-OF-MESSAGE",), "data": ("DATA", "BDAT")}
RECORDS = ("Login", "Submission", "DeadLetter")
MOST_REMEMBERED = 100_000
CONNECTION_MS = 600_000
"""A silent SMTP connection ends sooner (smtpd_timeout, 300 s): the same client address and port later is another one."""
MESSAGE_MS = 86_400_000
ID_BYTES = 12
REGISTRY_PATIENCE_S = 2.0
KIND_OF = {Answer.OPEN: "allowed", Answer.DENIED: "denied", Answer.FAMILIAR: "familiar"}
DENIALS = {"denied": "postfix_deny_action", "blacklisted": "postfix_list_action"}
"""Kinds of answer that refuse a client, with the setting that says how."""
KEY_AND_VALUE = attrgetter("key", "value")


class Postfix(AnsweringDoor):
    """
    One policy service: its listeners, its views of blocks and rules, its way to Kafka.

    Raises ConfigurationError when it cannot start so. `run` serves until `request_stop`.
    """

    def __init__(self, settings: Settings, *, codec: Codec | None = None) -> None:
        self._denials = {kind: _denial(settings, name) for kind, name in DENIALS.items()}
        self.metrics = Metrics("postfix")
        self._settings = settings
        codec = codec or Codec(registry.from_settings(settings, patience_s=REGISTRY_PATIENCE_S))
        blocks = BlocksView(codec, wall_ms, self._count_by(BLOCKS_UNREADABLE, "reason"))
        self._blocks_view = TableView(settings, [BLOCKS], apply_batch=self._apply_blocks, name="blocks")
        self._rules = RulesView(codec, settings.default_domain, self._count_by(RULES_UNREADABLE, "reason"))
        self._rules_view = TableView(settings, [POLICIES, DOMAINS], self._rules.apply, name="rules")
        self._lists = AccessLists(codec, settings.default_domain, self._count_by(ACCESS_UNREADABLE, "reason"))
        self._counted_at = COUNTED_AT[settings.postfix_count_at]
        self._messages = Remembered(MOST_REMEMBERED, MESSAGE_MS)
        self._connections = Remembered(MOST_REMEMBERED, CONNECTION_MS)
        self._count_answer = self._count_by(POLICY_ANSWERS, "answer")
        self._count_broken = self._count_by(SENDERS_REFUSED, "demand")
        self._count_sender = self._count_by(SENDERS_SEEN, "relation")
        self._count_refused = self._count_by(DOOR_REFUSED, "reason")
        self._observe_seconds = self.metrics.of(DOOR_SECONDS, command="policy").observe
        self.health_address = ""
        """Host and port of /metrics and /health while it runs."""
        lists_view = TableView(settings, [ACCESS_LISTS], apply_batch=self._apply_lists, name="lists")
        super().__init__(
            "postfix door",
            self.metrics,
            PolicyDoor(_door_options(settings), self.answer, self._count_refused),
            views=(self._blocks_view, self._rules_view, lists_view),
            blocks=blocks,
            held=(blocks, self._rules, self._lists),
            reports=ReportSender(settings, codec, self.metrics, records=RECORDS, buffer=settings.postfix_buffer),
            drain_s=settings.postfix_drain_timeout,
        )
        self.metrics.on_scrape(ACCESS_ENTRIES, lambda: len(self._lists))
        self.metrics.on_scrape(RULES_READY, self._rules_view.caught_up.is_set)

    def answer(self, request: Request | Refused) -> bytes:
        """The answer to one request. Never raises."""
        start = time.perf_counter()
        try:
            return self._answer(request)
        except Exception:  # the outermost loop of a request: a fault of ours must not hold up mail
            LOG.exception("a policy request could not be judged, the message passes")
            self._count_answer("open_fault")
            return PASS
        finally:
            self._observe_seconds(time.perf_counter() - start)

    async def run(self, ready: Callable[[Self], None] | None = None) -> None:
        """As every door, with pages of its own for health and metrics."""
        health = HealthServer(
            self._settings.postfix_health_listen,
            metrics=self.metrics,
            ready=self._reasons,
            live=self.failures,
            remarks=self._remarks,
            setting="postfix_health_listen",
        )
        with health:
            self.health_address = health.address
            await super().run(ready)

    def addresses(self) -> dict[str, Any]:
        """Where it listens, for the log."""
        settings = self._settings
        return {
            "address": settings.postfix_listen,
            "socket": settings.postfix_socket,
            "health": self.health_address,
        }

    def _answer(self, request: Request | Refused) -> bytes:
        if isinstance(request, Refused):
            self._count_answer(f"open_{request.reason}")
            return PASS
        if not request.username:
            self._count_answer("anonymous")
            return PASS
        try:
            account = self._account(request)
        except Refused as refused:
            return self._answer_nobody(request, refused)
        kind, answer = self._verdict(request, account)
        self._count_answer(kind)
        try:
            self._report(request, account, kind)
        except Exception:  # what is reported must not change what was answered
            LOG.exception("a policy request could not be reported")
            self._count_refused("fault")
        return answer

    def _answer_nobody(self, request: Request, refused: Refused) -> bytes:
        """A name that is no account's passes unjudged, but not from a black-listed address."""
        now_ms = wall_ms()
        listed = self._lists.judge(request.client_address, None, now_ms)
        if listed is not None and listed.listed == "blacklist":
            self._count_answer("blacklisted")
            return self._denials["blacklisted"]
        self._count_answer(f"open_{refused.reason}")
        if request.state in self._counted_at:
            self._dead_letter(submission_record(request, request.username, now_ms), SUBMISSIONS.name, refused)
        return PASS

    def _account(self, request: Request) -> str:
        if REPLACEMENT in request.username:
            raise Refused("bad-account", "sasl_username is no UTF-8")
        return canonical_account(request.username, self._settings.default_domain)

    def _verdict(self, request: Request, account: str) -> tuple[str, bytes]:
        """The kind of answer, for the metric, and its bytes. Changes nothing, so every clause gets the same."""
        kind = self._standing(account, request.client_address)
        if kind in self._denials:
            return kind, self._denials[kind]
        rules = self._rules.of(account) if self._rules_view.caught_up.is_set() else ANY_SENDER
        if rules.match_username or rules.match_domain:
            broken = forbidden(related(account, request.sender), **rules._asdict())
            if broken is not None:
                self._count_broken(broken.value)
                return "sender", reply(refusal(account, broken))
        return kind, PASS

    def _standing(self, account: str, address: str) -> str:
        """What lists and blocks say of a client, as a kind of answer. As at the gateway, the white list goes before all."""
        now_ms = wall_ms()
        listed = self._lists.judge(address, account, now_ms)
        if listed is not None:
            return f"{listed.listed}ed"
        if not self._blocks_view.caught_up.is_set():
            return "open_not-ready"
        return KIND_OF[self._blocks.ask(account, address, now_ms)]

    def _report(self, request: Request, account: str, kind: str) -> None:
        now_ms, denied = wall_ms(), kind in self._denials
        if self._settings.postfix_report_logins and request.mechanism != THROUGH_DOVECOT:
            connection = (request.client_address, request.client_port, account, denied)
            if self._connections.is_new(connection, now_ms):
                self._send_login(login_record(request, account, now_ms, secrets.token_urlsafe(ID_BYTES), denied=denied))
        if request.state not in self._counted_at or denied or kind == "sender":
            return
        message = request.instance or request.queue_id
        if not message or self._messages.is_new((request.server_address, message), now_ms):
            self._send_submission(submission_record(request, account, now_ms))

    def _send_login(self, login: dict[str, Any]) -> None:
        try:
            parse_address(login["ip"])
            self._reports.send(login)
        except Refused as refused:
            self._dead_letter(login, LOGINS.name, refused)

    def _send_submission(self, submission: dict[str, Any]) -> None:
        try:
            self._reports.submit(submission)
        except Refused as refused:
            self._dead_letter(submission, SUBMISSIONS.name, refused)
            return
        self._count_sender(related(submission["account"], submission["sender"]).value)

    def _dead_letter(self, record: dict[str, Any], topic: str, refused: Refused) -> None:
        self._reports.refuse(orjson.dumps(record), record["time"], refused, topic=topic)

    def _apply_blocks(self, records: list[Record]) -> None:
        self._blocks.apply(map(KEY_AND_VALUE, records))

    def _apply_lists(self, records: list[Record]) -> None:
        self._lists.apply(map(KEY_AND_VALUE, records))

    def _reasons(self) -> list[str]:
        """Why requests are not judged as they should be, sentences."""
        unready = [view for view in self._views if not usable(view)]
        reasons = [view.problem() or "a view is not ready" for view in unready]
        return [*reasons, "the policy service is stopping"] if self._stop_asked else reasons

    def _remarks(self) -> list[str]:
        """What an operator should know although requests are judged: sentences."""
        views = [view.problem() for view in self._views if usable(view)]
        return [trouble for trouble in (*views, self._reports.problem()) if trouble]

    def _count_by(self, metric: Any, label: str) -> Callable[[str], None]:
        made: dict[str, Any] = {}

        def count(value: str) -> None:
            if value not in made:
                made[value] = self.metrics.of(metric, **{label: value})
            made[value].inc()

        return count


def serve(settings: Settings, *, postfix: Postfix | None = None, ready: Callable[[Postfix], None] | None = None) -> int:
    """
    Run a policy service until SIGTERM, SIGINT or its `request_stop`; the exit code.

    In a thread other than the main one there are no signals: make the service first and keep it.
    """
    return serve_door(postfix or Postfix(settings), ready)


def _door_options(settings: Settings) -> PolicyDoorOptions:
    return PolicyDoorOptions(
        listen=settings.postfix_listen,
        socket_path=settings.postfix_socket,
        socket_mode=settings.postfix_socket_mode,
        max_request_bytes=settings.postfix_max_request_bytes,
        max_connections=settings.postfix_max_connections,
    )


def _denial(settings: Settings, name: str) -> bytes:
    try:
        return reply(parse_denial(getattr(settings, name)))
    except Refused as refused:
        raise ConfigurationError(f"setting {name}: {refused}") from refused
