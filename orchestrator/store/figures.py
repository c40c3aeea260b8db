"""What is going on now, for metrics, and the newest runs of environments: read by index from tables that grow."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, bindparam, func, select, text, union_all

from orchestrator.domain.runs import STAGE_ORDER, Run, RunState, StageName
from orchestrator.store.landings import LANDED
from orchestrator.store.landings import newest as newest_landing
from orchestrator.store.runs import IS_ACTIVE, load_many
from orchestrator.store.schema import environments, notifications, runs, stages, wakes

_CHUNK = 100
"""Environments in one statement; SQLite takes at most 500 parts of a UNION.

One part for each, with its names as parameters: a subselect over a list of places is quicker to build, but PostgreSQL
then plans for an average place and reads all runs to find none of a new one.
"""
_JUDGED = (RunState.SUCCEEDED.value, RunState.FAILED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRun:
    """A run that is not over, as far as figures need it.

    :param stage: the one that comes next or is at work. :param leased_until: until when a worker holds the run.
    :param due_at: since when it waits for a worker; None: it does not. :param landed_at: when its change reached Git.
    """

    app: str
    environment: str
    state: str
    stage: StageName
    leased_until: float | None
    due_at: float | None
    landed_at: float | None


_ACTIVE = select(runs.c.id, runs.c.app, runs.c.environment, runs.c.state, runs.c.lease_until).where(IS_ACTIVE)
_PASSED = (
    select(stages.c.run_id, stages.c.name, stages.c.finished_at)
    .join(runs, runs.c.id == stages.c.run_id)
    .where(IS_ACTIVE, stages.c.state.in_(("succeeded", "skipped")))
)
_DUE = select(wakes.c.run_id, wakes.c.due_at).where(wakes.c.due_at <= bindparam("now"))
_PENDING = (
    select(notifications.c.channel, func.count())
    .where(text("notifications.state = 'pending'"))
    .group_by(notifications.c.channel)
)
STATEMENTS = (_ACTIVE, _PASSED, _DUE, _PENDING)
"""What a scrape reads beside the tallies: none of them may read a whole table that grows."""


def active(connection: Connection, now: float) -> list[ActiveRun]:
    """Read the runs that are not over."""
    passed: dict[int, dict[str, float | None]] = {}
    for run_id, name, finished_at in connection.execute(_PASSED):
        passed.setdefault(run_id, {})[name] = finished_at
    due = {row.run_id: row.due_at for row in connection.execute(_DUE, {"now": now})}
    found = []
    for row in connection.execute(_ACTIVE):
        behind = passed.get(row.id, {})
        found.append(
            ActiveRun(
                app=row.app,
                environment=row.environment,
                state=row.state,
                stage=next((stage for stage in STAGE_ORDER if stage.value not in behind), STAGE_ORDER[-1]),
                leased_until=row.lease_until,
                due_at=due.get(row.id),
                landed_at=behind.get(StageName.COMMIT.value),
            )
        )
    return found


def reasons_of_active(connection: Connection) -> list[tuple[int, tuple[str, str], str]]:
    """List the runs that are not over, oldest first: id, app and environment, and the code of why it is as it is."""
    found = connection.execute(_ACTIVE.add_columns(runs.c.reason))
    return sorted((row.id, (row.app, row.environment), row.reason) for row in found)


def pending_notifications(connection: Connection) -> dict[str, int]:
    """Count the messages that wait to be sent: channel -> number."""
    return {channel: int(number) for channel, number in connection.execute(_PENDING)}


def newest(connection: Connection, pairs: Sequence[tuple[str, str]], state: str = "") -> dict[tuple[str, str], Run]:
    """Read the newest run (in `state`, if one is named) of each pair (app, environment)."""
    return _of_each(connection, [_newest_id(app, environment, state) for app, environment in pairs])


def landed(
    connection: Connection, pairs: Sequence[tuple[str, str]], *, judged: bool = False
) -> dict[tuple[str, str], Run]:
    """Read the run whose change is the newest in Git of each pair (app, environment).

    :param judged: only among the runs of which it turned out whether they are healthy.
    """
    return _of_each(connection, [_landed_id(app, environment, judged) for app, environment in pairs])


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


def with_history(connection: Connection) -> list[tuple[str, str]]:
    """List the environments in which a run has had a place, configured or not, by their present names."""
    found = connection.execute(select(environments.c.app, environments.c.name).where(environments.c.moved_app == ""))
    return sorted((row.app, row.name) for row in found)


def _newest_id(app: str, environment: str, state: str) -> Select[tuple[int]]:
    statement = select(runs.c.id).where(runs.c.app == app, runs.c.environment == environment)
    if state:
        statement = statement.where(runs.c.state == state)
    return statement.order_by(runs.c.id.desc()).limit(1)


def _landed_id(app: str, environment: str, judged: bool) -> Select[tuple[int]]:
    here = LANDED.where(runs.c.app == app, runs.c.environment == environment)
    return newest_landing(here.where(runs.c.state.in_(_JUDGED)) if judged else here)
