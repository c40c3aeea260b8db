"""Finds records that are old enough to go by index, and removes them in small steps."""

from sqlalchemy import Connection, delete, func, select, update

from orchestrator.domain.runs import Run
from orchestrator.store.runs import load
from orchestrator.store.schema import deliveries, logs, notifications, runs, threads

_STEP = 100
"""Deliveries that one transaction removes."""
_OF_RUNS = (logs, notifications, threads)


def next_run(connection: Connection, after: int) -> Run | None:
    """Read the first run after run `after` that still has a log or messages."""
    firsts = [
        connection.execute(select(func.min(table.c.run_id)).where(table.c.run_id > after)).scalar_one()
        for table in _OF_RUNS
    ]
    found = [run_id for run_id in firsts if run_id is not None]
    return load(connection, min(found)) if found else None


def drop_records(connection: Connection, run_id: int) -> None:
    """Remove a run's log and messages; the run itself stays."""
    for table in _OF_RUNS:
        connection.execute(delete(table).where(table.c.run_id == run_id))


def drop_deliveries(connection: Connection, before: float) -> int:
    """Remove the oldest deliveries if they arrived before a time (seconds); return how many. The runs stay."""
    oldest = select(deliveries.c.id, deliveries.c.received_at).order_by(deliveries.c.id).limit(_STEP)
    ids = [row.id for row in connection.execute(oldest) if row.received_at < before]
    if ids:
        connection.execute(update(runs).where(runs.c.delivery_id.in_(ids)).values(delivery_id=None))
        connection.execute(delete(deliveries).where(deliveries.c.id.in_(ids)))
    return len(ids)
