"""
The tables of the read model: everything here comes from topics and can be wiped.

Decision: text compares by code point on both databases (collation C on PostgreSQL, SQLite's own BINARY), so that ranges
and cursors mean the same on both. Absent text is empty where a column is filtered or sorted by, because both databases
use an index for `= ''` together with an order. Times are milliseconds since the epoch, UTC.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def _text(name: str, *, key: bool = False, null: bool = False) -> Column[str]:
    return Column(name, TEXT, primary_key=key, nullable=null)


def _number(name: str, *, key: bool = False, null: bool = False) -> Column[int]:
    """A time in ms, an offset, or a count without a small bound."""
    return Column(name, BigInteger, primary_key=key, autoincrement=False, nullable=null)


INCIDENT = Table(
    "incident",
    METADATA,
    _text("id", key=True),
    Column("revision", Integer, nullable=False),
    _text("account"),
    _text("domain"),
    _number("opened_ms"),
    _number("revised_ms"),
    _text("rule"),
    _text("mode"),
    Column("count", Integer, nullable=False),
    Column("limit", Integer, nullable=False),
    Column("window", Integer, nullable=False),
    Column("networks_ever", Integer, nullable=False),
    Column("distinct_countries", Integer, nullable=False),
    Column("messages_24h", Integer, nullable=False),
    _number("blocked_until_ms"),  # 0 = did not block
    _number("lasts_until_ms"),  # its end, or when it will end if nothing more happens
    _text("summary"),
    Column("score", SmallInteger, nullable=False),
    _text("verdict"),  # of the last review; empty = not reviewed
    _number("reviewed_ms", null=True),
    _text("reviewer"),
    Index(None, "opened_ms", "id"),
    Index(None, "score", "opened_ms", "id"),
    Index(None, "domain", "opened_ms", "id"),
    Index(None, "verdict", "opened_ms", "id"),
    Index(None, "verdict", "score", "opened_ms", "id"),
    Index(None, "account", "opened_ms", "id"),
    Index(None, "blocked_until_ms"),
    Index(None, "lasts_until_ms", "domain"),
    Index(
        "ix_incident_observed",
        "opened_ms",
        "id",
        postgresql_where=text("mode = 'observe'"),
        sqlite_where=text("mode = 'observe'"),
    ),
    Index(None, "rule", "opened_ms", "id"),
    Index(None, "summary"),
)
"""One row per incident, in its highest revision: what lists show, filter and sort by."""

INCIDENT_RECORD = Table(
    "incident_record",
    METADATA,
    _text("id", key=True),
    Column("record", LargeBinary, nullable=False),
)
"""The whole Incident as JSON, apart from the rows that lists walk over."""

NETWORK = Table(
    "network",
    METADATA,
    Column("start", LargeBinary, primary_key=True),  # 16 bytes, the first address as `core.addresses` counts
    Column("prefix", SmallInteger, primary_key=True, autoincrement=False),  # of 128 bits
    _text("account", key=True),
    _text("domain"),
    _text("address"),
    _text("country", null=True),
    _text("city", null=True),
    _text("owner", null=True),
    _number("last_ms"),
    Index(None, "domain", "account"),
    sqlite_with_rowid=False,
)
"""
Networks that took part in incidents, one row per network and account as its latest incident shows it.

Decision: one tree in the order of addresses, and an index of what does not change. Each revision brings several networks,
anywhere in the tree, so these rows are most of the writing.
"""

BLOCK = Table(
    "block",
    METADATA,
    _text("id", key=True),
    _text("account"),
    _text("domain"),
    _number("from_ms"),
    _number("until_ms"),  # as it was ordered
    _number("ends_ms"),  # as it is: lifted, or replaced by another block
    _text("reason"),
    _text("incident", null=True),
    _text("actor"),
    _text("lifted_by", null=True),
    _text("lifted_reason", null=True),
    _text("except_networks"),  # a JSON list
    Index(None, "account", "from_ms"),
    Index(None, "ends_ms", "domain"),
    Index(None, "from_ms", "id"),
    Index(None, "domain", "from_ms", "id"),
    Index(None, "incident"),
)
"""Every block that was read, with its real end. At most one of an account is in force."""

REVIEW = Table(
    "review",
    METADATA,
    _text("id", key=True),
    _number("offset"),
    _text("incident"),
    _text("account"),
    _text("domain"),
    _number("time_ms"),
    _text("verdict"),
    _text("note"),
    _text("actor"),
    Index(None, "incident", "offset"),
    Index(None, "account", "time_ms"),
)

POLICY = Table(
    "policy",
    METADATA,
    _text("scope", key=True),
    _text("domain"),
    _text("group"),
    _text("record"),  # JSON
    _text("actor"),
    _number("time_ms"),
)

SAFE_NETWORK = Table(
    "safe_network",
    METADATA,
    _text("scope", key=True),
    _text("network", key=True),
    _text("domain"),
    _text("group"),
    _text("description"),
    _text("actor"),
    _number("time_ms"),
    _number("expires_ms", null=True),
    Index(None, "time_ms", "scope", "network"),
)

DOMAIN = Table(
    "domain",
    METADATA,
    _text("domain", key=True),
    _text("group"),  # empty = none
    Column("declared", Boolean, nullable=False),  # on the topic `domains`, not only seen in incidents
    Column("incidents", Integer, nullable=False),
    Column("unreviewed", Integer, nullable=False),
    Index(None, "group"),
)
"""Every domain that was heard of, its group, and how many incidents it has: the counts of a scope are sums of these."""

SPELLING = Table(
    "spelling",
    METADATA,
    _text("topic", key=True),
    _text("key", key=True),
    _text("written"),  # a JSON list
)
"""The other keys under which a rule lies on its topic, where there are any; `key` is the canonical one."""

ACCOUNT = Table(
    "account",
    METADATA,
    _text("account", key=True),
    Column("incidents", Integer, nullable=False),
    Column("blocks", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Accounts that had incidents or blocks, and how many: short enough to search by any part of the name."""

SUMMARY = Table("summary", METADATA, _text("summary", key=True))
"""The sentences that incidents have. They are few, so a search looks here before it walks over incidents."""

HOURLY = Table(
    "hourly",
    METADATA,
    _number("hour_ms", key=True),
    _text("domain", key=True),  # empty = all together
    _number("logins"),  # only counted for all together
    Column("incidents", Integer, nullable=False),
    Column("blocks", Integer, nullable=False),
)

OFFSET = Table(
    "offset",
    METADATA,
    _text("topic", key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    _number("next"),
)
"""Where to go on reading; written with the rows that the records before it gave."""

PROGRESS = Table("progress", METADATA, _text("name", key=True), _number("value"))
"""Numbers that rise with every change: `change` with any, and one per kind of `changes.KINDS`."""

READ_MODEL = (
    INCIDENT,
    INCIDENT_RECORD,
    NETWORK,
    BLOCK,
    REVIEW,
    POLICY,
    SAFE_NETWORK,
    DOMAIN,
    SPELLING,
    ACCOUNT,
    SUMMARY,
    HOURLY,
    OFFSET,
)
"""What `loginwatch panel rebuild` empties. `progress` stays, so that its numbers never go back."""

ERASED = Table("erased", METADATA, _text("whose", key=True), _number("time_ms"))
"""
Until when (Kafka's time) what the topics say of an account is erased here. It has a digest in place of the name, and
outlives a wipe: topics tell records for their retention, erased or not.
"""

DEED = Table(
    "deed",
    METADATA,
    _text("id", key=True),
    _number("time_ms"),
    _text("actor"),
    _text("action"),
    _text("scope"),
    _text("account"),
    _text("domain"),
    _text("group"),
    _text("subject"),
    _text("reason"),
    _text("before", null=True),  # JSON
    _text("after", null=True),  # JSON
    _text("address"),
    Index(None, "time_ms", "id"),
    Index(None, "account", "time_ms", "id"),
    Index(None, "action", "time_ms", "id"),
    Index(None, "actor", "time_ms", "id"),
    Index(None, "domain", "time_ms", "id"),
    Index(None, "group", "time_ms", "id"),
)
"""
Who did what: one row per record that changed something, and the panel's own events.

It outlives a wipe: compacted topics keep only the last change of each scope, and no topic has the panel's events.
"""
