"""Apps whose branches the poll could not compare when it looked last."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table; the next look fills it."""
    op.create_table(
        "unread",
        sa.Column("app", sa.String(100), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("app", name="pk_unread"),
    )


def downgrade() -> None:
    """Forget them; what cannot be read is in the log alone."""
    op.drop_table("unread")
