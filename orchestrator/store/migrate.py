"""Bring the database to the schema of this version; processes refuse to start on another one.

Alembic is loaded only to migrate: every process asks which schema there is, and few ever change it.
"""

from functools import cache
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.store.database import Database

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 7_012_001
"""Key of the advisory lock (PostgreSQL) under which one process migrates at a time."""
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32)))
"""Where Alembic keeps the revision; its own table, whose name and form it documents."""


@cache
def expected() -> str:
    """Return the schema revision that this version of the code needs: migrations are named by their revision."""
    return max(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*.py"))


def current(database: Database) -> str:
    """Return the schema revision of the database; "" when it is empty."""
    with database.read() as connection:
        if not inspect(connection).has_table(_VERSION.name):
            return ""
        return connection.execute(select(_VERSION.c.version_num)).scalar_one_or_none() or ""


def other(database: Database) -> Refused | None:
    """Tell why the database is not for this version; None where it is. Our revisions are digits, and grow."""
    found, wanted = current(database), expected()
    if found == wanted:
        return None
    reason = Reason.DATABASE_NEWER if found.isdigit() and found > wanted else Reason.DATABASE_OUTDATED
    return Refused(reason, f"it is {f'at schema {found}' if found else 'empty'}, this version needs {wanted}")


def needed(database: Database) -> bool:
    """Tell whether there is anything to migrate. :raises Refused: a newer version has; there is no way back."""
    refusal = other(database)
    if refusal is not None and refusal.reason is Reason.DATABASE_NEWER:
        raise refusal
    return refusal is not None


def upgrade(database: Database) -> None:
    """Migrate to the newest schema, in one transaction; safe to call from several processes at once.

    :raises Refused: DATABASE_NEWER, see `needed`.
    """
    from alembic import command
    from alembic.config import Config

    if not needed(database):
        return
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    with database.write() as connection:
        _lock(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    """Wait for whoever migrates now. How long that takes, and a statement over a long table, nobody knows."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        connection.exec_driver_sql("RESET lock_timeout")  # who waits for a table keeps others waiting for it, too
