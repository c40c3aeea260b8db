"""Whether the poll is ahead of a ref's hooks, and whether it has to look at the ref anew."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nothing is known of what the poll was ahead of: all hooks are level."""
    op.add_column("heads", sa.Column("by_poll", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("heads", sa.Column("doubted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("heads", "doubted")
    op.drop_column("heads", "by_poll")
