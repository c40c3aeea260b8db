"""Clicks on buttons in a chat, until a worker has dealt with them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table; there are no buttons yet."""
    op.create_table(
        "clicks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(100), nullable=False),
        sa.Column("click", sa.JSON(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clicks"),
    )
    op.create_index("ix_clicks_channel", "clicks", ["channel", "id"], unique=False)
    op.create_index("ix_clicks_received_at", "clicks", ["received_at"], unique=False)


def downgrade() -> None:
    """Forget them; who clicked sees that nothing has happened."""
    op.drop_index("ix_clicks_received_at", "clicks")
    op.drop_index("ix_clicks_channel", "clicks")
    op.drop_table("clicks")
