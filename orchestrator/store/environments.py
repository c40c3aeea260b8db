"""The places of an environment (who makes, who proves) and its hold."""

from sqlalchemy import Connection, select, update

from orchestrator.domain.runs import Run, StageName, StageState
from orchestrator.engine.gate import Place, Places
from orchestrator.store.dialect import upsert
from orchestrator.store.runs import load
from orchestrator.store.schema import environments


def places(connection: Connection, app: str, environment: str) -> Places:
    """Read the places, and keep other writers of this environment out until the transaction ends."""
    where = (environments.c.app == app) & (environments.c.name == environment)
    locked = select(environments).where(where).with_for_update()
    row = connection.execute(locked).mappings().one_or_none()
    if row is None:
        new = {"app": app, "name": environment}
        connection.execute(upsert(connection, environments, new, key=("app", "name"), update={}))
        row = connection.execute(locked).mappings().one()
    return Places(
        making=_place(connection, row["making"]), proving=_place(connection, row["proving"]), hold=row["hold"]
    )


def take_making(connection: Connection, run: Run) -> None:
    """Let `run` make."""
    _set(connection, run, making=run.id)


def move_to_proving(connection: Connection, run: Run) -> None:
    """Let `run` prove, and free the place where it made."""
    where = _where(run) & (environments.c.making == run.id)
    connection.execute(update(environments).where(where).values(making=None))
    _set(connection, run, proving=run.id)


def leave(connection: Connection, run: Run) -> None:
    """Free whatever place `run` has."""
    for column in (environments.c.making, environments.c.proving):
        where = _where(run) & (column == run.id)
        connection.execute(update(environments).where(where).values({column: None}))


def set_hold(connection: Connection, app: str, environment: str, why: str, by: str, at: float | None) -> None:
    """Put an environment on hold ("" releases it)."""
    row = {"app": app, "name": environment, "hold": why, "held_by": by, "held_at": at}
    connection.execute(upsert(connection, environments, row, key=("app", "name")))


def holds(connection: Connection) -> dict[tuple[str, str], str]:
    """Return the holds: (app, environment) -> why."""
    statement = select(environments.c.app, environments.c.name, environments.c.hold).where(environments.c.hold != "")
    return {(app, name): why for app, name, why in connection.execute(statement)}


def _where(run: Run):  # type: ignore[no-untyped-def]
    return (environments.c.app == run.app) & (environments.c.name == run.environment)


def _set(connection: Connection, run: Run, **values: int) -> None:
    connection.execute(update(environments).where(_where(run)).values(**values))


def _place(connection: Connection, run_id: int | None) -> Place | None:
    run = load(connection, run_id) if run_id is not None else None
    if run is None or run.state.final:
        return None
    commit = run.stage(StageName.COMMIT)
    committing = commit.state in (StageState.RUNNING, StageState.WAITING) and commit.started_at is not None
    return Place(run=run.id, has_cut_off=run.cut_off is not None, committing=committing)
