"""
The first schema. Released migrations are never edited: a change of `tables.py` comes with a new file beside this one.
"""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    _account()
    _attempt()
    _block()
    _deed()
    _domain()
    _hourly()
    _incident()
    _incident_record()
    _network()
    _offset()
    _person()
    _policy()
    _progress()
    _review()
    _safe_network()
    _summary()
    _api_token()
    _invitation()
    _person_scope()
    _session()


def _account() -> None:
    op.create_table(
        "account",
        Column("account", TEXT, nullable=False),
        Column("incidents", Integer(), nullable=False),
        PrimaryKeyConstraint("account", name=op.f("pk_account")),
    )


def _attempt() -> None:
    op.create_table(
        "attempt",
        Column("key", TEXT, nullable=False),
        Column("failures", Integer(), nullable=False),
        Column("since_ms", BigInteger(), nullable=False),
        Column("last_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("key", name=op.f("pk_attempt")),
    )
    op.create_index(op.f("ix_attempt_last_ms"), "attempt", ["last_ms"], unique=False)


def _block() -> None:
    op.create_table(
        "block",
        Column("id", TEXT, nullable=False),
        Column("account", TEXT, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("from_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("until_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("ends_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("reason", TEXT, nullable=False),
        Column("incident", TEXT, nullable=True),
        Column("actor", TEXT, nullable=False),
        Column("lifted_by", TEXT, nullable=True),
        Column("lifted_reason", TEXT, nullable=True),
        Column("except_networks", TEXT, nullable=False),
        PrimaryKeyConstraint("id", name=op.f("pk_block")),
    )
    op.create_index(op.f("ix_block_account_from_ms"), "block", ["account", "from_ms"], unique=False)
    op.create_index(op.f("ix_block_domain_from_ms_id"), "block", ["domain", "from_ms", "id"], unique=False)
    op.create_index(op.f("ix_block_ends_ms_domain"), "block", ["ends_ms", "domain"], unique=False)
    op.create_index(op.f("ix_block_from_ms_id"), "block", ["from_ms", "id"], unique=False)
    op.create_index(op.f("ix_block_incident"), "block", ["incident"], unique=False)


def _deed() -> None:
    op.create_table(
        "deed",
        Column("id", TEXT, nullable=False),
        Column("time_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("actor", TEXT, nullable=False),
        Column("action", TEXT, nullable=False),
        Column("scope", TEXT, nullable=False),
        Column("account", TEXT, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("group", TEXT, nullable=False),
        Column("subject", TEXT, nullable=False),
        Column("reason", TEXT, nullable=False),
        Column("before", TEXT, nullable=True),
        Column("after", TEXT, nullable=True),
        Column("address", TEXT, nullable=False),
        PrimaryKeyConstraint("id", name=op.f("pk_deed")),
    )
    op.create_index(op.f("ix_deed_account_time_ms_id"), "deed", ["account", "time_ms", "id"], unique=False)
    op.create_index(op.f("ix_deed_actor_time_ms_id"), "deed", ["actor", "time_ms", "id"], unique=False)
    op.create_index(op.f("ix_deed_domain_time_ms_id"), "deed", ["domain", "time_ms", "id"], unique=False)
    op.create_index(op.f("ix_deed_group_time_ms_id"), "deed", ["group", "time_ms", "id"], unique=False)
    op.create_index(op.f("ix_deed_time_ms_id"), "deed", ["time_ms", "id"], unique=False)


def _domain() -> None:
    op.create_table(
        "domain",
        Column("domain", TEXT, nullable=False),
        Column("group", TEXT, nullable=False),
        Column("declared", Boolean(), nullable=False),
        Column("incidents", Integer(), nullable=False),
        Column("unreviewed", Integer(), nullable=False),
        PrimaryKeyConstraint("domain", name=op.f("pk_domain")),
    )
    op.create_index(op.f("ix_domain_group"), "domain", ["group"], unique=False)


def _hourly() -> None:
    op.create_table(
        "hourly",
        Column("hour_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("logins", BigInteger(), autoincrement=False, nullable=False),
        Column("incidents", Integer(), nullable=False),
        Column("blocks", Integer(), nullable=False),
        PrimaryKeyConstraint("hour_ms", "domain", name=op.f("pk_hourly")),
    )


def _incident() -> None:
    op.create_table(
        "incident",
        Column("id", TEXT, nullable=False),
        Column("revision", Integer(), nullable=False),
        Column("account", TEXT, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("opened_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("revised_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("rule", TEXT, nullable=False),
        Column("mode", TEXT, nullable=False),
        Column("count", Integer(), nullable=False),
        Column("limit", Integer(), nullable=False),
        Column("window", Integer(), nullable=False),
        Column("networks_ever", Integer(), nullable=False),
        Column("distinct_countries", Integer(), nullable=False),
        Column("messages_24h", Integer(), nullable=False),
        Column("blocked_until_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("lasts_until_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("summary", TEXT, nullable=False),
        Column("score", SmallInteger(), nullable=False),
        Column("verdict", TEXT, nullable=False),
        Column("reviewed_ms", BigInteger(), autoincrement=False, nullable=True),
        Column("reviewer", TEXT, nullable=False),
        PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    op.create_index(op.f("ix_incident_account_opened_ms_id"), "incident", ["account", "opened_ms", "id"], unique=False)
    op.create_index(op.f("ix_incident_blocked_until_ms"), "incident", ["blocked_until_ms"], unique=False)
    op.create_index(
        "ix_incident_countries",
        "incident",
        ["opened_ms", "id"],
        unique=False,
        postgresql_where=text("rule = 'countries'"),
        sqlite_where=text("rule = 'countries'"),
    )
    op.create_index(op.f("ix_incident_domain_opened_ms_id"), "incident", ["domain", "opened_ms", "id"], unique=False)
    op.create_index(op.f("ix_incident_lasts_until_ms_domain"), "incident", ["lasts_until_ms", "domain"], unique=False)
    op.create_index(
        "ix_incident_observed",
        "incident",
        ["opened_ms", "id"],
        unique=False,
        postgresql_where=text("mode = 'observe'"),
        sqlite_where=text("mode = 'observe'"),
    )
    op.create_index(op.f("ix_incident_opened_ms_id"), "incident", ["opened_ms", "id"], unique=False)
    op.create_index(op.f("ix_incident_score_opened_ms_id"), "incident", ["score", "opened_ms", "id"], unique=False)
    op.create_index(op.f("ix_incident_verdict_opened_ms_id"), "incident", ["verdict", "opened_ms", "id"], unique=False)


def _incident_record() -> None:
    op.create_table(
        "incident_record",
        Column("id", TEXT, nullable=False),
        Column("record", LargeBinary(), nullable=False),
        PrimaryKeyConstraint("id", name=op.f("pk_incident_record")),
    )


def _network() -> None:
    op.create_table(
        "network",
        Column("account", TEXT, nullable=False),
        Column("start", LargeBinary(), nullable=False),
        Column("prefix", SmallInteger(), autoincrement=False, nullable=False),
        Column("network", TEXT, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("address", TEXT, nullable=False),
        Column("country", TEXT, nullable=True),
        Column("city", TEXT, nullable=True),
        Column("owner", TEXT, nullable=True),
        Column("service", TEXT, nullable=False),
        Column("first_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("last_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("logins", BigInteger(), autoincrement=False, nullable=False),
        Column("days", Integer(), nullable=False),
        PrimaryKeyConstraint("account", "start", "prefix", name=op.f("pk_network")),
    )
    op.create_index(op.f("ix_network_start_prefix_domain"), "network", ["start", "prefix", "domain"], unique=False)


def _offset() -> None:
    op.create_table(
        "offset",
        Column("topic", TEXT, nullable=False),
        Column("partition", Integer(), autoincrement=False, nullable=False),
        Column("next", BigInteger(), autoincrement=False, nullable=False),
        PrimaryKeyConstraint("topic", "partition", name=op.f("pk_offset")),
    )


def _person() -> None:
    op.create_table(
        "person",
        Column("id", Integer(), nullable=False),
        Column("name", TEXT, nullable=False),
        Column("display", TEXT, nullable=False),
        Column("role", TEXT, nullable=False),
        Column("password_hash", TEXT, nullable=True),
        Column("totp_secret", TEXT, nullable=True),
        Column("totp_step", BigInteger(), nullable=False),
        Column("subject", TEXT, nullable=True),
        Column("disabled", Boolean(), nullable=False),
        Column("locale", TEXT, nullable=False),
        Column("zone", TEXT, nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        Column("signed_in_ms", BigInteger(), nullable=True),
        PrimaryKeyConstraint("id", name=op.f("pk_person")),
        UniqueConstraint("name", name=op.f("uq_person_name")),
        UniqueConstraint("subject", name=op.f("uq_person_subject")),
        sqlite_autoincrement=True,
    )


def _policy() -> None:
    op.create_table(
        "policy",
        Column("scope", TEXT, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("group", TEXT, nullable=False),
        Column("record", TEXT, nullable=False),
        Column("actor", TEXT, nullable=False),
        Column("time_ms", BigInteger(), autoincrement=False, nullable=False),
        PrimaryKeyConstraint("scope", name=op.f("pk_policy")),
    )


def _progress() -> None:
    op.create_table(
        "progress",
        Column("name", TEXT, nullable=False),
        Column("value", BigInteger(), autoincrement=False, nullable=False),
        PrimaryKeyConstraint("name", name=op.f("pk_progress")),
    )


def _review() -> None:
    op.create_table(
        "review",
        Column("id", TEXT, nullable=False),
        Column("offset", BigInteger(), autoincrement=False, nullable=False),
        Column("incident", TEXT, nullable=False),
        Column("account", TEXT, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("time_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("verdict", TEXT, nullable=False),
        Column("note", TEXT, nullable=False),
        Column("actor", TEXT, nullable=False),
        PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_account_time_ms"), "review", ["account", "time_ms"], unique=False)
    op.create_index(op.f("ix_review_incident_offset"), "review", ["incident", "offset"], unique=False)


def _safe_network() -> None:
    op.create_table(
        "safe_network",
        Column("scope", TEXT, nullable=False),
        Column("network", TEXT, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("group", TEXT, nullable=False),
        Column("description", TEXT, nullable=False),
        Column("actor", TEXT, nullable=False),
        Column("time_ms", BigInteger(), autoincrement=False, nullable=False),
        Column("expires_ms", BigInteger(), autoincrement=False, nullable=True),
        PrimaryKeyConstraint("scope", "network", name=op.f("pk_safe_network")),
    )
    op.create_index(
        op.f("ix_safe_network_time_ms_scope_network"), "safe_network", ["time_ms", "scope", "network"], unique=False
    )


def _summary() -> None:
    op.create_table(
        "summary", Column("summary", TEXT, nullable=False), PrimaryKeyConstraint("summary", name=op.f("pk_summary"))
    )


def _api_token() -> None:
    op.create_table(
        "api_token",
        Column("id", Integer(), nullable=False),
        Column("token_hash", TEXT, nullable=False),
        Column("name", TEXT, nullable=False),
        Column("person_id", Integer(), autoincrement=False, nullable=False),
        Column("role", TEXT, nullable=False),
        Column("scopes", TEXT, nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        Column("used_ms", BigInteger(), nullable=True),
        Column("expires_ms", BigInteger(), nullable=True),
        ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_api_token_person_id"), ondelete="CASCADE"),
        PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    op.create_index(op.f("ix_api_token_person_id"), "api_token", ["person_id"], unique=False)


def _invitation() -> None:
    op.create_table(
        "invitation",
        Column("id", Integer(), nullable=False),
        Column("token_hash", TEXT, nullable=False),
        Column("purpose", TEXT, nullable=False),
        Column("person_id", Integer(), autoincrement=False, nullable=True),
        Column("name", TEXT, nullable=False),
        Column("role", TEXT, nullable=False),
        Column("scopes", TEXT, nullable=False),
        Column("actor", TEXT, nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        Column("expires_ms", BigInteger(), nullable=False),
        Column("used_ms", BigInteger(), nullable=True),
        ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_invitation_person_id"), ondelete="CASCADE"),
        PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        UniqueConstraint("token_hash", name=op.f("uq_invitation_token_hash")),
    )


def _person_scope() -> None:
    op.create_table(
        "person_scope",
        Column("person_id", Integer(), autoincrement=False, nullable=False),
        Column("scope", TEXT, nullable=False),
        ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_person_scope_person_id"), ondelete="CASCADE"),
        PrimaryKeyConstraint("person_id", "scope", name=op.f("pk_person_scope")),
    )


def _session() -> None:
    op.create_table(
        "session",
        Column("id", Integer(), nullable=False),
        Column("token_hash", TEXT, nullable=False),
        Column("person_id", Integer(), autoincrement=False, nullable=False),
        Column("stage", TEXT, nullable=False),
        Column("said", TEXT, nullable=False),
        Column("address", TEXT, nullable=False),
        Column("agent", TEXT, nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        Column("seen_ms", BigInteger(), nullable=False),
        Column("proven_ms", BigInteger(), nullable=False),
        Column("expires_ms", BigInteger(), nullable=False),
        ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_session_person_id"), ondelete="CASCADE"),
        PrimaryKeyConstraint("id", name=op.f("pk_session")),
        UniqueConstraint("token_hash", name=op.f("uq_session_token_hash")),
    )
    op.create_index(op.f("ix_session_expires_ms"), "session", ["expires_ms"], unique=False)
    op.create_index(op.f("ix_session_person_id"), "session", ["person_id"], unique=False)
