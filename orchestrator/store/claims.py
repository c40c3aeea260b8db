"""Who may work on a run: a lease with an end and a fencing number that grows with every claim.

The end is by the clock of the database: a worker on one machine sets it, and the relay on another compares it.
"""

from sqlalchemy import Connection, bindparam, or_, select, update

from orchestrator.store.database import common_time
from orchestrator.store.runs import ACTIVE, IS_ACTIVE
from orchestrator.store.schema import runs

LEASE = 20.0
"""Seconds that a claim lasts without a heartbeat; a vanished worker is noticed after this."""
HEARTBEAT = 5.0
"""Seconds between heartbeats of a worker at work."""
_MOST = 100
"""Runs that are taken back from vanished workers at a time."""

_run = runs.c.id == bindparam("of_run")
_CLAIM = (
    update(runs)
    .where(_run, runs.c.state.in_(ACTIVE), or_(runs.c.lease_until.is_(None), runs.c.lease_until < bindparam("now")))
    .values(lease_owner=bindparam("owner"), lease_until=bindparam("until"), fence=runs.c.fence + 1)
    .returning(runs.c.fence)
)
_RENEW = (
    update(runs)
    .where(_run, runs.c.fence == bindparam("with_fence"), runs.c.lease_until.is_not(None))
    .values(lease_until=bindparam("until"))
)
_SHORTEN = (
    update(runs).where(IS_ACTIVE, runs.c.lease_until > bindparam("most")).values(lease_until=bindparam("until"))
)
_RELEASE = update(runs).where(_run).values(lease_owner="", lease_until=None)
_UNTIL = select(runs.c.lease_until).where(_run)


def claim(connection: Connection, run_id: int, owner: str, now: float) -> int | None:
    """Take the run if nobody holds it; return the fencing number, or None when somebody does or it is final."""
    at = common_time(connection, now)
    values = {"of_run": run_id, "now": at, "owner": owner, "until": at + LEASE}
    return connection.execute(_CLAIM, values).scalar_one_or_none()


def renew(connection: Connection, run_id: int, fence: int, now: float) -> bool:
    """Prolong the lease; False when it was lost (another claim, or the reconciler took it back)."""
    values = {"of_run": run_id, "with_fence": fence, "until": common_time(connection, now) + LEASE}
    return connection.execute(_RENEW, values).rowcount == 1


def release(connection: Connection, run_id: int) -> None:
    """Give the run back."""
    connection.execute(_RELEASE, {"of_run": run_id})


def are_ahead(connection: Connection, now: float) -> bool:
    """Tell whether any lease ends later than possible, because a clock was set back."""
    most = common_time(connection, now) + 2 * LEASE
    return (
        connection.execute(select(runs.c.id).where(IS_ACTIVE, runs.c.lease_until > most).limit(1)).first() is not None
    )


def shorten(connection: Connection, now: float) -> None:
    """Shorten leases that end later than possible as if renewed now: a worker that is alive renews its own."""
    at = common_time(connection, now)
    connection.execute(_SHORTEN, {"most": at + 2 * LEASE, "until": at + LEASE})


def is_newest(connection: Connection, run_id: int, fence: int) -> bool:
    """Tell whether nobody has taken the run since the claim with this fencing number."""
    return connection.execute(select(runs.c.fence).where(runs.c.id == run_id)).scalar_one_or_none() == fence


def held(connection: Connection, run_id: int, now: float) -> bool:
    """Tell whether a worker holds the run now."""
    until = connection.execute(_UNTIL, {"of_run": run_id}).scalar_one_or_none()
    return until is not None and until >= common_time(connection, now)


def seconds_over(connection: Connection, run_id: int, now: float) -> float:
    """Return for how long the lease of a run has been over; 0 where it is not, or there is none."""
    until = connection.execute(_UNTIL, {"of_run": run_id}).scalar_one_or_none()
    return 0.0 if until is None else max(0.0, common_time(connection, now) - until)


def expired(connection: Connection, now: float) -> list[int]:
    """List runs whose worker has vanished."""
    statement = (
        select(runs.c.id)
        .where(IS_ACTIVE, runs.c.lease_until.is_not(None), runs.c.lease_until < common_time(connection, now))
        .order_by(runs.c.lease_until)
        .limit(_MOST)
    )
    return list(connection.execute(statement).scalars())
