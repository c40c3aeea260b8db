"""What arrived at the webhooks, and its outcome."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, union_all, update

from orchestrator.domain.events import Delivery, DeliveryOutcome
from orchestrator.store import dialect
from orchestrator.store.schema import deliveries

KEEP_REFUSED = 1000
"""Refused deliveries that are kept: anybody can send them, so they must not fill the disk."""


def row_of(
    delivery: Delivery, at: float, outcome: DeliveryOutcome, reason: str = "", detail: str = ""
) -> dict[str, Any]:
    """Make the row of a delivery; the caller adds repo, actor and changes."""
    return {
        "hook": delivery.hook,
        "key": delivery.key[:200],
        "event": delivery.event[:100],
        "outcome": outcome.value,
        "reason": reason[:60],
        "detail": detail[:500],
        "repo": "",
        "actor": "",
        "remote": delivery.remote[:64],
        "size": delivery.size,
        "sha256": delivery.sha256,
        "changes": [],
        "runs": [],
        "received_at": at,
    }


# By hook: SQLite searches no index for a list of pairs, it would read the whole table.
_SEEN = select(deliveries).where(
    deliveries.c.hook == bindparam("of_hook"),
    deliveries.c.key.in_(bindparam("keys", expanding=True)),
    # Spelt out: the index is for these rows only, and a parameter would hide from the planner that they are.
    deliveries.c.outcome != bindparam("refused", DeliveryOutcome.REFUSED.value, literal_execute=True),
)


def seen(connection: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Find deliveries that came before: (hook, key) -> row."""
    by_hook: dict[str, list[str]] = {}
    for hook, key in keys:
        by_hook.setdefault(hook, []).append(key)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for hook, of_hook in by_hook.items():
        for row in connection.execute(_SEEN, {"of_hook": hook, "keys": of_hook}).mappings():
            found[row["hook"], row["key"]] = dict(row)
    return found


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert deliveries; return their ids in the order given."""
    return dialect.add(connection, deliveries, rows)


def drop(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """Remove deliveries that led to no run."""
    if delivery_ids:
        connection.execute(delete(deliveries).where(deliveries.c.id.in_(delivery_ids)))


_TOLD_BEFORE = "another delivery told of this push"
_SET_RUNS = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("of_delivery"))
    .values(runs=bindparam("runs"), detail=_TOLD_BEFORE)
)


def set_runs(connection: Connection, led_to: Mapping[int, Sequence[int]]) -> None:
    """Record the runs of a push that another delivery made: delivery id -> run ids."""
    if led_to:
        rows = [{"of_delivery": delivery_id, "runs": list(run_ids)} for delivery_id, run_ids in led_to.items()]
        connection.execute(_SET_RUNS, rows)


def prune_refused(connection: Connection) -> None:
    """Drop all but the newest refused deliveries."""
    refused = deliveries.c.outcome == DeliveryOutcome.REFUSED.value
    oldest = select(deliveries.c.id).where(refused).order_by(deliveries.c.id.desc()).offset(KEEP_REFUSED).limit(1)
    edge = connection.execute(oldest).scalar_one_or_none()
    if edge is not None:
        connection.execute(delete(deliveries).where(refused, deliveries.c.id <= edge))


def page(
    connection: Connection, *, hook: str = "", outcome: str = "", limit: int = 50, before: int | None = None
) -> list[dict[str, Any]]:
    """Read deliveries, newest first, with ids below `before`."""
    newest = select(deliveries.c.id).order_by(deliveries.c.id.desc()).limit(limit)
    if before is not None:
        newest = newest.where(deliveries.c.id < before)
    if hook:
        newest = newest.where(deliveries.c.hook == hook)
    # Of one hook, the newest of each outcome: that is the order of the index.
    outcomes = [outcome] if outcome else list(DeliveryOutcome) if hook else []
    parts = [newest.where(deliveries.c.outcome == one).subquery() for one in outcomes] or [newest.subquery()]
    chosen = deliveries.c.id.in_(union_all(*(select(part.c.id) for part in parts)))
    statement = select(deliveries).where(chosen).order_by(deliveries.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(statement).mappings()]


def load(connection: Connection, delivery_id: int) -> dict[str, Any] | None:
    """Read one delivery."""
    row = connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).mappings().one_or_none()
    return None if row is None else dict(row)
