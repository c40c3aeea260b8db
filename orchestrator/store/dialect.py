"""The few statements that SQLite and PostgreSQL spell differently in SQLAlchemy."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Table
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def upsert(
    connection: Connection,
    table: Table,
    *rows: Mapping[str, Any],
    key: tuple[str, ...],
    keep: bool = False,
    returning: str = "",
) -> CursorResult[Any]:
    """Insert rows, all with the same columns, or update those with these keys (``ON CONFLICT DO UPDATE``).

    :param keep: leave a row that is there as it is. :param returning: a column of the row that was written.
    """
    statement = _upsert(connection.dialect.name, table, tuple(rows[0]), key, keep, returning)
    return connection.execute(statement, rows[0] if len(rows) == 1 else list(rows))


@cache
def _upsert(
    dialect: str, table: Table, columns: tuple[str, ...], key: tuple[str, ...], keep: bool, returning: str
) -> Any:
    """Build the statement once: that and hashing it take longer than running it."""
    make: Any = sqlite_insert if dialect == "sqlite" else postgres_insert
    statement = make(table)
    changes = {name: statement.excluded[name] for name in columns if name not in key}
    if keep or not changes:
        statement = statement.on_conflict_do_nothing(index_elements=list(key))
    else:
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changes)
    return statement.returning(table.c[returning]) if returning else statement
