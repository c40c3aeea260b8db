"""Indexes for what is asked all the time."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    """Replace the index of messages that are not sent yet."""
    op.drop_index("ix_notifications_due", "notifications")
    op.create_index(
        "ix_notifications_pending",
        "notifications",
        ["channel", "run_id", "id"],
        unique=False,
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )


def downgrade() -> None:
    """Bring the earlier index back."""
    op.drop_index("ix_notifications_pending", "notifications")
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["due_at"],
        unique=False,
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
