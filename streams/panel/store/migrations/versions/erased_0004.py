"""Until when accounts are erased, so that what was erased is not read from the topics again."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Text
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "erased",
        Column("whose", TEXT, nullable=False),
        Column("time_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("whose", name=op.f("pk_erased")),
    )
