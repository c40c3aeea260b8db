"""The places of an environment (who makes, who proves) and its hold."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update

from orchestrator.domain.runs import Run, StageName, StageState
from orchestrator.engine.gate import Holder, Occupancy, left_alone
from orchestrator.store.dialect import upsert
from orchestrator.store.runs import is_rollback, load, page
from orchestrator.store.schema import environments

_PROVEN = 5
"""Runs whose time until they were healthy counts as the usual one."""


def _without(column: Any) -> Any:
    """Return the column's value without one run: NULL if that run holds the place."""
    return func.nullif(column, bindparam("run"))


_HERE = (environments.c.app == bindparam("of_app")) & (environments.c.name == bindparam("named"))
_LOCK = select(environments).where(_HERE).with_for_update()
_HELD = select(environments.c.hold).where(_HERE)
_TAKE_MAKING = update(environments).where(_HERE).values(making=bindparam("run"))
_MOVE = update(environments).where(_HERE).values(making=_without(environments.c.making), proving=bindparam("run"))
_LEAVE = (
    update(environments)
    .where(_HERE)
    .values({column: _without(column) for column in (environments.c.making, environments.c.proving)})
)


def occupancy(connection: Connection, run: Run, now: float) -> Occupancy:
    """Read who holds the places that `run` needs; other writers of this environment wait until the transaction ends.

    A place that `run` holds itself is not looked into: nobody is in their own way.
    """
    row = lock(connection, run.app, run.environment)
    return Occupancy(
        making=_holder(connection, row["making"], run, now),
        proving=_holder(connection, row["proving"], run, now),
        hold=_hold(connection, row, run),
        through=bool(row["hold"]) and is_rollback(connection, run),
    )


def lock(connection: Connection, app: str, environment: str) -> RowMapping:
    """Keep other writers of an environment out until the transaction ends; return its row."""
    here = {"of_app": app, "named": environment}
    row = connection.execute(_LOCK, here).mappings().one_or_none()
    if row is None:
        new = {"app": app, "name": environment}
        upsert(connection, environments, new, key=("app", "name"), keep=True)
        row = connection.execute(_LOCK, here).mappings().one()
    return row


def hold_of(connection: Connection, run: Run) -> str:
    """Read the hold that stops `run`, "" if none does. Other writers wait as with `occupancy`."""
    return _hold(connection, lock(connection, run.app, run.environment), run)


def _hold(connection: Connection, row: RowMapping, run: Run) -> str:
    """Return the hold, if it stops the run: it does not stop a rollback."""
    return "" if row["hold"] and is_rollback(connection, run) else str(row["hold"])


def is_held(connection: Connection, app: str, environment: str) -> bool:
    """Tell whether an environment is on hold."""
    found = connection.execute(_HELD, {"of_app": app, "named": environment}).scalar_one_or_none()
    return bool(found)


def take_making(connection: Connection, run: Run) -> None:
    """Let `run` make."""
    connection.execute(_TAKE_MAKING, _place_of(run))


def move_to_proving(connection: Connection, run: Run) -> None:
    """Let `run` prove, and free the place where it made."""
    connection.execute(_MOVE, _place_of(run))


def leave(connection: Connection, run: Run) -> None:
    """Free whatever place `run` has."""
    connection.execute(_LEAVE, _place_of(run))


def set_hold(connection: Connection, app: str, environment: str, why: str, by: str, at: float | None) -> None:
    """Put an environment on hold ("" releases it)."""
    row = {"app": app, "name": environment, "hold": why, "held_by": by, "held_at": at}
    upsert(connection, environments, row, key=("app", "name"))


def _place_of(run: Run) -> dict[str, str | int]:
    return {"of_app": run.app, "named": run.environment, "run": run.id}


def _holder(connection: Connection, run_id: int | None, asking: Run, now: float) -> Holder | None:
    if run_id == asking.id:
        return Holder(run=run_id)
    run = load(connection, run_id) if run_id is not None else None
    if run is None or run.state.final:
        return None
    commit = run.stage(StageName.COMMIT)
    committing = commit.state in (StageState.RUNNING, StageState.WAITING) and commit.started_at is not None
    return Holder(run=run.id, left_alone=_left_alone(connection, run, now), committing=committing)


def _left_alone(connection: Connection, run: Run, now: float) -> float:
    if run.cut_off is None:
        return 0.0
    proven = page(connection, app=run.app, environment=run.environment, state="succeeded", limit=_PROVEN)
    return left_alone(run, load(connection, run.cut_off), proven, datetime.fromtimestamp(now, UTC))
