"""What another process does to the database right between two statements of a transaction (PostgreSQL)."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from sqlalchemy import event, text

from orchestrator.store.database import Database
from tests.support.waiting import until

_WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def is_waiting(other: Database) -> bool:
    """Tell whether somebody waits for a lock. :param other: another connection to the same database."""
    with other.read() as connection:
        return bool(connection.execute(_WAITS).scalar_one())


def meanwhile(
    database: Database, other: Database, pool: Executor, before: Callable[[str, Any], bool], do: Callable[[], Any]
) -> Callable[[], Any]:
    """Have something done in another thread right before the first statement of `database` that `before` chooses.

    The statement goes on when the other one is done, or waits for our locks.

    :param other: another connection to the same database. :param before: is given a statement and its parameters.
    :return: gives what came of it.
    """
    came = list[Future[Any]]()

    def stop(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not came and before(statement, values):
            came.append(pool.submit(do))
            until(lambda: came[0].done() or is_waiting(other), "the other one")

    event.listen(database.engine, "before_cursor_execute", stop)
    return lambda: came[0].result(10)
