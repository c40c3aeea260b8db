"""The queue of wanted edits, per GitOps repository and branch, and who may write."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Float, and_, bindparam, delete, func, or_, select, update

from orchestrator.store.database import common_time
from orchestrator.store.dialect import upsert
from orchestrator.store.runs import IS_ROLLBACK
from orchestrator.store.schema import changes, environments, runs, writers

WRITER_LEASE = 30.0
"""Seconds without a renewal after which a writer counts as gone."""
_MOST = 200
"""Changes in one batch."""

_of_run = changes.c.run_id == bindparam("of_run")
_of_branch = changes.c.branch_key == bindparam("of_branch")
_some = changes.c.run_id.in_(bindparam("runs", expanding=True))
_pending = changes.c.state == "pending"
_branch, _mine = writers.c.branch_key == bindparam("of_branch"), writers.c.owner == bindparam("by")
_LOAD = select(changes).where(_of_run)
_is_over = or_(
    writers.c.until < bindparam("now", type_=Float),
    writers.c.until > bindparam("now", type_=Float) + 2 * WRITER_LEASE,
)
"""A lease this far ahead was written by a clock that has been set back since."""
_BECOME = update(writers).where(_branch, _is_over | _mine).values(owner=bindparam("by"), until=bindparam("lease"))
_IS_WRITTEN = select(writers.c.branch_key).where(_branch, ~_is_over)
_STOP = update(writers).where(_branch, _mine).values(owner="", until=0.0)
_unwanted = or_(runs.c.finished_at.is_not(None), runs.c.cancel_requested, runs.c.superseded_by.is_not(None))
_held = and_(func.coalesce(environments.c.hold, "") != "", ~IS_ROLLBACK)
_with_environment = changes.join(runs, runs.c.id == changes.c.run_id).outerjoin(
    environments, (environments.c.app == runs.c.app) & (environments.c.name == runs.c.environment)
)
_BATCH = (
    select(changes.c.run_id, changes.c.payload, changes.c.state, _unwanted.label("unwanted"), _held.label("held"))
    .add_columns(runs.c.app, runs.c.environment)
    .select_from(_with_environment)
    .where(_of_branch, changes.c.state.in_(("pending", "taken")), or_(changes.c.state == "taken", ~_held))
    .order_by(changes.c.created_at, changes.c.run_id)
    .limit(_MOST)
    .with_for_update(skip_locked=True, of=changes)  # what is being decided about right now comes with the next batch
)
_OLDEST = (
    select(changes.c.run_id)
    .select_from(_with_environment)
    .where(_of_branch, _pending, ~_held)
    .order_by(changes.c.created_at)
    .limit(1)
)
_GIVE_BACK = update(changes).where(_some, changes.c.state == "taken").values(state="pending")
_SET_STATE = update(changes).where(_some).values(state=bindparam("as"))
_ANSWER = update(changes).where(_of_run).values(state=bindparam("as"), result=bindparam("with_result"))
_ANSWER_TAKEN = _ANSWER.where(changes.c.state == "taken")
_REPLACE = update(changes).where(_of_run, _pending).values(branch_key=bindparam("to"), payload=bindparam("wanted"))
_WITHDRAW = update(changes).where(_of_run, _pending).values(state="withdrawn")
_TAKE_BACK = delete(changes).where(_of_run, _pending)


def submit(
    connection: Connection, run_id: int, branch_key: str, payload: dict[str, Any], at: float
) -> dict[str, Any]:
    """Queue a run's change once; return its row, which may already hold a result.

    A change that still waits is replaced by what is wanted now, on the branch of now: the configuration may have
    changed. One that a writer has, or had, stays as it is.
    """
    row = {
        "run_id": run_id,
        "branch_key": branch_key,
        "payload": payload,
        "state": "pending",
        "result": {},
        "created_at": at,
    }
    upsert(connection, changes, row, key=("run_id",), keep=True)
    found = load(connection, run_id) or row
    wanted = (branch_key, json.loads(json.dumps(payload)))
    if found["state"] == "pending" and (found["branch_key"], found["payload"]) != wanted:
        connection.execute(_REPLACE, {"of_run": run_id, "to": branch_key, "wanted": payload})
        return load(connection, run_id) or row
    return found


def load(connection: Connection, run_id: int, *, lock: bool = False) -> dict[str, Any] | None:
    """Read a run's change. `lock`: no writer can take it before the transaction is over."""
    statement = _LOAD.with_for_update() if lock else _LOAD
    row = connection.execute(statement, {"of_run": run_id}).mappings().one_or_none()
    return None if row is None else dict(row)


def become_writer(connection: Connection, branch_key: str, owner: str, now: float) -> bool:
    """Take or renew the right to write to a branch; False while somebody else has it."""
    upsert(connection, writers, {"branch_key": branch_key}, key=("branch_key",), keep=True)
    at = common_time(connection, now)
    values = {"of_branch": branch_key, "now": at, "by": owner, "lease": at + WRITER_LEASE}
    return connection.execute(_BECOME, values).rowcount == 1


def is_written(connection: Connection, branch_key: str, now: float) -> bool:
    """Tell whether anybody has the right to write to a branch now."""
    return (
        connection.execute(_IS_WRITTEN, {"of_branch": branch_key, "now": common_time(connection, now)}).first()
        is not None
    )


def stop_writing(connection: Connection, branch_key: str, owner: str) -> bool:
    """Give the right to write back; False when another process has it by now."""
    return connection.execute(_STOP, {"of_branch": branch_key, "by": owner}).rowcount == 1


def take_batch(
    connection: Connection, branch_key: str, fits: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> list[dict[str, Any]]:
    """Mark the waiting changes as taken and return them, oldest first, each with the ``state`` that it had.

    Changes that an earlier writer took and did not finish are included: Git shows whether they landed.
    ``unwanted``: the run is over or is to stop. ``held``: its environment is on hold (left out if no writer had it).

    :param fits: whether a change, with ``payload`` and its run's ``app`` and ``environment``, is as this process
        would word it; else it is ``misfit`` (left out if no writer had it).
    """
    found = connection.execute(_BATCH, {"of_branch": branch_key})
    rows = [{**row, "misfit": not fits(dict(row))} for row in found.mappings()]
    batch = [row for row in rows if row["state"] == "taken" or not row["misfit"]]
    _set_state(connection, [row["run_id"] for row in batch], "taken")
    return batch


def give_back(connection: Connection, run_ids: Sequence[int]) -> None:
    """Return taken changes to the queue: they have certainly not been pushed."""
    connection.execute(_GIVE_BACK, {"runs": list(run_ids)})


def finish(connection: Connection, ended: Sequence[tuple[int, str, dict[str, Any]]]) -> None:
    """Record the results of changes: run id, state and result of each.

    The states are ``landed``, ``rejected``, ``withdrawn``, or ``pending`` for what is not in Git and waits again.
    A writer that was overtaken may come with its word after the next one: of the two, who has seen a change land is
    right.
    """
    rows = [{"of_run": run_id, "as": state, "with_result": result} for run_id, state, result in ended]
    for statement, landed in ((_ANSWER, True), (_ANSWER_TAKEN, False)):
        if some := [row for row in rows if (row["as"] == "landed") is landed]:
            connection.execute(statement, some)


def withdraw(connection: Connection, run_id: int) -> bool:
    """Withdraw a change that no writer has taken; False when it is too late."""
    return connection.execute(_WITHDRAW, {"of_run": run_id}).rowcount == 1


def take_back(connection: Connection, run_id: int) -> bool:
    """Take a change out of the queue, to be submitted anew later; False when a writer has or had it."""
    return connection.execute(_TAKE_BACK, {"of_run": run_id}).rowcount == 1 or load(connection, run_id) is None


def oldest_waiting(connection: Connection, branch_key: str) -> int | None:
    """Return the run whose change has waited longest for a writer, or None."""
    return connection.execute(_OLDEST, {"of_branch": branch_key}).scalar_one_or_none()


def _set_state(connection: Connection, run_ids: Sequence[int], state: str) -> None:
    if run_ids:
        connection.execute(_SET_STATE, {"runs": list(run_ids), "as": state})
