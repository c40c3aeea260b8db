"""Who has asked to have the branches of an app compared now, and what came of it; one row for each app."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import polls

_WAITING = select(polls.c.app, polls.c.asked_at).where(polls.c.done_at.is_(None))
_DONE = (
    update(polls)
    .where(polls.c.app == bindparam("of_app"), polls.c.asked_at == bindparam("of_ask"))
    .values(done_at=bindparam("at"), facts=bindparam("found"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """The last time that somebody asked for it. ``done_at``: None as long as it is waited for."""

    asked_at: float
    asked_by: str
    done_at: float | None
    facts: Mapping[str, Any]


def ask(connection: Connection, app: str, by: str, at: float) -> None:
    """Note that somebody asks; of two who ask at about the same time both get one answer."""
    row = {"app": app, "asked_at": at, "asked_by": by, "done_at": None, "facts": {}}
    upsert(connection, polls, row, key=("app",))


def waiting(connection: Connection) -> dict[str, float]:
    """Return the apps for which it is asked, each with when."""
    return {row.app: row.asked_at for row in connection.execute(_WAITING)}


def done(connection: Connection, app: str, asked_at: float, at: float, facts: Mapping[str, Any]) -> None:
    """Note what came of it; who has asked again meanwhile goes on waiting."""
    connection.execute(_DONE, {"of_app": app, "of_ask": asked_at, "at": at, "found": dict(facts)})


def last(connection: Connection) -> dict[str, Poll]:
    """Return the last one of each app for which there was one."""
    rows = connection.execute(select(polls)).mappings()
    return {row["app"]: Poll(**{name: row[name] for name in Poll.__slots__}) for row in rows}
