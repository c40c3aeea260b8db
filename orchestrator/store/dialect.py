"""The few statements that SQLite and PostgreSQL spell differently in SQLAlchemy."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def upsert(
    connection: Connection,
    table: Table,
    row: Mapping[str, Any],
    *,
    key: Sequence[str],
    update: Mapping[str, Any] | None = None,
) -> Any:
    """Build "insert, or update the row with this key" (``ON CONFLICT DO UPDATE``).

    :param update: columns to set on conflict; default: all of `row`. An empty mapping means: leave it as it is.
    """
    make: Any = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    statement = make(table).values(**row)
    changes = {name: value for name, value in row.items() if name not in key} if update is None else dict(update)
    if not changes:
        return statement.on_conflict_do_nothing(index_elements=list(key))
    return statement.on_conflict_do_update(index_elements=list(key), set_=changes)


def upsert_statement(dialect: str, table: Table, *, key: Sequence[str]) -> Any:
    """Build "insert, or update the row with this key" for any row, to be executed with the row as parameters."""
    make: Any = sqlite_insert if dialect == "sqlite" else postgres_insert
    statement = make(table)
    changes = {column.name: statement.excluded[column.name] for column in table.c if column.name not in key}
    return statement.on_conflict_do_update(index_elements=list(key), set_=changes)
