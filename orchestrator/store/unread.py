"""Apps whose branches the poll could not compare when it looked last: a push whose hook is lost is not noticed."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select

from orchestrator.store.dialect import upsert
from orchestrator.store.schema import unread

_SINCE = select(unread.c.since).where(unread.c.app == bindparam("of_app"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """``since``: when the first of these looks was; ``problem``: why the last one came to nothing, in sentences."""

    since: float
    problem: str


def of_apps(connection: Connection) -> dict[str, Unread]:
    """Return the apps of which that is so."""
    rows = connection.execute(select(unread)).mappings()
    return {row["app"]: Unread(since=row["since"], problem=row["problem"]) for row in rows}


def note(connection: Connection, app: str, problem: str, at: float) -> None:
    """Note how a look at an app turned out. :param problem: "": all of its branches were compared."""
    if not problem:
        connection.execute(delete(unread).where(unread.c.app == app))
        return
    since = connection.execute(_SINCE, {"of_app": app}).scalar_one_or_none() or at
    upsert(connection, unread, {"app": app, "since": since, "problem": problem}, key=("app",))
