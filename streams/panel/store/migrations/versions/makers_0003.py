"""
Who made a link, so that it is worth no more than they are.

Open links of before get the maker whom they name. Those that name nobody of the panel are the command line's, which has links
for owners only, or of somebody who was removed: all but those for owners end here.
"""

from alembic import op
from sqlalchemy import Column, Integer, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column, and fill it."""
    with op.batch_alter_table("invitation") as table:
        table.add_column(Column("maker_id", Integer(), autoincrement=False, nullable=True))
        table.create_foreign_key(op.f("fk_invitation_maker_id"), "person", ["maker_id"], ["id"], ondelete="CASCADE")
    op.execute(
        text("""
        UPDATE invitation SET maker_id = (SELECT person.id FROM person WHERE person.name = invitation.actor)
        WHERE purpose IN ('invite', 'reset')
        """)
    )
    op.execute(
        text("DELETE FROM invitation WHERE purpose IN ('invite', 'reset') AND role <> 'owner' AND maker_id IS NULL")
    )
