"""Where the history of an environment is kept whose app, or which itself, has another name by now."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Nothing has been renamed yet."""
    op.add_column("environments", sa.Column("moved_app", sa.String(100), nullable=False, server_default=""))
    op.add_column("environments", sa.Column("moved_name", sa.String(100), nullable=False, server_default=""))


def downgrade() -> None:
    """Forget it: the history stays under the newer names."""
    op.drop_column("environments", "moved_name")
    op.drop_column("environments", "moved_app")
