"""Which processes are alive, by the clock of the database: one machine writes it, and another one reads."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from orchestrator.store.database import common_time
from orchestrator.store.dialect import upsert
from orchestrator.store.schema import processes


def seen(connection: Connection, name: str, kind: str, at: float, facts: Mapping[str, Any]) -> None:
    """Write down that a process is alive."""
    seen_at = common_time(connection, at)
    row = {"name": name, "kind": kind, "seen_at": seen_at, "facts": dict(facts)}
    upsert(connection, processes, row, key=("name",))
    connection.execute(delete(processes).where(processes.c.seen_at < seen_at - 3600))


def alive(connection: Connection, since: float) -> list[dict[str, Any]]:
    """List the processes seen since a time."""
    statement = (
        select(processes).where(processes.c.seen_at >= common_time(connection, since)).order_by(processes.c.name)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]
