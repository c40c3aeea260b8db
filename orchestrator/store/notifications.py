"""What is to be told to people, apart from the runs themselves: one row per run, state and channel."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, exists, insert, literal_column, or_, select, update

from orchestrator.store.database import common_time
from orchestrator.store.dialect import upsert
from orchestrator.store.schema import notifications, runs, threads

LEASE = 100.0
"""Seconds that one sending may take before another process tries; a slow answer takes longest."""

_PENDING: ColumnElement[str] = literal_column("'pending'")
"""Written as text: the index covers only these rows, and with a parameter the planner would not use it."""
_this = notifications.c.id == bindparam("which")
_pending = notifications.c.state == _PENDING
_of = (notifications.c.run_id == bindparam("of_run")) & (notifications.c.channel == bindparam("to_channel"))
_not_leased = or_(
    notifications.c.lease_until.is_(None),
    notifications.c.lease_until < bindparam("common_now"),
    notifications.c.lease_until > bindparam("ahead"),  # of a clock that was set back
)
_ADD = insert(notifications)
_MERGE = update(notifications).where(_of, _pending, notifications.c.lease_until.is_(None)).values(state="merged")
_older = notifications.alias("older")
_FIRST_OF_ITS_RUN = ~exists().where(
    _older.c.channel == notifications.c.channel,
    _older.c.run_id == notifications.c.run_id,
    _older.c.id < notifications.c.id,
    _older.c.state == _PENDING,
)
_lately = notifications.alias("lately")
_NOT_JUST_TOLD = ~exists().where(
    _lately.c.run_id == notifications.c.run_id,
    _lately.c.channel == notifications.c.channel,
    _lately.c.sent_at > bindparam("told_before"),
    _lately.c.sent_at <= bindparam("now"),  # a clock that was set back keeps nobody waiting
)
_DUE = (
    select(notifications)
    .where(_pending, notifications.c.channel == bindparam("to_channel"))
    .where(notifications.c.due_at <= bindparam("now"), _not_leased, _FIRST_OF_ITS_RUN, _NOT_JUST_TOLD)
    .order_by(notifications.c.id)
    .limit(1)
)
_TAKE = _DUE.with_for_update(skip_locked=True)
_LEASE = update(notifications).where(_this).values(lease_until=bindparam("until"), attempt=bindparam("attempt"))
_SENT = update(notifications).where(_this).values(state="sent", sent_at=bindparam("at"), lease_until=None)
_GO_ON = update(notifications).where(_this).values(lease_until=None)
_DROP = update(notifications).where(_this).values(state="merged", lease_until=None)
_this_run, _later = runs.alias("this_run"), runs.alias("later")
_OF_LATER_RUN = (
    select(notifications.c.id)
    .join(_later, _later.c.id == notifications.c.run_id)
    .join(_this_run, (_this_run.c.commit == _later.c.commit) & (_this_run.c.app == _later.c.app))
    .where(_this_run.c.id == bindparam("of_run"), _this_run.c.environment == _later.c.environment)
    .where(_later.c.id > _this_run.c.id, _later.c.commit != "", notifications.c.channel == bindparam("to_channel"))
    .limit(1)
)
_READDRESS = (
    update(notifications)
    .where(_pending, notifications.c.channel == bindparam("from_channel"))
    .values(channel=bindparam("new_channel"))
)
_REFERENCE = select(threads.c.channel, threads.c.reference).where(
    threads.c.run_id == bindparam("of_run"), threads.c.channel.in_(bindparam("names", expanding=True))
)


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Queue notifications."""
    if rows:
        connection.execute(_ADD, list(rows))


def merge_older(connection: Connection, run_id: int, channel: str) -> None:
    """Drop unsent messages of a run on a channel that shows only the newest state."""
    connection.execute(_MERGE, {"of_run": run_id, "to_channel": channel})


def is_due(connection: Connection, channel: str, now: float, spacing: float = 0.0) -> bool:
    """Tell whether a channel has a notification to send, without a lock. The parameters are those of `take_next`."""
    return connection.execute(_DUE, _asked(connection, channel, now, spacing)).first() is not None


def take_next(connection: Connection, channel: str, now: float, spacing: float = 0.0) -> dict[str, Any] | None:
    """Lease the oldest due notification of a channel whose run has no older unsent one.

    :param spacing: seconds for which a run of which the channel has just been told is left alone.
    """
    values = _asked(connection, channel, now, spacing)
    row = connection.execute(_TAKE, values).mappings().one_or_none()
    if row is None:
        return None
    attempt = row["attempt"] + 1
    connection.execute(_LEASE, {"which": row["id"], "until": values["common_now"] + LEASE, "attempt": attempt})
    return {**row, "attempt": attempt}


def _asked(connection: Connection, channel: str, now: float, spacing: float) -> dict[str, Any]:
    at = common_time(connection, now)  # another machine has set the lease
    told = {"to_channel": channel, "now": now, "told_before": now - spacing}
    return told | {"common_now": at, "ahead": at + 2 * LEASE}


def is_outdated(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Tell whether a channel is told of a later run of the same app, environment and commit as well."""
    values = {"of_run": row["run_id"], "to_channel": row["channel"]}
    return connection.execute(_OF_LATER_RUN, values).first() is not None


def drop(connection: Connection, row: Mapping[str, Any]) -> None:
    """Leave out a message that was taken."""
    connection.execute(_DROP, {"which": row["id"]})


def sent(connection: Connection, row: dict[str, Any], reference: str, at: float) -> None:
    """Write down that a notification arrived, and what a later edit of it needs."""
    connection.execute(_SENT, {"which": row["id"], "at": at})
    _remember(connection, row, reference)


def go_on(connection: Connection, row: dict[str, Any], reference: str) -> None:
    """Write down that a part of a notification arrived, and what the rest of it needs."""
    connection.execute(_GO_ON, {"which": row["id"]})
    _remember(connection, row, reference)


def _remember(connection: Connection, row: dict[str, Any], reference: str) -> None:
    if reference:
        thread = {"run_id": row["run_id"], "channel": row["channel"], "reference": reference}
        upsert(connection, threads, thread, key=("run_id", "channel"))


def postpone(
    connection: Connection, notification_id: int, due_at: float, detail: str, attempt: int, unknown: int
) -> None:
    """Try again later. :param attempt: how many tries have failed; after `unknown` of them it may have arrived."""
    values = {"due_at": due_at, "lease_until": None, "detail": detail[:500], "attempt": attempt, "unknown": unknown}
    connection.execute(update(notifications).where(notifications.c.id == notification_id).values(**values))


def give_up(connection: Connection, notification_id: int, detail: str) -> None:
    """Record that the channel refuses; the run is not touched."""
    values = {"state": "failed", "lease_until": None, "detail": detail[:500]}
    connection.execute(update(notifications).where(notifications.c.id == notification_id).values(**values))


def give_up_others(connection: Connection, channels: Collection[str], before: float, detail: str) -> set[str]:
    """Record that messages from before a time will never go to channels other than these; return their names."""
    others = update(notifications).where(_pending, notifications.c.channel.not_in(channels))
    others = others.where(notifications.c.created_at < before).values(state="failed", lease_until=None, detail=detail)
    return set(connection.execute(others.returning(notifications.c.channel)).scalars())


def readdress(connection: Connection, old: str, new: str) -> None:
    """Keep unsent messages for another name of their channel."""
    connection.execute(_READDRESS, {"from_channel": old, "new_channel": new})


def reference(connection: Connection, run_id: int, *names: str) -> str:
    """Return what the channel gave us for the run's first message, or "". :param names: its own, then former ones."""
    found = connection.execute(_REFERENCE, {"of_run": run_id, "names": names})
    known = {row.channel: row.reference for row in found}
    return next((known[name] for name in names if name in known), "")


def of_run(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """List a run's notifications."""
    statement = select(notifications).where(notifications.c.run_id == run_id).order_by(notifications.c.id)
    return [dict(row) for row in connection.execute(statement).mappings()]
