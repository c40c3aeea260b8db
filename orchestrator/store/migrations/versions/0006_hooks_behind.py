"""Where the hooks of a ref are if the poll is ahead of them, and whether the poll has to look at it anew."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nothing is known of what the poll was ahead of: all hooks are level."""
    op.add_column("heads", sa.Column("told", sa.String(64), nullable=True))
    op.add_column("heads", sa.Column("doubted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("heads", "doubted")
    op.drop_column("heads", "told")
