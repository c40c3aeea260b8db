"""The queue of wanted edits, per GitOps repository and branch, and who may write."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import changes, writers

WRITER_LEASE = 30.0
"""Seconds after which a writer that has not renewed is taken to be gone."""


def submit(
    connection: Connection, run_id: int, branch_key: str, payload: dict[str, Any], at: float
) -> dict[str, Any]:
    """Queue a run's change once; return its row, which may already hold a result."""
    row = {
        "run_id": run_id,
        "branch_key": branch_key,
        "payload": payload,
        "state": "pending",
        "result": {},
        "created_at": at,
    }
    connection.execute(upsert(connection, changes, row, key=("run_id",), update={}))
    return load(connection, run_id) or row


def load(connection: Connection, run_id: int) -> dict[str, Any] | None:
    """Read a run's change."""
    row = connection.execute(select(changes).where(changes.c.run_id == run_id)).mappings().one_or_none()
    return None if row is None else dict(row)


def become_writer(connection: Connection, branch_key: str, owner: str, now: float) -> bool:
    """Take or renew the right to write to a branch; False while somebody else has it."""
    connection.execute(upsert(connection, writers, {"branch_key": branch_key}, key=("branch_key",), update={}))
    statement = (
        update(writers)
        .where(writers.c.branch_key == branch_key, (writers.c.until < now) | (writers.c.owner == owner))
        .values(owner=owner, until=now + WRITER_LEASE)
    )
    return connection.execute(statement).rowcount == 1


def stop_writing(connection: Connection, branch_key: str, owner: str) -> None:
    """Give the right to write back."""
    where = (writers.c.branch_key == branch_key) & (writers.c.owner == owner)
    connection.execute(update(writers).where(where).values(owner="", until=0.0))


def take_batch(connection: Connection, branch_key: str, limit: int = 200) -> list[dict[str, Any]]:
    """Mark the waiting changes as taken and return them, oldest first.

    Changes that an earlier writer took and did not finish come along: whether they landed is found in Git.
    """
    where = (changes.c.branch_key == branch_key) & changes.c.state.in_(("pending", "taken"))
    statement = select(changes).where(where).order_by(changes.c.created_at, changes.c.run_id).limit(limit)
    batch = [dict(row) for row in connection.execute(statement).mappings()]
    _set_state(connection, [row["run_id"] for row in batch], "taken")
    return batch


def give_back(connection: Connection, run_ids: Sequence[int]) -> None:
    """Return taken changes to the queue: their batch could not be pushed."""
    where = changes.c.run_id.in_(list(run_ids)) & (changes.c.state == "taken")
    connection.execute(update(changes).where(where).values(state="pending"))


def finish(connection: Connection, run_id: int, state: str, result: dict[str, Any]) -> None:
    """Write down how a change ended: ``landed`` or ``rejected``."""
    connection.execute(update(changes).where(changes.c.run_id == run_id).values(state=state, result=result))


def withdraw(connection: Connection, run_id: int) -> bool:
    """Take a change back that no writer has taken; False when it is too late."""
    where = (changes.c.run_id == run_id) & (changes.c.state == "pending")
    return connection.execute(update(changes).where(where).values(state="withdrawn")).rowcount == 1


def oldest_waiting(connection: Connection, branch_key: str) -> int | None:
    """Return the run whose change has waited longest for a writer, or None."""
    where = (changes.c.branch_key == branch_key) & (changes.c.state == "pending")
    statement = select(changes.c.run_id).where(where).order_by(changes.c.created_at).limit(1)
    return connection.execute(statement).scalar_one_or_none()


def _set_state(connection: Connection, run_ids: Sequence[int], state: str) -> None:
    if run_ids:
        connection.execute(update(changes).where(changes.c.run_id.in_(list(run_ids))).values(state=state))
