"""Indexes for lists of a part: a forge's deliveries, an environment's runs, those that went wrong."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_SOME = sa.text("environment <> ''")
_BAD = sa.text("state IN ('failed', 'cancelled')")
_NEW: tuple[tuple[str, str, list[str], sa.TextClause | None], ...] = (
    ("ix_deliveries_hook", "deliveries", ["hook", "outcome", "id"], None),
    ("ix_runs_environment", "runs", ["environment", "id"], _SOME),
    ("ix_runs_bad", "runs", ["state", "id"], _BAD),
)


def upgrade() -> None:
    """Create the indexes."""
    for name, table, columns, where in _NEW:
        op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Drop them; the lists read more than they show."""
    for name, table, _, _ in _NEW:
        op.drop_index(name, table)
