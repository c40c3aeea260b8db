"""Alembic scripts, one file per schema change."""
