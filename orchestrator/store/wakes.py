"""When each run is to be looked at next: the outbox of wake-ups, one row per run."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Float, String, and_, bindparam, case, delete, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from orchestrator.store.database import common_time, is_marked, mark
from orchestrator.store.database import now as clock
from orchestrator.store.runs import IS_ACTIVE
from orchestrator.store.schema import runs, wakes

REPEAT = 15.0
"""Seconds after which a published wake-up that no worker has taken is published again (a broker may lose it).

Each further pause is as long as it was due already, so it doubles: many messages for one run gain nothing, and where
no worker is they would fill the broker, all of them in front of new work."""
REPEAT_MOST = 300.0
"""Seconds that such a pause lasts at the most."""

SOON = 1.0
"""Seconds after which the relay looks at the table by itself; what is due later needs no bell."""
_IS_DUE = "a wake-up is due"
_MOST_DUE = 500
"""Wake-ups that are published at a time."""
_MOST_STRAY = 200
"""Runs without a wake-up, or with an impossible one, that are found at a time."""

_now, _published = bindparam("now", type_=Float), wakes.c.published_at


def _upsert(dialect: str) -> Any:
    return (sqlite_insert if dialect == "sqlite" else postgres_insert)(wakes)


def _set_due_statement(dialect: str) -> Any:
    """Build the statement. A published wake-up becomes due anew: a worker may have come with it too early."""
    statement = _upsert(dialect)
    new, old = statement.excluded, wakes.c
    soonest = case((_published.is_(None), old.due_at), else_=_now)
    due_at = case((soonest < new.due_at, soonest), else_=new.due_at)
    changes = {"due_at": due_at, "queue": new.queue, "published_at": None}
    return statement.on_conflict_do_update(index_elements=["run_id"], set_=changes)


def _hasten_statement(dialect: str) -> Any:
    statement = _upsert(dialect)
    new = statement.excluded
    changes = {"due_at": new.due_at, "queue": new.queue, "published_at": None}
    return statement.on_conflict_do_update(index_elements=["run_id"], set_=changes, where=wakes.c.due_at > new.due_at)


_DIALECTS = ("sqlite", "postgresql")
_SET_DUE = {name: _set_due_statement(name) for name in _DIALECTS}
_HASTEN = {name: _hasten_statement(name) for name in _DIALECTS}
# One statement, however many there are: the driver would insert a list of them row by row.
_ADD = insert(wakes).from_select(
    ["run_id", "due_at", "queue"],
    select(runs.c.id, bindparam("due_at", type_=Float), bindparam("queue", type_=String)).where(
        runs.c.id.in_(bindparam("runs", expanding=True))
    ),
)
_pause_is_over = or_(_published < _now - REPEAT_MOST, _published + (_published - wakes.c.due_at) < _now)
_open = or_(_published.is_(None), and_(_published < _now - REPEAT, _pause_is_over))
_DUE = (
    select(wakes.c.run_id, wakes.c.queue)
    .where(wakes.c.due_at <= _now, _open)
    .order_by(wakes.c.due_at)
    .limit(_MOST_DUE)
    .with_for_update(skip_locked=True)
)
_PUBLISHED = (
    update(wakes).where(wakes.c.run_id.in_(bindparam("runs", expanding=True))).values(published_at=bindparam("now"))
)
_NOT_PUBLISHED = update(wakes).where(wakes.c.run_id == bindparam("of_run")).values(published_at=None)
_NEXT = select(wakes.c.due_at).where(wakes.c.published_at.is_(None)).order_by(wakes.c.due_at).limit(1)
_of_some = select(wakes.c.run_id).where(wakes.c.run_id.in_(bindparam("runs", expanding=True)))
_NUDGE = (
    update(wakes)
    .where(wakes.c.run_id.in_(_of_some.with_for_update(skip_locked=True)))
    .values(due_at=bindparam("now"), published_at=None)
)
_DROP = delete(wakes).where(wakes.c.run_id == bindparam("of_run"))
_CLEAR = delete(wakes).where(wakes.c.run_id == bindparam("of_run"), wakes.c.due_at <= bindparam("up_to"))


def set_due(connection: Connection, run_id: int, due_at: float, queue: str) -> None:
    """Have the run looked at no later than `due_at`."""
    set_all_due(connection, [run_id], due_at, queue)


def set_all_due(connection: Connection, run_ids: Iterable[int], due_at: float, queue: str) -> None:
    """Have runs looked at no later than `due_at`."""
    rows = [{"run_id": run_id, "due_at": due_at, "queue": queue, "now": clock()} for run_id in run_ids]
    if rows:
        connection.execute(_SET_DUE[connection.dialect.name], rows)
        _mark(connection, due_at)


def hasten(connection: Connection, run_ids: Iterable[int], due_at: float, queue: str) -> None:
    """Have runs looked at by `due_at` unless they are due by then: for callers that wake the same runs often."""
    rows = [{"run_id": run_id, "due_at": due_at, "queue": queue} for run_id in run_ids]
    if rows:
        connection.execute(_HASTEN[connection.dialect.name], rows)
        _mark(connection, due_at)


def nudge(connection: Connection, run_ids: Iterable[int], now: float) -> None:
    """Have runs looked at now that would look soon anyway; rows that another transaction has locked are skipped."""
    chosen = list(run_ids)
    if chosen:
        connection.execute(_NUDGE, {"runs": chosen, "now": now})
        _mark(connection, now)


def are_due(connection: Connection) -> bool:
    """Tell whether this write transaction has made anything due soon, so that the relay must be told."""
    return is_marked(connection, _IS_DUE)


def add(connection: Connection, run_ids: Iterable[int], due_at: float, queue: str) -> None:
    """Have new runs looked at; none of them has a wake-up yet."""
    chosen = list(run_ids)
    if chosen:
        connection.execute(_ADD, {"runs": chosen, "due_at": due_at, "queue": queue})
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


def take_due(connection: Connection, now: float) -> list[tuple[int, str]]:
    """Mark due wake-ups as published and return (run id, queue); the caller publishes them after the commit.

    If the caller dies in between, they are due again after `REPEAT`.
    """
    found = connection.execute(_DUE, {"now": now})
    due = [(run_id, queue) for run_id, queue in found]
    if due:
        connection.execute(_PUBLISHED, {"runs": [run_id for run_id, _ in due], "now": now})
    return due


def not_published(connection: Connection, run_ids: Iterable[int]) -> None:
    """Mark wake-ups as not published: the broker did not take them."""
    connection.execute(_NOT_PUBLISHED, [{"of_run": run_id} for run_id in sorted(run_ids)])


def next_due(connection: Connection) -> float | None:
    """Return when the next unpublished wake-up is due, or None."""
    return connection.execute(_NEXT).scalar_one_or_none()


def too_far(connection: Connection, now: float, longest: float) -> list[int]:
    """List runs whose wake-up is later than possible, or was published in the future, because a clock was set back.

    :param longest: seconds of the longest pause.
    """
    of_future = or_(wakes.c.due_at > now + longest, wakes.c.published_at > now + REPEAT_MOST)
    return list(connection.execute(select(wakes.c.run_id).where(of_future).limit(_MOST_STRAY)).scalars())


def without(connection: Connection, now: float) -> dict[int, str]:
    """Find active runs that have neither a wake-up nor a worker, and wait for no other run: id -> reason."""
    at = common_time(connection, now)
    statement = (
        select(runs.c.id, runs.c.reason)
        .outerjoin(wakes, wakes.c.run_id == runs.c.id)
        .where(IS_ACTIVE, wakes.c.run_id.is_(None))
        .where(or_(runs.c.lease_until.is_(None), runs.c.lease_until < at), runs.c.reason != "behind_run")
        .limit(_MOST_STRAY)
    )
    return {row.id: row.reason for row in connection.execute(statement)}
