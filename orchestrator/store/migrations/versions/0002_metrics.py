"""What metrics count, and the deployments that DORA's figures are made of."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "tallies",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tallies")),
    )
    op.create_table(
        "deployments",
        sa.Column("app", sa.String(length=100), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("commit", sa.String(length=100), nullable=False),
        sa.Column("result", sa.String(length=20), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("committed_at", sa.Float(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("failed_at", sa.Float(), nullable=True),
        sa.Column("restored_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_deployments_run_id")),
        sa.PrimaryKeyConstraint("app", "environment", "commit", "result", name=op.f("pk_deployments")),
    )
    op.create_index("ix_deployments_at", "deployments", ["at"], unique=False)
    op.create_index("ix_deployments_app", "deployments", ["app", "environment", "run_id"], unique=False)
    op.create_index(
        "ix_deployments_open",
        "deployments",
        ["app", "environment"],
        unique=False,
        sqlite_where=sa.text("failed_at IS NOT NULL AND restored_at IS NULL"),
        postgresql_where=sa.text("failed_at IS NOT NULL AND restored_at IS NULL"),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("deployments")
    op.drop_table("tallies")
