"""How often the answer to a notification was lost, so that nobody reads it more than twice."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing is known of what waits: count from here."""
    op.add_column("notifications", sa.Column("unknown", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Forget the number."""
    op.drop_column("notifications", "unknown")
