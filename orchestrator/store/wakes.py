"""When each run is to be looked at next: the outbox of wake-ups, one row per run."""

from collections.abc import Iterable

from sqlalchemy import Connection, case, delete, or_, select, update

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import wakes

REPEAT = 15.0
"""Seconds after which a published wake-up that no worker has taken is published again (a broker may lose it)."""


def set_due(connection: Connection, run_id: int, due_at: float, queue: str) -> None:
    """Have the run looked at no later than `due_at`."""
    row = {"run_id": run_id, "due_at": due_at, "queue": queue, "published_at": None}
    sooner = case((wakes.c.due_at < due_at, wakes.c.due_at), else_=due_at)
    update_ = {"due_at": sooner, "queue": queue, "published_at": None}
    connection.execute(upsert(connection, wakes, row, key=("run_id",), update=update_))


def set_due_many(connection: Connection, run_ids: Iterable[int], due_at: float, queue: str) -> None:
    """Have new runs looked at; none of them has a wake-up yet."""
    rows = [{"run_id": run_id, "due_at": due_at, "queue": queue} for run_id in run_ids]
    if rows:
        connection.execute(wakes.insert(), rows)


def clear(connection: Connection, run_id: int, up_to: float) -> None:
    """Forget the wake-ups that were due by `up_to`: a worker is looking now. Later ones stay."""
    connection.execute(delete(wakes).where(wakes.c.run_id == run_id, wakes.c.due_at <= up_to))


def drop(connection: Connection, run_id: int) -> None:
    """Forget the run's wake-up, whenever it is due."""
    connection.execute(delete(wakes).where(wakes.c.run_id == run_id))


def take_due(connection: Connection, now: float, limit: int = 500) -> list[tuple[int, str]]:
    """Mark due wake-ups as published and return (run id, queue); the caller publishes them after the commit.

    If the caller dies in between, they are due again after `REPEAT`.
    """
    open_ = or_(wakes.c.published_at.is_(None), wakes.c.published_at < now - REPEAT)
    statement = select(wakes.c.run_id, wakes.c.queue).where(wakes.c.due_at <= now, open_)
    statement = statement.order_by(wakes.c.due_at).limit(limit).with_for_update(skip_locked=True)
    due = [(run_id, queue) for run_id, queue in connection.execute(statement).tuples()]
    if due:
        ids = [run_id for run_id, _ in due]
        connection.execute(update(wakes).where(wakes.c.run_id.in_(ids)).values(published_at=now))
    return due


def next_due(connection: Connection) -> float | None:
    """Return when the next unpublished wake-up is due, or None."""
    statement = select(wakes.c.due_at).where(wakes.c.published_at.is_(None)).order_by(wakes.c.due_at).limit(1)
    return connection.execute(statement).scalar_one_or_none()
