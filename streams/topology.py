"""
Every topic and table of loginwatch on one screen.

Decision: all topics keyed by account have the same number of partitions, so that one worker owns everything about an
account; small tables (policies, safe networks, domains) have one partition, so that every process reads all of them in
one order. Retention is part of the design, not of the broker's defaults. Auto-creation by the broker is never relied on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from streams.errors import ConfigurationError
from streams.settings import Settings

JSON_EVENT = "OCSF event"
"""What is on `alerts`: JSON by another body's schema (docs/alerts.md), no record of ours."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TOLD = {"delete.retention.ms": str(7 * DAY_MS)}
"""So long a reader that was cut off still hears that a key was deleted; by Kafka's default for a day."""


@dataclass(frozen=True)
class Topic:
    """One topic: what its records are, how it is keyed, and how long Kafka keeps it."""

    name: str
    record: str
    key: str
    cleanup: str
    retention_ms: int | None = None
    by_account: bool = True
    written_by: str = ""
    read_by: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    retention_is_set: bool = False
    """An operator has set how long it is kept: then longer is wrong too."""

    def partitions(self, settings: Settings) -> int:
        """How many partitions this topic must have."""
        return settings.partitions if self.by_account else 1

    def config(self) -> dict[str, str]:
        """The topic's configuration as Kafka spells it. LogAppendTime makes the broker's clock our `now`."""
        config = {"cleanup.policy": self.cleanup, "message.timestamp.type": "LogAppendTime"}
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        return {**config, **self.extra}


LOGINS = Topic(
    "logins", "Login", "account", "delete", 7 * DAY_MS, written_by="doors, log reader, anybody", read_by="worker"
)
SUBMISSIONS = Topic(
    "submissions",
    "Submission",
    "account",
    "delete",
    2 * DAY_MS,
    written_by="Postfix door, log reader",
    read_by="worker",
)
COMMANDS = Topic(
    "account-commands",
    "AccountCommand",
    "account",
    "delete",
    7 * DAY_MS,
    written_by="panel, CLI, canary",
    read_by="worker",
)
VIEWS = Topic(
    "account-views", "AccountView", "account", "delete", HOUR_MS, written_by="worker", read_by="panel, CLI, canary"
)
POLICIES = Topic(
    "policies",
    "Policy",
    "scope",
    "compact",
    by_account=False,
    written_by="panel, CLI",
    read_by="worker, doors, panel",
    extra=TOLD,
)
SAFE_NETWORKS = Topic(
    "safe-networks",
    "SafeNetwork",
    "scope and CIDR",
    "compact",
    by_account=False,
    written_by="panel, CLI",
    read_by="worker, panel",
    extra=TOLD,
)
DOMAINS = Topic(
    "domains",
    "Domain",
    "domain",
    "compact",
    by_account=False,
    written_by="panel, CLI",
    read_by="worker, doors, panel",
    extra=TOLD,
)
BLOCKS = Topic(
    "blocks",
    "Block",
    "account",
    "compact,delete",
    35 * DAY_MS,
    written_by="worker",
    read_by="doors, enforcement, canary, SOC",
    extra=TOLD,
)
INCIDENTS = Topic(
    "incidents", "Incident", "account", "delete", 90 * DAY_MS, written_by="worker", read_by="panel, alert exporter, SOC"
)
ACCESS_LISTS = Topic(
    "access-lists",
    "AccessEntry",
    "list, network and account",
    "compact",
    by_account=False,
    written_by="gateway, for weakforced's clients",
    read_by="gateway, Postfix door",
    extra=TOLD,
)
REVIEWS = Topic("reviews", "Review", "account", "delete", 90 * DAY_MS, written_by="panel, CLI", read_by="panel, SOC")
NOTIFICATIONS = Topic(
    "notifications", "Notification", "account", "delete", 7 * DAY_MS, written_by="worker", read_by="mailer"
)
ALERTS = Topic("alerts", JSON_EVENT, "account", "delete", 30 * DAY_MS, written_by="alert exporter", read_by="SOC")
DEAD_LETTERS = Topic(
    "dead-letters", "DeadLetter", "as received", "delete", 30 * DAY_MS, written_by="all", read_by="operators"
)

TOPICS = (
    LOGINS,
    SUBMISSIONS,
    COMMANDS,
    VIEWS,
    POLICIES,
    SAFE_NETWORKS,
    DOMAINS,
    BLOCKS,
    ACCESS_LISTS,
    INCIDENTS,
    REVIEWS,
    NOTIFICATIONS,
    ALERTS,
    DEAD_LETTERS,
)
BY_NAME = {topic.name: topic for topic in TOPICS}

WORKER_INPUTS = (LOGINS, SUBMISSIONS, COMMANDS)
"""What the worker consumes as a member of its group, one partition number of all three together."""
TABLES = (POLICIES, SAFE_NETWORKS, DOMAINS)
"""The compacted topics that say what is demanded; every reader holds all of them."""
ACCOUNTS_TABLE = "accounts"


def changelog(settings: Settings) -> Topic:
    """The changelog of the account table, named as Faust names it: `<app>-accounts-changelog`."""
    return Topic(
        f"{settings.app}-{ACCOUNTS_TABLE}-changelog",
        "AccountState",
        "account",
        "compact",
        written_by="worker",
        read_by="worker",
        # compact early: recovery time is the length of this topic
        extra={"min.cleanable.dirty.ratio": "0.2", "segment.bytes": str(128 << 20)},
    )


def all_topics(settings: Settings) -> tuple[Topic, ...]:
    """Every topic that `loginwatch topics create` makes, kept as the settings say. Raises ConfigurationError."""
    days = retention(settings)
    return (
        *(replace(topic, **days[topic.name]) if topic.name in days else topic for topic in TOPICS),
        changelog(settings),
    )


def retention(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the setting `retention_days` changes, by topic. Raises ConfigurationError for a topic that it cannot be set of."""
    entries = dict(entry.split("=") for entry in settings.retention_days)
    kept = [topic.name for topic in TOPICS if topic.retention_ms is not None]
    if wrong := [name for name in entries if name not in kept]:
        raise ConfigurationError(f"setting retention_days: {wrong[0]!r} is none of {', '.join(kept)}")
    return {name: {"retention_ms": int(days) * DAY_MS, "retention_is_set": True} for name, days in entries.items()}
