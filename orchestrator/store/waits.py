"""Which runs are at a stage that waits for somebody else."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select

from orchestrator.domain.reasons import Reason
from orchestrator.store.runs import IS_ACTIVE
from orchestrator.store.schema import runs, stages

_WAITING_AT = (
    select(runs.c.id, runs.c.app, runs.c.environment)
    .join(stages, stages.c.run_id == runs.c.id)
    .where(IS_ACTIVE, runs.c.state == "waiting", stages.c.state == "waiting")
    .where(stages.c.name.in_(bindparam("names", expanding=True)), runs.c.reason != Reason.APP_REMOVED.value)
)
"""Those that wait for a worker with their app are not among them: they look every few seconds by themselves."""


def waiting_at(connection: Connection, names: Sequence[str]) -> list[tuple[int, str, str]]:
    """List the runs whose current stage is one of `names` and waits: (id, app, environment)."""
    return [(row.id, row.app, row.environment) for row in connection.execute(_WAITING_AT, {"names": list(names)})]


_AT_NOW = (
    select(runs.c.id, runs.c.app, runs.c.environment)
    .join(stages, stages.c.run_id == runs.c.id)
    .where(IS_ACTIVE, runs.c.app.in_(bindparam("apps", expanding=True)))
    .where(stages.c.state.in_(("waiting", "running")), stages.c.name.in_(bindparam("names", expanding=True)))
)


def at_now(connection: Connection, names: Sequence[str], apps: Sequence[str]) -> list[tuple[int, str, str]]:
    """As `waiting_at`, of some apps only; also the runs that a worker is looking at right now."""
    values = {"names": list(names), "apps": list(apps)}
    return [(row.id, row.app, row.environment) for row in connection.execute(_AT_NOW, values)]


_LONGEST = (
    select(func.max(stages.c.deadline_at - stages.c.started_at))
    .join(runs, runs.c.id == stages.c.run_id)
    .where(IS_ACTIVE, stages.c.state == "waiting")
)


def longest(connection: Connection) -> float:
    """Return the seconds of the longest time that a stage has which waits now."""
    return float(connection.execute(_LONGEST).scalar_one() or 0.0)
