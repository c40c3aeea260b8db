"""Counts for metrics and the newest runs of each environment: reading only, by index where tables grow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select, union_all

from orchestrator.domain.runs import Run, RunState, StageName, StageState
from orchestrator.store.runs import load_many
from orchestrator.store.schema import deliveries, environments, notifications, runs, stages, wakes

_CHUNK = 100
"""Environments in one statement; SQLite takes at most 500 parts of a UNION."""
_LATE = 20
"""Runs among which the one that landed last is looked for: one that was approved late lands after newer ones."""
_JUDGED = (RunState.SUCCEEDED.value, RunState.FAILED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Wake-ups that are due: how many, and for how many seconds the oldest one."""

    due: int
    oldest: float


def runs_by_state(connection: Connection) -> dict[str, int]:
    """Count runs: state -> number."""
    return _counts(connection, select(runs.c.state, func.count()).group_by(runs.c.state))


def deliveries_by_outcome(connection: Connection) -> dict[str, int]:
    """Count deliveries that are kept: outcome -> number."""
    return _counts(connection, select(deliveries.c.outcome, func.count()).group_by(deliveries.c.outcome))


def notifications_by_state(connection: Connection) -> dict[str, int]:
    """Count notifications: state -> number."""
    return _counts(connection, select(notifications.c.state, func.count()).group_by(notifications.c.state))


def queue(connection: Connection, now: float) -> Queue:
    """Measure the queue of wake-ups."""
    statement = select(func.count(), func.min(wakes.c.due_at)).where(wakes.c.due_at <= now)
    due, oldest = connection.execute(statement).one()
    return Queue(due=int(due), oldest=max(0.0, now - oldest) if oldest is not None else 0.0)


def newest(connection: Connection, places: Sequence[tuple[str, str]], state: str = "") -> dict[tuple[str, str], Run]:
    """Read the newest run (in `state`, if one is named) of each place: (app, environment) -> run."""
    return _of_each(connection, [_newest_id(app, environment, state) for app, environment in places])


def landed(
    connection: Connection, places: Sequence[tuple[str, str]], *, judged: bool = False
) -> dict[tuple[str, str], Run]:
    """Read the run whose change is the newest in Git of each place: (app, environment) -> run.

    :param judged: only among the runs of which it turned out whether they are healthy.
    """
    return _of_each(connection, [_landed_id(app, environment, judged) for app, environment in places])


def _of_each(connection: Connection, wanted: Sequence[Select[tuple[int]]]) -> dict[tuple[str, str], Run]:
    found: list[Run] = []
    for at in range(0, len(wanted), _CHUNK):
        parts = [one.subquery() for one in wanted[at : at + _CHUNK]]
        ids = union_all(*(select(part.c.id) for part in parts))
        found.extend(load_many(connection, select(runs).where(runs.c.id.in_(ids))))
    return {(run.app, run.environment): run for run in found}


def holds(connection: Connection) -> dict[tuple[str, str], tuple[str, str, float | None]]:
    """Return the holds: (app, environment) -> why, by whom, since when."""
    statement = select(environments).where(environments.c.hold != "")
    rows = connection.execute(statement).mappings()
    return {(row["app"], row["name"]): (row["hold"], row["held_by"], row["held_at"]) for row in rows}


def _newest_id(app: str, environment: str, state: str) -> Select[tuple[int]]:
    statement = select(runs.c.id).where(runs.c.app == app, runs.c.environment == environment)
    if state:
        statement = statement.where(runs.c.state == state)
    return statement.order_by(runs.c.id.desc()).limit(1)


def _landed_id(app: str, environment: str, judged: bool) -> Select[tuple[int]]:
    of_commit = (stages.c.run_id == runs.c.id) & (stages.c.name == StageName.COMMIT.value)
    statement = (
        select(runs.c.id, stages.c.finished_at)
        .join(stages, of_commit)
        .where(runs.c.app == app, runs.c.environment == environment, stages.c.state == StageState.SUCCEEDED.value)
    )
    if judged:
        statement = statement.where(runs.c.state.in_(_JUDGED))
    late = statement.order_by(runs.c.id.desc()).limit(_LATE).subquery()
    return select(late.c.id).order_by(late.c.finished_at.desc(), late.c.id.desc()).limit(1)


def _counts(connection: Connection, statement: Any) -> dict[str, int]:
    return {name: int(number) for name, number in connection.execute(statement)}
