"""When each run is to be looked at next: the outbox of wake-ups, one row per run."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from orchestrator.store.database import is_marked, mark
from orchestrator.store.database import now as clock
from orchestrator.store.runs import IS_ACTIVE
from orchestrator.store.schema import runs, wakes

REPEAT = 15.0
"""Seconds after which a published wake-up that no worker has taken is published again (a broker may lose it)."""

SOON = 1.0
"""Seconds after which the relay looks at the table by itself; what is due later needs no bell."""
_IS_DUE = "a wake-up is due"


def _set_due_statement(dialect: str) -> Any:
    statement: Any = (sqlite_insert if dialect == "sqlite" else postgres_insert)(wakes)
    new = statement.excluded
    sooner = case((wakes.c.due_at < new.due_at, wakes.c.due_at), else_=new.due_at)
    changes = {"due_at": sooner, "queue": new.queue, "published_at": None}
    return statement.on_conflict_do_update(index_elements=["run_id"], set_=changes)


_SET_DUE = {name: _set_due_statement(name) for name in ("sqlite", "postgresql")}
_ADD = insert(wakes)
_open = or_(wakes.c.published_at.is_(None), wakes.c.published_at < bindparam("published_before"))
_DUE = (
    select(wakes.c.run_id, wakes.c.queue)
    .where(wakes.c.due_at <= bindparam("now"), _open)
    .order_by(wakes.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_PUBLISHED = (
    update(wakes).where(wakes.c.run_id.in_(bindparam("runs", expanding=True))).values(published_at=bindparam("now"))
)
_NEXT = select(wakes.c.due_at).where(wakes.c.published_at.is_(None)).order_by(wakes.c.due_at).limit(1)
_DROP = delete(wakes).where(wakes.c.run_id == bindparam("of_run"))
_CLEAR = delete(wakes).where(wakes.c.run_id == bindparam("of_run"), wakes.c.due_at <= bindparam("up_to"))


def set_due(connection: Connection, run_id: int, due_at: float, queue: str) -> None:
    """Have the run looked at no later than `due_at`."""
    set_all_due(connection, [run_id], due_at, queue)


def set_all_due(connection: Connection, run_ids: Iterable[int], due_at: float, queue: str) -> None:
    """Have runs looked at no later than `due_at`."""
    rows = [{"run_id": run_id, "due_at": due_at, "queue": queue, "published_at": None} for run_id in run_ids]
    if rows:
        connection.execute(_SET_DUE[connection.dialect.name], rows)
        _mark(connection, due_at)


def are_due(connection: Connection) -> bool:
    """Tell whether this write transaction has made anything due soon, so that the relay must be told."""
    return is_marked(connection, _IS_DUE)


def add(connection: Connection, run_ids: Iterable[int], due_at: float, queue: str) -> None:
    """Have new runs looked at; none of them has a wake-up yet."""
    rows = [{"run_id": run_id, "due_at": due_at, "queue": queue} for run_id in run_ids]
    if rows:
        connection.execute(_ADD, rows)
        _mark(connection, due_at)


def _mark(connection: Connection, due_at: float) -> None:
    if due_at <= clock() + SOON:
        mark(connection, _IS_DUE)


def clear(connection: Connection, run_id: int, up_to: float) -> None:
    """Forget the wake-ups that were due by `up_to`: a worker is looking now. Later ones stay."""
    connection.execute(_CLEAR, {"of_run": run_id, "up_to": up_to})


def drop(connection: Connection, run_id: int) -> None:
    """Forget the run's wake-up, whenever it is due."""
    connection.execute(_DROP, {"of_run": run_id})


def take_due(connection: Connection, now: float, limit: int = 500) -> list[tuple[int, str]]:
    """Mark due wake-ups as published and return (run id, queue); the caller publishes them after the commit.

    If the caller dies in between, they are due again after `REPEAT`.
    """
    found = connection.execute(_DUE, {"now": now, "published_before": now - REPEAT, "most": limit})
    due = [(run_id, queue) for run_id, queue in found]
    if due:
        connection.execute(_PUBLISHED, {"runs": [run_id for run_id, _ in due], "now": now})
    return due


def next_due(connection: Connection) -> float | None:
    """Return when the next unpublished wake-up is due, or None."""
    return connection.execute(_NEXT).scalar_one_or_none()


def without(connection: Connection, now: float, limit: int = 200) -> list[int]:
    """List active runs that have neither a wake-up nor a worker, and wait for no other run and no person."""
    waiting_for_somebody = runs.c.reason.in_(("behind_run", "on_hold", "awaiting_approval"))
    statement = (
        select(runs.c.id)
        .outerjoin(wakes, wakes.c.run_id == runs.c.id)
        .where(IS_ACTIVE, wakes.c.run_id.is_(None))
        .where(or_(runs.c.lease_until.is_(None), runs.c.lease_until < now), ~waiting_for_somebody)
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())
