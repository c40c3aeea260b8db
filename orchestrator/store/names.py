"""Under which names the history of an environment is kept: all of it moves when they change, or nothing does.

What is left under the former names is one row of `environments` that says where the history is by now. So a process
whose configuration is older, or newer, finds it as well.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, func, or_, select, update

from orchestrator.store.dialect import alone
from orchestrator.store.environments import lock
from orchestrator.store.runs import load
from orchestrator.store.schema import deployments, environments, runs

Where = tuple[str, str]
"""The names of an app and of one of its environments."""

_LOCK = "names"
_place = and_(environments.c.app == bindparam("of_app"), environments.c.name == bindparam("named"))
_of_run = runs.outerjoin(
    environments, (environments.c.app == runs.c.app) & (environments.c.name == runs.c.environment)
)
_WHERE = (
    select(runs.c.app, runs.c.environment)
    .add_columns(func.coalesce(environments.c.moved_app, ""), func.coalesce(environments.c.moved_name, ""))
    .select_from(_of_run)
    .where(runs.c.id == bindparam("of_run"))
)
_HOME = select(environments.c.moved_app, environments.c.moved_name).where(_place, environments.c.moved_app != "")
_MOVED = select(environments.c.app, environments.c.name, environments.c.moved_app, environments.c.moved_name).where(
    environments.c.moved_app != ""
)
_ANY_RUN = (
    select(runs.c.id).where(runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("named")).limit(1)
)
_NAMES = (
    select(runs.c.environment.label("name"))
    .where(runs.c.app == bindparam("of_app"))
    .union(select(environments.c.name).where(environments.c.app == bindparam("of_app")))
)
_there = deployments.alias("there")
_IS_THERE = exists().where(
    _there.c.app == bindparam("to_app"),
    _there.c.environment == bindparam("to_name"),
    _there.c.commit == deployments.c.commit,
    _there.c.result == deployments.c.result,
)
_DEPLOYED_HERE = (deployments.c.app == bindparam("of_app"), deployments.c.environment == bindparam("named"))
_LEAD_HERE = or_(
    and_(environments.c.moved_app == bindparam("of_app"), environments.c.moved_name == bindparam("named")), _place
)
_MOVED_TO: dict[str, Any] = {"moved_app": bindparam("to_app"), "moved_name": bindparam("to_name")}
_HERE: dict[str, Any] = {"app": bindparam("to_app"), "environment": bindparam("to_name")}
_STEPS = (
    update(runs).where(runs.c.app == bindparam("of_app"), runs.c.environment == bindparam("named")).values(**_HERE),
    update(deployments).where(*_DEPLOYED_HERE, ~_IS_THERE).values(**_HERE),
    delete(deployments).where(*_DEPLOYED_HERE),
    update(environments).where(_LEAD_HERE).values(**_MOVED_TO),
)
_EMPTY: dict[str, Any] = {"making": None, "proving": None, "hold": "", "held_by": "", "held_at": None}
_STAY: dict[str, Any] = {"moved_app": "", "moved_name": ""}


def home(connection: Connection, where: Where) -> Where:
    """Return where the history of an environment is: mostly under its own names."""
    row = connection.execute(_HOME, {"of_app": where[0], "named": where[1]}).one_or_none()
    return where if row is None else (row[0], row[1])


def lock_home(connection: Connection, where: Where) -> Where:
    """Keep other writers out of where the history of an environment is until the transaction ends; return where."""
    found = home(connection, where)
    while lock(connection, *found)["moved_app"]:  # it was moved while we waited for the lock
        found = home(connection, found)
    return found


def moved(connection: Connection) -> dict[Where, Where]:
    """Return where the histories of environments are that are not under their own names."""
    return {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(_MOVED)}


def of_run(connection: Connection, run_id: int) -> tuple[Where, Where] | None:
    """Return under which names a run is, and where the history of these is; None: there is no such run."""
    row = connection.execute(_WHERE, {"of_run": run_id}).one_or_none()
    if row is None:
        return None
    return (row[0], row[1]), (row[2] or row[0], row[3] or row[1])


def environments_of(connection: Connection, app: str) -> list[str]:
    """List the environments of an app that the tables know of, configured or not."""
    return sorted(connection.execute(_NAMES, {"of_app": app}).scalars())


def is_left(connection: Connection, old: Where, new: Where) -> bool:
    """Tell whether anything is still to be moved from `old`, if only the word of where the history is."""
    if home(connection, old) != new:
        return True
    return connection.execute(_ANY_RUN, {"of_app": old[0], "named": old[1]}).first() is not None


def move(connection: Connection, old: Where, new: Where) -> int | None:
    """Move the whole history of an environment to other names; return the number of its runs.

    What is there stays, and the two become one. None: not now, as a run under way of each has its place to make in,
    and only one may.
    """
    alone(connection, _LOCK)
    here, there = lock(connection, *old), lock(connection, *new)
    making = [_active(connection, row["making"]) for row in (there, here)]
    if all(making):
        return None
    proving = [_active(connection, row["proving"]) for row in (there, here)]
    hold = {name: (there if there["hold"] else here)[name] for name in ("hold", "held_by", "held_at")}
    names = {"of_app": old[0], "named": old[1], "to_app": new[0], "to_name": new[1]}
    moved, *_ = [connection.execute(step, names).rowcount for step in _STEPS]
    _set(connection, old, _EMPTY)
    _set(connection, new, {"making": _first(making), "proving": _first(proving), **hold, **_STAY})
    return moved


def move_run(connection: Connection, run_id: int, old: Where, new: Where) -> None:
    """Move one run to where the history of its environment is: a process of an older configuration has made it."""
    alone(connection, _LOCK)
    lock(connection, *old)
    lock(connection, *new)
    connection.execute(update(runs).where(runs.c.id == run_id).values(app=new[0], environment=new[1]))


def part(connection: Connection, where: Where) -> None:
    """Let names that an environment had before be those of another one: what comes under them stays there."""
    alone(connection, _LOCK)
    lock(connection, *where)
    _set(connection, where, _STAY)


def _active(connection: Connection, run_id: int | None) -> int | None:
    run = load(connection, run_id) if run_id is not None else None
    return None if run is None or run.state.final else run.id


def _first(several: Iterable[int | None]) -> int | None:
    return next(filter(None, several), None)


def _set(connection: Connection, where: Where, values: dict[str, Any]) -> None:
    connection.execute(update(environments).where(_place).values(**values), {"of_app": where[0], "named": where[1]})
