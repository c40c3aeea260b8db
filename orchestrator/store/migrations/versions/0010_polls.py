"""Who has asked to have the branches of an app compared, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table; nobody has asked yet."""
    op.create_table(
        "polls",
        sa.Column("app", sa.String(100), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("done_at", sa.Float(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("app", name="pk_polls"),
    )


def downgrade() -> None:
    """Forget them; branches are compared as ever."""
    op.drop_table("polls")
