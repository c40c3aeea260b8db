"""Which processes are alive."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import processes


def seen(connection: Connection, name: str, kind: str, at: float, facts: Mapping[str, Any]) -> None:
    """Write down that a process is alive."""
    row = {"name": name, "kind": kind, "seen_at": at, "facts": dict(facts)}
    upsert(connection, processes, row, key=("name",))
    connection.execute(delete(processes).where(processes.c.seen_at < at - 3600))


def alive(connection: Connection, since: float) -> list[dict[str, Any]]:
    """List the processes seen since a time."""
    statement = select(processes).where(processes.c.seen_at >= since).order_by(processes.c.name)
    return [dict(row) for row in connection.execute(statement).mappings()]
