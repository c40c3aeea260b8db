"""Indexes for what is asked all the time, so that nothing reads a whole history."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_PENDING = sa.text("state = 'pending'")
_ACTIVE = sa.text("state IN ('queued', 'running', 'waiting')")
_REPEATS = sa.text("rerun_of IS NOT NULL")
_NEW: tuple[tuple[str, str, list[str], sa.TextClause | None], ...] = (
    # In the order in which processes that are at work meanwhile lock the tables, so that nobody waits for each other.
    ("ix_idempotency_created_at", "idempotency", ["created_at"], None),
    ("ix_runs_app", "runs", ["app", "id"], None),
    ("ix_runs_commit", "runs", ["commit", "app"], None),
    ("ix_runs_active_place", "runs", ["app", "environment", "id"], _ACTIVE),
    ("ix_runs_rerun_of", "runs", ["rerun_of"], _REPEATS),
    ("ix_deployments_commit", "deployments", ["commit", "app"], None),
    ("ix_notifications_pending", "notifications", ["channel", "run_id", "id"], _PENDING),
)


def upgrade() -> None:
    """Create the indexes; the one of messages that are due is replaced."""
    for name, table, columns, where in _NEW:
        op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)
    op.drop_index("ix_notifications_due", "notifications")


def downgrade() -> None:
    """Bring the earlier index back."""
    for name, table, _, _ in _NEW:
        op.drop_index(name, table)
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["due_at"],
        unique=False,
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
