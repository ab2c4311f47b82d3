"""
Under which other keys rules lie on their topics.

The topics of rules are read once more from their start: they are compacted, so they have every rule, and each of their
records counts once whenever it is read.
"""

from alembic import op
from sqlalchemy import Column, PrimaryKeyConstraint, Text, text
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table, and have it filled."""
    op.create_table(
        "spelling",
        Column("topic", TEXT, nullable=False),
        Column("key", TEXT, nullable=False),
        Column("written", TEXT, nullable=False),
        PrimaryKeyConstraint("topic", "key", name=op.f("pk_spelling")),
    )
    op.execute(text("""DELETE FROM "offset" WHERE topic IN ('policies', 'safe-networks', 'domains')"""))
