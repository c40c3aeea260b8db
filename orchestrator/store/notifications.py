"""What is to be told to people, apart from the runs themselves: one row per run, state and channel."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import notifications, threads

LEASE = 60.0
"""Seconds that one sending may take before another process tries."""


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Queue notifications."""
    if rows:
        connection.execute(notifications.insert(), list(rows))


def merge_older(connection: Connection, run_id: int, channel: str) -> None:
    """Drop unsent messages of a run on a channel that shows only the newest state."""
    where = and_(
        notifications.c.run_id == run_id,
        notifications.c.channel == channel,
        notifications.c.state == "pending",
        notifications.c.lease_until.is_(None),
    )
    connection.execute(update(notifications).where(where).values(state="merged"))


def take_next(connection: Connection, channel: str, now: float) -> dict[str, Any] | None:
    """Lease the oldest due notification of a channel whose run has no older unsent one."""
    free = or_(notifications.c.lease_until.is_(None), notifications.c.lease_until < now)
    statement = (
        select(notifications)
        .where(notifications.c.state == "pending", notifications.c.channel == channel)
        .where(notifications.c.due_at <= now, free)
        .order_by(notifications.c.id)
        .limit(50)
        .with_for_update(skip_locked=True)
    )
    for row in connection.execute(statement).mappings():
        if not _older_unsent(connection, row):
            lease = update(notifications).where(notifications.c.id == row["id"])
            connection.execute(lease.values(lease_until=now + LEASE, attempt=row["attempt"] + 1))
            return {**row, "attempt": row["attempt"] + 1}
    return None


def sent(connection: Connection, row: dict[str, Any], reference: str, at: float) -> None:
    """Write down that a notification arrived, and what a later edit of it needs."""
    where = notifications.c.id == row["id"]
    connection.execute(update(notifications).where(where).values(state="sent", sent_at=at, lease_until=None))
    if reference:
        thread = {"run_id": row["run_id"], "channel": row["channel"], "reference": reference}
        connection.execute(upsert(connection, threads, thread, key=("run_id", "channel")))


def postpone(connection: Connection, notification_id: int, due_at: float, detail: str) -> None:
    """Try again later."""
    values = {"due_at": due_at, "lease_until": None, "detail": detail[:500]}
    connection.execute(update(notifications).where(notifications.c.id == notification_id).values(**values))


def give_up(connection: Connection, notification_id: int, detail: str) -> None:
    """The channel refuses; the run is not touched."""
    values = {"state": "failed", "lease_until": None, "detail": detail[:500]}
    connection.execute(update(notifications).where(notifications.c.id == notification_id).values(**values))


def reference(connection: Connection, run_id: int, channel: str) -> str:
    """Return what the channel gave us for the run's first message, or ""."""
    where = (threads.c.run_id == run_id) & (threads.c.channel == channel)
    return connection.execute(select(threads.c.reference).where(where)).scalar_one_or_none() or ""


def of_run(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """List a run's notifications."""
    statement = select(notifications).where(notifications.c.run_id == run_id).order_by(notifications.c.id)
    return [dict(row) for row in connection.execute(statement).mappings()]


def _older_unsent(connection: Connection, row: Any) -> bool:
    statement = select(notifications.c.id).where(
        notifications.c.run_id == row["run_id"],
        notifications.c.channel == row["channel"],
        notifications.c.state == "pending",
        notifications.c.id < row["id"],
    )
    return connection.execute(statement.limit(1)).first() is not None
