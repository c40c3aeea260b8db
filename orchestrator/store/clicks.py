"""Clicks on buttons in a chat: written down by whoever faces the chat, dealt with and forgotten by a worker."""

from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from orchestrator.store.database import common_time
from orchestrator.store.schema import clicks

LEASE = 60.0
"""Seconds that dealing with one click may take before another process tries."""

_this = clicks.c.id == bindparam("which")
_DUE = (
    select(clicks)
    .where(clicks.c.channel == bindparam("to_channel"))
    .where(
        or_(
            clicks.c.lease_until.is_(None),
            clicks.c.lease_until < bindparam("now"),
            clicks.c.lease_until > bindparam("ahead"),  # of a clock that was set back
        )
    )
    .order_by(clicks.c.id)
    .limit(1)
)
_TAKE = _DUE.with_for_update(skip_locked=True)
_LEASE = update(clicks).where(_this).values(lease_until=bindparam("until"), attempt=bindparam("tries"))


def add(connection: Connection, channel: str, click: dict[str, Any], at: float) -> None:
    """Write a click down."""
    connection.execute(insert(clicks).values(channel=channel, click=click, received_at=at))


def is_due(connection: Connection, channel: str, now: float) -> bool:
    """Tell whether a channel has a click to deal with, without a lock."""
    return connection.execute(_DUE, _asked(connection, channel, now)).first() is not None


def take_next(connection: Connection, channel: str, now: float) -> dict[str, Any] | None:
    """Lease the oldest click of a channel."""
    values = _asked(connection, channel, now)
    row = connection.execute(_TAKE, values).mappings().one_or_none()
    if row is None:
        return None
    attempt = row["attempt"] + 1
    connection.execute(_LEASE, {"which": row["id"], "until": values["now"] + LEASE, "tries": attempt})
    return {**row, "attempt": attempt}


def _asked(connection: Connection, channel: str, now: float) -> dict[str, Any]:
    at = common_time(connection, now)  # another machine has set the lease
    return {"to_channel": channel, "now": at, "ahead": at + 2 * LEASE}


def postpone(connection: Connection, click_id: int, until: float) -> None:
    """Try again later, and within `LEASE`."""
    values = {"lease_until": common_time(connection, until)}
    connection.execute(update(clicks).where(clicks.c.id == click_id).values(**values))


def forget(connection: Connection, click_id: int) -> None:
    """Remove a click that was dealt with, and with it the address for answers."""
    connection.execute(delete(clicks).where(clicks.c.id == click_id))


def forget_older(connection: Connection, edge: float) -> None:
    """Remove clicks from before a time: nobody deals with them, as their destination has no buttons any more."""
    connection.execute(delete(clicks).where(clicks.c.received_at < edge))
