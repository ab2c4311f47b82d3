"""
Every metric of every process: name, kind, unit, labels and help, declared once.

The reference in `docs/` is generated from this file. A process makes one `Metrics` with the metrics that it uses; the
registry is its own, never prometheus-client's global one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


@dataclass(frozen=True)
class Metric:
    """One metric: Prometheus name (with its unit), kind, help, and which processes have it."""

    name: str
    kind: str
    help: str
    processes: tuple[str, ...]
    unit: str = ""
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = SECONDS


def counter(name: str, help_text: str, *processes: str, unit: str = "", labels: tuple[str, ...] = ()) -> Metric:
    """Declare a counter; Prometheus adds `_total`."""
    return Metric(name, "counter", help_text, processes, unit, labels)


def gauge(name: str, help_text: str, *processes: str, unit: str = "", labels: tuple[str, ...] = ()) -> Metric:
    """Declare a gauge."""
    return Metric(name, "gauge", help_text, processes, unit, labels)


def histogram(
    name: str,
    help_text: str,
    *processes: str,
    labels: tuple[str, ...] = (),
    unit: str = "seconds",
    buckets: tuple[float, ...] = SECONDS,
) -> Metric:
    """Declare a histogram."""
    return Metric(name, "histogram", help_text, processes, unit, labels, buckets)


# --- worker
LOGINS = counter(
    "loginwatch_logins",
    "Logins by outcome: counted, safe, ignored (country), off (no policy), late, failed, blocked (made while the account was "
    "blocked: somebody's door is not enforcing), familiar (made during a block from a network that stays open), "
    "cut_off (before a reset or the end of a block), replayed (applied before a crash).",
    "worker",
    labels=("outcome",),
)
CLOCK_SKEW = counter(
    "loginwatch_logins_clock_skew", "Logins dated more than 5 minutes after their arrival, judged at arrival.", "worker"
)
FORWARDED = counter(
    "loginwatch_forwarded",
    "Records that came under another key than their account, or to another partition, and were passed on; by topic.",
    "worker",
    labels=("topic",),
)
INCIDENTS = counter(
    "loginwatch_incidents",
    "Incidents opened, by rule and by the level of the scope that set the exceeded limit.",
    "worker",
    labels=("rule", "level"),
)
INCIDENT_REVISIONS = counter("loginwatch_incident_revisions", "Revisions of incidents after the first.", "worker")
BLOCKS = counter("loginwatch_blocks", "Blocks by kind: automatic, manual, lifted.", "worker", labels=("kind",))
NETWORKS_LET_GO = counter(
    "loginwatch_networks_let_go", "Networks given up because an account has more than 64.", "worker"
)
MESSAGES = counter("loginwatch_messages", "Accepted submissions counted.", "worker")
MESSAGES_REPEATED = counter(
    "loginwatch_messages_repeated",
    "Accepted submissions that were counted before, by queue id, id or offset.",
    "worker",
)
COMMANDS = counter(
    "loginwatch_commands",
    "Commands applied, by action; replayed = applied before a crash, or the topic was made anew and begins at 0 again.",
    "worker",
    labels=("action",),
)

# --- worker: the shell around the engine
LAG = gauge(
    "loginwatch_worker_lag",
    "Input records not yet processed, by the broker's own end offsets.",
    "worker",
    unit="records",
    labels=("topic", "partition"),
)
RECOVERY_REMAINING = gauge(
    "loginwatch_worker_recovery_remaining",
    "Changelog records still to read before logins are judged.",
    "worker",
    unit="records",
)
RECOVERING = gauge("loginwatch_worker_recovering", "1 while accounts are read from the changelog.", "worker")
ACCOUNTS = gauge("loginwatch_worker_accounts", "Accounts in this worker's memory.", "worker", unit="accounts")
STATE_BYTES = gauge(
    "loginwatch_worker_state_bytes",
    "Bytes of their packed states, without the dictionary; estimated from a thousand of them per partition.",
    "worker",
    unit="bytes",
)
BATCH_RECORDS = histogram(
    "loginwatch_worker_batch_records",
    "Records in one batch: all that waited in the worker's partitions.",
    "worker",
    unit="records",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000),
)
BATCH_SECONDS = histogram(
    "loginwatch_worker_batch_seconds",
    "Time of one batch, from its first record to Kafka's last acknowledgement.",
    "worker",
)
DECISION_SECONDS = histogram(
    "loginwatch_decision_seconds",
    "Time from a login's arrival in Kafka to its decision; at most 10 logins of a partition and batch are timed.",
    "worker",
)
BLOCK_SECONDS = histogram(
    "loginwatch_block_seconds",
    "Time from a login's arrival in Kafka to the block it caused, acknowledged by Kafka.",
    "worker",
)
COMMITS = counter("loginwatch_worker_commits", "Commits of offsets that Kafka has accepted.", "worker")
IN_FLIGHT = gauge("loginwatch_worker_in_flight", "Batches begun and not yet acknowledged.", "worker", unit="batches")
STAGES_REPEATED = counter(
    "loginwatch_worker_stages_repeated",
    "Times records of a batch were sent again because Kafka refused them for the moment or gave no answer in time.",
    "worker",
)
BATCHES_ABANDONED = counter(
    "loginwatch_worker_batches_abandoned", "Batches given up because the group went on without this worker.", "worker"
)
TABLES_CAUGHT_UP = gauge(
    "loginwatch_worker_tables_caught_up", "1 once all policies, safe networks and domains were read.", "worker"
)
COUNTRY_RULE = gauge(
    "loginwatch_worker_country_rule", "1 with a geo database; without one no country is counted.", "worker"
)
GEO_BUILT = gauge(
    "loginwatch_worker_geo_built_timestamp_seconds",
    "When the oldest geo database in use was built, seconds since 1970; 0 = there is none.",
    "worker",
    unit="seconds",
)

# --- gateway
DOOR_ANSWERS = counter(
    "loginwatch_door_answers",
    "Answers to `allow` by kind: allowed, denied, familiar (blocked, but from a network that stays open), "
    "whitelisted, blacklisted (by the gateway's lists), and open_..., let pass unjudged: open_not-ready (blocks still "
    "loading), open_bad-json and other faults of the request.",
    "gateway",
    labels=("answer",),
)
ACCESS_ENTRIES = gauge(
    "loginwatch_access_entries", "Entries of the black and white lists in memory.", "gateway", "postfix", unit="entries"
)
ACCESS_CHANGES = counter(
    "loginwatch_access_changes",
    "Changes of the lists that weakforced's clients asked for, by outcome: written, refused (the request is wrong, or the "
    "list full), failed (Kafka did not take it).",
    "gateway",
    labels=("outcome",),
)
ACCESS_UNREADABLE = counter(
    "loginwatch_access_unreadable",
    "Records of `access-lists`, and in the gateway of `safe-networks`, that could not be read, by reason.",
    "gateway",
    "postfix",
    labels=("reason",),
)
DOOR_REFUSED = counter(
    "loginwatch_door_refused",
    "Requests and connections that no command saw, by reason: unauthorized, too-large, method, unknown, slow, broken, "
    "fault, connections, stopping. Mail servers let the login or the message pass then.",
    "gateway",
    "postfix",
    labels=("reason",),
)
DOOR_SECONDS = histogram(
    "loginwatch_door_seconds",
    "Time to answer a request, without the network.",
    "gateway",
    "postfix",
    labels=("command",),
    buckets=(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 1),
)
DOOR_CONNECTIONS = gauge("loginwatch_door_connections", "Open connections.", "gateway", "postfix", unit="connections")
REPORTS = counter(
    "loginwatch_reports",
    "Reports by outcome: login (on its way to `logins`), submission (on its way to `submissions`), policy (a login that we denied), delivered (acknowledged by Kafka), "
    "not_a_login (doveadm), unusable_failure (failed, without usable name or address), dead_letter, dropped (buffer full), "
    "lost (Kafka refused it, or not acknowledged at stop).",
    "gateway",
    "postfix",
    labels=("outcome",),
)
REPORTS_BUFFERED = gauge(
    "loginwatch_reports_buffered", "Reports not yet acknowledged by Kafka.", "gateway", "postfix", unit="reports"
)
BLOCKS_HELD = gauge(
    "loginwatch_blocks_held", "Blocks in force in this door's memory.", "gateway", "postfix", unit="blocks"
)
BLOCKS_UNREADABLE = counter(
    "loginwatch_blocks_unreadable",
    "Records of `blocks` that could not be read, by reason.",
    "gateway",
    "postfix",
    labels=("reason",),
)
VIEW_LAG = gauge(
    "loginwatch_view_lag", "Records of `blocks` not yet applied here.", "gateway", "postfix", unit="records"
)
VIEW_READY = gauge(
    "loginwatch_view_ready", "1 once all blocks were loaded; before, everybody is let pass.", "gateway", "postfix"
)
KAFKA_UP = gauge(
    "loginwatch_kafka_up", "1 while Kafka answers this process.", "worker", "gateway", "postfix", "logs", "panel"
)

# --- postfix
POLICY_ANSWERS = counter(
    "loginwatch_postfix_answers",
    "Answers to Postfix by kind: anonymous (nobody is logged in), allowed, denied, familiar (blocked, but from a network that "
    "stays open), blacklisted, whitelisted, sender (refused by the sender policy), and open_..., let pass unjudged: open_not-ready (blocks still "
    "loading), open_bad-account and other faults of the request, open_fault (ours).",
    "postfix",
    labels=("answer",),
)
SENDERS_REFUSED = counter(
    "loginwatch_senders_refused",
    "Requests refused by the sender policy, by the demand that was broken: match_username, match_domain.",
    "postfix",
    labels=("demand",),
)
SENDERS_SEEN = counter(
    "loginwatch_senders",
    "Accepted messages by how MAIL FROM is related to the account: own, null, domain (another address of it), foreign, malformed.",
    "postfix",
    labels=("relation",),
)
RULES_READY = gauge(
    "loginwatch_rules_ready", "1 once all policies and domains were loaded; before, any sender may be used.", "postfix"
)
RULES_UNREADABLE = counter(
    "loginwatch_rules_unreadable",
    "Records of `policies` and `domains` that could not be used, by reason.",
    "postfix",
    labels=("reason",),
)

# --- mailer
NOTIFICATIONS_READ = counter("loginwatch_notifications_read", "Notifications read from their topic.", "mailer")
MAILS = counter(
    "loginwatch_mails",
    "Mails by outcome: sent, retried (refused for now), refused (for good, dead letter), given_up (refused for mail_retry_hours, "
    "dead letter), invalid (no mail address, dead letter), rate_limited (had to wait for the recipient's hourly rate), "
    "surplus (too many wait for this recipient, or for their hour in all, dead letter), repeated (sent before, not sent again).",
    "mailer",
    labels=("outcome",),
)
MAILS_PENDING = gauge("loginwatch_mails_pending", "Mails in hand that are not sent yet.", "mailer")
MAIL_OLDEST_PENDING = gauge(
    "loginwatch_mail_oldest_pending_seconds",
    "Age of the oldest notification with a mail that is not sent yet; 0 = none.",
    "mailer",
)
MAIL_DELAY = histogram(
    "loginwatch_mail_delay_seconds", "Time from a notification to its mail being taken by the server.", "mailer"
)
SMTP_UP = gauge(
    "loginwatch_smtp_up", "Whether the mail server took or judged the last mail tried (1) or is failing (0).", "mailer"
)

# --- enforcement
KICKS = counter(
    "loginwatch_kicks",
    "Kicks of one account at one Dovecot by outcome: closed (sessions were open), none (there were none), spared (all were in "
    "networks that stay open), retried, lifted or over (the block ended before), repeated (done before), refused (the name "
    "cannot be a mask, dead letter), given_up (dead letter). Each block is kicked twice.",
    "enforcement",
    labels=("outcome",),
)
AUTH_CACHE_FLUSHES = counter(
    "loginwatch_auth_cache_flushes",
    "Auth caches emptied for an account by outcome: flushed, failed, skipped (switched off, or this Dovecot cannot).",
    "enforcement",
    labels=("outcome",),
)
WEBHOOKS = counter(
    "loginwatch_webhooks",
    "Webhooks by outcome: delivered, retried, repeated (delivered before), over (ended before this receiver was there), refused "
    "(for good, dead letter), given_up (dead letter).",
    "enforcement",
    labels=("outcome",),
)
ENFORCEMENT_PENDING = gauge(
    "loginwatch_enforcement_pending",
    "Orders in hand that are not carried out yet.",
    "enforcement",
    labels=("receiver",),
)
ENFORCEMENT_OLDEST_PENDING = gauge(
    "loginwatch_enforcement_oldest_pending_seconds",
    "Age of the oldest block that a receiver is still to be told; 0 = none.",
    "enforcement",
    labels=("receiver",),
)
ENFORCEMENT_DELAY = histogram(
    "loginwatch_enforcement_delay_seconds",
    "Time from a block being written to its first kick or its webhook having worked.",
    "enforcement",
    labels=("kind",),
)
RECEIVER_UP = gauge(
    "loginwatch_enforcement_up",
    "Whether a backend or webhook carried out or judged the last order (1) or cannot be used (0).",
    "enforcement",
    labels=("receiver",),
)

# --- alert exporter
ALERTS_SENT = counter(
    "loginwatch_alerts",
    "Events for a SOC by outlet (topic, file, syslog, webhook-...) and outcome: delivered, retried, refused (for good, dead letter), "
    "canary (of the canary's account, passed over).",
    "alerts",
    labels=("outlet", "outcome"),
)
ALERTS_LAG = gauge(
    "loginwatch_alerts_lag",
    "Records of incidents, reviews and blocks that an outlet was not told yet.",
    "alerts",
    unit="records",
    labels=("outlet",),
)
ALERTS_UP = gauge(
    "loginwatch_alerts_up",
    "Whether an outlet took the last event (1) or cannot be used (0).",
    "alerts",
    labels=("outlet",),
)
REVIEWED = counter(
    "loginwatch_reviews",
    "Reviews of incidents by verdict: compromised, third_party, travelling, mobile, other.",
    "alerts",
    labels=("verdict",),
)

# --- canary
CANARY_ROUNDS = counter(
    "loginwatch_canary_rounds",
    "Rounds of the canary by outcome: ok, or why it was not: not_arrived (its logins did not reach the worker), not_blocked, "
    "not_refused (blocked, and the door lets it in), not_lifted (refused after the reset, or before the first login), no_worker, "
    "door_away, door_refused (our secret), door_fault, kafka, registry, clock (the gateway's is behind Kafka's), and what is "
    "wrong with the canary itself: policy, not_ours (a real account), busy (another canary), fault.",
    "canary",
    labels=("outcome",),
)
CANARY_LOGINS = counter("loginwatch_canary_logins", "Logins that the canary reported at the gateway.", "canary")
CANARY_BLOCK_SECONDS = histogram(
    "loginwatch_canary_block_seconds", "Time from the canary's last login to its block on the topic `blocks`.", "canary"
)
CANARY_REFUSAL_SECONDS = histogram(
    "loginwatch_canary_refusal_seconds", "Time from the canary's last login to the door refusing it.", "canary"
)
CANARY_REOPENING_SECONDS = histogram(
    "loginwatch_canary_reopening_seconds", "Time from the canary's reset to the door letting it in again.", "canary"
)
CANARY_LAST_OK = gauge(
    "loginwatch_canary_last_ok_timestamp_seconds",
    "When the last round of the canary went well, seconds since 1970; 0 = none since its start.",
    "canary",
    unit="seconds",
)
CANARY_INTERVAL = gauge(
    "loginwatch_canary_interval_seconds", "Seconds between two rounds, as set.", "canary", unit="seconds"
)

# --- log reader
LOG_LINES = counter("loginwatch_log_lines", "Lines read, whatever they say.", "logs", unit="lines")
LOG_RECORDS = counter(
    "loginwatch_log_records",
    "Records acknowledged by Kafka, by kind: login, failed_login, submission.",
    "logs",
    labels=("kind",),
)
LOG_UNREADABLE = counter(
    "loginwatch_log_unreadable",
    "Lines that look like logins and cannot be used, by reason: bad-form, ambiguous, no-user, unknown-frame, bad-time, too-long, "
    "bad-account, bad-domain, bad-address, other-program (a tag that log_programs does not name) and those of records. One a minute "
    "is logged, but none of other programs.",
    "logs",
    labels=("reason",),
)
LOG_BEHIND = gauge("loginwatch_log_behind_bytes", "Bytes of the logs not read yet.", "logs", unit="bytes")
LOG_WAITING = gauge(
    "loginwatch_log_waiting", "Messages that Postfix began to take and has not queued yet.", "logs", unit="messages"
)
LOG_LET_GO = counter(
    "loginwatch_log_messages_let_go",
    "Messages that were begun and not queued within an hour, or too many at once.",
    "logs",
)
LOG_ROTATIONS = counter("loginwatch_log_rotations", "Rotations and truncations of logs seen.", "logs")

# --- panel
PANEL_REQUESTS = counter(
    "loginwatch_panel_requests",
    "Requests answered, by the page's path with its parameters' names (other = no page) and HTTP status.",
    "panel",
    labels=("page", "status"),
)
PANEL_SECONDS = histogram(
    "loginwatch_panel_request_seconds", "Time from a request to the end of its answer.", "panel", labels=("page",)
)
PANEL_SIGN_INS = counter(
    "loginwatch_panel_sign_ins",
    "Sign-ins by outcome: password, second_factor, recovery_code, single_sign_on, link (all let in), refused (wrong name, "
    "password or code), throttled (too many tries), stranger (single sign-on of somebody who is not known here).",
    "panel",
    labels=("outcome",),
)
PANEL_DECISIONS = counter(
    "loginwatch_panel_decisions",
    "Records written for people, by topic and outcome: done, failed (Kafka did not take it).",
    "panel",
    labels=("topic", "outcome"),
)
PANEL_FOLLOWER_LAG = gauge(
    "loginwatch_panel_follower_lag",
    "Records on the topics that the panel's database does not have yet.",
    "panel",
    unit="records",
)
PANEL_RECORDS = counter(
    "loginwatch_panel_records", "Records taken into the panel's database, by topic.", "panel", labels=("topic",)
)

# --- every process
DEAD_LETTERS = counter(
    "loginwatch_dead_letters",
    "Records from outside that could not be used, by reason.",
    "worker",
    "gateway",
    "postfix",
    "mailer",
    "enforcement",
    "panel",
    "alerts",
    labels=("reason",),
)


def declared() -> tuple[Metric, ...]:
    """Every metric of this file, in its order."""
    return tuple(value for value in globals().values() if isinstance(value, Metric))


class Metrics:
    """The metrics of one running process, under a registry of their own."""

    def __init__(self, process: str) -> None:
        self.process = process
        self.registry = CollectorRegistry()
        self._made: dict[str, Any] = {}
        for metric in declared():
            if process in metric.processes:
                self._made[metric.name] = _make(metric, self.registry)

    def of(self, metric: Metric, **labels: str) -> Any:
        """The live counter, gauge or histogram. Raises KeyError for one that this process does not have."""
        made = self._made[metric.name]
        return made.labels(**labels) if labels else made

    def on_scrape(self, metric: Metric, value: Callable[[], float]) -> None:
        """Let a gauge without labels be asked for its value when Prometheus asks."""
        self._made[metric.name].set_function(value)

    def page(self) -> bytes:
        """What `/metrics` answers."""
        return generate_latest(self.registry)


def _make(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    labels: Iterable[str] = metric.labels
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(metric.name, metric.help, labels, registry=registry)
    return Histogram(metric.name, metric.help, labels, registry=registry, buckets=metric.buckets)
