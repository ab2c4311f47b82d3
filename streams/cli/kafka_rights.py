"""
The rights that each process and command needs on a Kafka with ACLs, for the page of the topics.

Decision: stated here, not derived, as no code sees all clients of a process. A test holds it from both sides: with exactly
these rights everything works, and every right of a process is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from streams.settings import Settings
from streams.topology import (
    ACCESS_LISTS,
    ALERTS,
    BLOCKS,
    COMMANDS,
    DEAD_LETTERS,
    DOMAINS,
    INCIDENTS,
    LOGINS,
    NOTIFICATIONS,
    POLICIES,
    REVIEWS,
    SAFE_NETWORKS,
    SUBMISSIONS,
    TABLES,
    TOPICS,
    VIEWS,
    WORKER_INPUTS,
    Topic,
    changelog,
)

APP = "APP"
"""Stands for the setting `app` in names of groups and of the changelog."""
CHANGELOG = changelog(Settings(app=APP))
ALL = (*TOPICS, CHANGELOG)
BY_ACCOUNT = (LOGINS, SUBMISSIONS, COMMANDS, VIEWS, BLOCKS, INCIDENTS, REVIEWS, NOTIFICATIONS, ALERTS, DEAD_LETTERS)
"""Where `account export` and `account erase` look."""
TAIL, READER, RECOVERY, VIEW = f"{APP}-tail", f"{APP}-reader", f"{APP}-recovery", f"{APP}-view"

Topics = tuple[Topic, ...]


@dataclass(frozen=True)
class Rights:
    """What one process, or some commands, may do. READ and WRITE contain DESCRIBE. A group that ends in * is a prefix."""

    who: str
    read: Topics = ()
    write: Topics = ()
    describe: Topics = ()
    describe_configs: Topics = ()
    alter_configs: Topics = ()
    create: bool = False
    """Topics, on the cluster."""
    member: tuple[str, ...] = ()
    """READ of groups that it joins."""
    ask: tuple[str, ...] = ()
    """DESCRIBE of groups: librdkafka asks for the coordinator of the name that a reader has, also where it joins none."""


PROCESSES = (
    Rights(
        "worker",
        read=(*WORKER_INPUTS, *TABLES, CHANGELOG),
        write=(*WORKER_INPUTS, BLOCKS, INCIDENTS, NOTIFICATIONS, VIEWS, DEAD_LETTERS, CHANGELOG),
        describe=ALL,
        describe_configs=ALL,
        member=(APP,),
        ask=(f"{APP}-lag", RECOVERY, VIEW),
    ),
    Rights(
        "gateway",
        read=(BLOCKS, ACCESS_LISTS, SAFE_NETWORKS),
        write=(LOGINS, COMMANDS, ACCESS_LISTS, SAFE_NETWORKS, DEAD_LETTERS),
        ask=(VIEW,),
    ),
    Rights(
        "postfix",
        read=(BLOCKS, POLICIES, DOMAINS, ACCESS_LISTS),
        write=(LOGINS, SUBMISSIONS, DEAD_LETTERS),
        ask=(VIEW,),
    ),
    Rights("mailer", read=(NOTIFICATIONS,), write=(DEAD_LETTERS,), member=(f"{APP}-mailer",)),
    Rights("enforcement", read=(BLOCKS,), write=(DEAD_LETTERS,), member=(f"{APP}-enforcement-*",)),
    Rights("logs", write=(LOGINS, SUBMISSIONS)),
    Rights("alerts", read=(INCIDENTS, REVIEWS, BLOCKS), write=(ALERTS, DEAD_LETTERS), member=(f"{APP}-alerts-*",)),
    Rights("canary", read=(VIEWS, BLOCKS), write=(COMMANDS,), ask=(TAIL,)),
    Rights(
        "panel",
        read=(*TABLES, BLOCKS, INCIDENTS, REVIEWS, COMMANDS, VIEWS),
        write=(*TABLES, REVIEWS, COMMANDS, DEAD_LETTERS),
        describe=(LOGINS, SUBMISSIONS),
        ask=(APP, f"{APP}-panel", TAIL),
    ),
)
"""Those that run all the time."""

COMMAND_LINE = (
    Rights("topics create", describe=ALL, create=True, ask=(READER,)),
    Rights("topics check", describe=ALL, describe_configs=ALL),
    Rights("check", read=TABLES, describe=ALL, describe_configs=ALL, ask=(READER,)),
    Rights("policy, safe, domain", read=TABLES, write=TABLES, ask=(READER,)),
    Rights("account show, block, unblock, reset", read=(VIEWS,), write=(COMMANDS,), ask=(TAIL,)),
    Rights("canary prepare", read=(VIEWS,), write=(COMMANDS, POLICIES), ask=(TAIL,)),
    Rights("account export", read=(*BY_ACCOUNT, *TABLES, ACCESS_LISTS), write=(COMMANDS,), ask=(READER, TAIL)),
    Rights(
        "account erase",
        read=(*BY_ACCOUNT, *TABLES, ACCESS_LISTS),
        write=(COMMANDS, POLICIES, SAFE_NETWORKS, ACCESS_LISTS),
        ask=(READER, TAIL),
    ),
    Rights("incidents", read=(INCIDENTS,), ask=(READER, TAIL)),
    Rights("dead-letters list, show", read=(DEAD_LETTERS,), ask=(READER,)),
    Rights("dead-letters resend", read=(DEAD_LETTERS,), write=TOPICS, ask=(READER,)),
    Rights("export", read=ALL, ask=(APP, READER, RECOVERY)),
    Rights("import", write=ALL, alter_configs=TOPICS, ask=(READER,)),
    Rights("simulate --to topics", write=(LOGINS, SUBMISSIONS)),
)
"""Commands that ask Kafka; those that are not here do not."""

INTRO = (
    "What Kafka's ACLs must allow the user of each process. No process and no command uses a transactional id, and an idempotent"
    " producer needs no right but WRITE on the versions of Kafka that loginwatch runs on. READ and WRITE of a topic, and READ of a"
    " group, contain DESCRIBE. Where a group ends in `*`, the rest of its name follows from that of a receiver: allow it as a prefix."
    " DESCRIBE of a group is for readers that join none: without it they read, but log and health say that authorization failed; the"
    " panel needs that of `APP` to see how far the workers are behind. A right on all groups that begin with `APP` covers every group"
    " of these tables. For instance:"
)
EXAMPLE = """```
kafka-acls.sh --bootstrap-server kafka1:9093 --command-config admin.properties --add --allow-principal User:mailer \\
    --operation Read --topic notifications
kafka-acls.sh --bootstrap-server kafka1:9093 --command-config admin.properties --add --allow-principal User:enforcement \\
    --operation Read --group loginwatch-enforcement- --resource-pattern-type prefixed
```"""
OUTRO = (
    "Of `export`, `import` and `dead-letters resend` the tables say the most: they need it on topics that are named, that are in"
    " the file, or that letters came from. `import` of `accounts` also needs DESCRIBE on what the worker reads as a member of its group."
    " Commands that are not listed need no Kafka."
)
HEAD = ("READ of topics", "WRITE of topics", "Other rights", "READ of groups", "DESCRIBE of groups")


def rows(listed: tuple[Rights, ...]) -> Iterator[tuple[str, ...]]:
    """A row of `HEAD` for each."""
    for rights in listed:
        yield (
            f"`{rights.who}`",
            _names(rights.read),
            _names(rights.write),
            "; ".join(_others(rights)),
            ", ".join(f"`{group}`" for group in rights.member),
            ", ".join(f"`{group}`" for group in rights.ask),
        )


def _others(rights: Rights) -> Iterator[str]:
    if rights.create:
        yield "CREATE of the cluster, or of these topics"
    operations: dict[str, list[str]] = {}
    for operation in ("describe", "describe_configs", "alter_configs"):
        if topics := getattr(rights, operation):
            operations.setdefault(_names(topics), []).append(operation.upper())
    for names, listed in operations.items():
        yield f"{', '.join(listed)}: {names}"


def _names(topics: Topics) -> str:
    names = {topic.name for topic in topics}
    if len(names) == len(ALL):
        return "all"
    if len(names) == len(TOPICS) and CHANGELOG.name not in names:
        return f"all but `{CHANGELOG.name}`"
    return ", ".join(f"`{topic.name}`" for topic in topics)
