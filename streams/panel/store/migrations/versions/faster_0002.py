"""
Networks in one tree by address, blocks counted by account, and indexes for filters that leave few rows.

What the two tables hold is copied, not read anew from the topics: those keep less than the panel may have.
"""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, SmallInteger, Text, text
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
NETWORK = "start, prefix, account, domain, address, country, city, owner, last_ms"


def upgrade() -> None:
    """Make the tables anew, and the indexes."""
    _network()
    _account()
    op.drop_index("ix_incident_countries", table_name="incident")
    op.create_index(op.f("ix_incident_rule_opened_ms_id"), "incident", ["rule", "opened_ms", "id"], unique=False)
    best = ["verdict", "score", "opened_ms", "id"]
    op.create_index(op.f("ix_incident_verdict_score_opened_ms_id"), "incident", best, unique=False)
    op.create_index(op.f("ix_incident_summary"), "incident", ["summary"], unique=False)
    op.create_index(op.f("ix_deed_action_time_ms_id"), "deed", ["action", "time_ms", "id"], unique=False)


def _network() -> None:
    op.drop_index("ix_network_start_prefix_domain", table_name="network")
    _put_aside("network")
    op.create_table(
        "network",
        Column("start", LargeBinary(), nullable=False),
        Column("prefix", SmallInteger(), autoincrement=False, nullable=False),
        Column("account", TEXT, nullable=False),
        Column("domain", TEXT, nullable=False),
        Column("address", TEXT, nullable=False),
        Column("country", TEXT, nullable=True),
        Column("city", TEXT, nullable=True),
        Column("owner", TEXT, nullable=True),
        Column("last_ms", BigInteger(), autoincrement=False, nullable=False),
        PrimaryKeyConstraint("start", "prefix", "account", name=op.f("pk_network")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_network_domain_account"), "network", ["domain", "account"], unique=False)
    op.execute(text(f"INSERT INTO network ({NETWORK}) SELECT {NETWORK} FROM former ORDER BY start, prefix, account"))  # noqa: S608
    op.drop_table("former")


def _account() -> None:
    _put_aside("account")
    op.create_table(
        "account",
        Column("account", TEXT, nullable=False),
        Column("incidents", Integer(), nullable=False),
        Column("blocks", Integer(), nullable=False),
        PrimaryKeyConstraint("account", name=op.f("pk_account")),
        sqlite_with_rowid=False,
    )
    op.execute(
        text("""
        INSERT INTO account (account, incidents, blocks)
        SELECT account, sum(incidents), sum(blocks) FROM (
            SELECT account, incidents, 0 AS blocks FROM former UNION ALL SELECT account, 0, 1 FROM block
        ) AS counted GROUP BY account ORDER BY account
        """)
    )
    op.drop_table("former")


def _put_aside(table: str) -> None:
    op.rename_table(table, "former")
    if op.get_bind().dialect.name == "postgresql":  # an index keeps its name, and the new table needs it
        op.execute(text(f"ALTER TABLE former DROP CONSTRAINT pk_{table}"))
