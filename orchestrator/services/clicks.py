"""Clicks on their way from the chat's request to the worker that does what they ask for."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any

from orchestrator import log_writer
from orchestrator.domain.clicks import Button, Click
from orchestrator.store import clicks
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock

ATTEMPTS = 2
"""Tries to deal with a click; an address for answers takes five, and each try uses two at the most."""
PAUSE = 5.0
"""Seconds until the second try."""

_FACTS = frozenset(one.name for one in fields(Click))


class ClickWriter:
    """Implements `orchestrator.domain.clicks.ClickBox` on the tables; one thread writes, so that nobody waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = ThreadPoolExecutor(1, "clicks", log_writer.never_wait)

    def take(self, click: Click) -> Future[None]:
        """Write a click down. The future fails with Unavailable if the database does not take it."""
        return self._writer.submit(self._write, click)

    def _write(self, click: Click) -> None:
        with self._database.write() as connection:
            clicks.add(connection, click.channel, asdict(click), clock())


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenClick:
    """A click to deal with. ``age``: seconds since it came."""

    row_id: int
    attempt: int
    age: float
    click: Click


class ClickQueue:
    """The clicks that wait, for the worker of a channel."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, channel: str) -> TakenClick | None:
        """Lease the oldest click. Looks first without a lock: mostly there is none.

        A click whose last worker vanished at its last try is forgotten: it may be what ended the worker.
        """
        with self._database.read() as connection:
            if not clicks.is_due(connection, channel, clock()):
                return None
        with self._database.write() as connection:
            row = clicks.take_next(connection, channel, clock())
            if row is not None and row["attempt"] > ATTEMPTS:
                clicks.forget(connection, row["id"])
                row = None
        if row is None:
            return None
        age = clock() - row["received_at"]
        return TakenClick(row_id=row["id"], attempt=row["attempt"], age=age, click=_click(row["click"]))

    def over(self, taken: TakenClick) -> None:
        """Forget a click that was dealt with."""
        with self._database.write() as connection:
            clicks.forget(connection, taken.row_id)

    def again(self, taken: TakenClick) -> None:
        """Deal with a click once more in a while, or forget it after the last try."""
        with self._database.write() as connection:
            if taken.attempt >= ATTEMPTS:
                clicks.forget(connection, taken.row_id)
            else:
                clicks.postpone(connection, taken.row_id, clock() + PAUSE)


def _click(values: Mapping[str, Any]) -> Click:
    """Read a click as it is stored; another version may have written more facts than this one knows."""
    known = {name: value for name, value in values.items() if name in _FACTS}
    return Click(**known | {"button": Button(known["button"])})
