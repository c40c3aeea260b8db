"""Numbers of landings, so that no clock says which change is the newest in Git."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_LANDED = sa.text("name = 'commit' AND state = 'succeeded'")
_IN_OLD_ORDER = """
    UPDATE stages SET landing = old.number
    FROM (
        SELECT run_id, row_number() OVER (ORDER BY finished_at, run_id) AS number
        FROM stages WHERE name = 'commit' AND state = 'succeeded'
    ) AS old
    WHERE stages.run_id = old.run_id AND stages.name = 'commit'
"""


def upgrade() -> None:
    """Number what has landed by the time at which it did; nothing else is known of it."""
    op.add_column("stages", sa.Column("landing", sa.Integer(), nullable=True))
    op.execute(_IN_OLD_ORDER)
    op.create_index(
        "ix_stages_landing", "stages", ["landing"], unique=False, sqlite_where=_LANDED, postgresql_where=_LANDED
    )


def downgrade() -> None:
    """Forget the numbers."""
    op.drop_index("ix_stages_landing", "stages")
    op.drop_column("stages", "landing")
