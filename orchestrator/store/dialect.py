"""The few statements that SQLite and PostgreSQL spell differently."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Table, func, insert, select, text
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


def add(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert rows, all with the same columns; return their ids, which rise in the order given.

    SQLite returns ids in no order that it promises, and row by row. But nobody else writes while we do, so we know
    which ones are next: two statements for all rows.
    """
    if not rows:
        return []
    adding, last = _adding(connection.dialect.name, table)
    if last is None:
        return list(connection.execute(adding, list(rows)).scalars())
    first = (connection.execute(last, {"of_table": table.name}).scalar_one_or_none() or 0) + 1
    connection.execute(adding, [{**row, "id": number} for number, row in enumerate(rows, first)])
    return list(range(first, first + len(rows)))


_SEQUENCE = text("SELECT seq FROM sqlite_sequence WHERE name = :of_table")


@cache
def _adding(dialect: str, table: Table) -> tuple[Any, Any]:
    """Build the statement that inserts, and for SQLite the one that reads which id was given last."""
    if dialect != "sqlite":
        return insert(table).returning(table.c.id, sort_by_parameter_order=True), None
    # Where ids are never given twice, the last one need not be there any more (sqlite.org/autoinc.html).
    once = table.dialect_options["sqlite"]["autoincrement"]
    return insert(table), _SEQUENCE if once else select(func.max(table.c.id))


_ALONE = text("SELECT pg_advisory_xact_lock(hashtext(:what))")


def alone(connection: Connection, what: str) -> None:
    """Keep other transactions with the same name out until this one ends; on SQLite only one writes at a time anyway.

    For code that first looks and then inserts: in PostgreSQL two such transactions do not see each other's rows.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(_ALONE, {"what": what})
