"""What Git and Argo CD were last seen to say of each environment."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Nobody has looked yet."""
    op.create_table(
        "glances",
        sa.Column("app", sa.String(100), primary_key=True),
        sa.Column("environment", sa.String(100), primary_key=True),
        sa.Column("witness", sa.String(20), primary_key=True),
        sa.Column("facts", sa.JSON(), nullable=False),
    )
    op.create_table(
        "witnesses",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("seen_at", sa.Float()),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """The next version that wants to know looks again."""
    op.drop_table("witnesses")
    op.drop_table("glances")
