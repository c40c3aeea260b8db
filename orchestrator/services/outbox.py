"""Notifications on their way: leased, sent by a worker's notifier, recorded; never touching the run."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from orchestrator import tracing
from orchestrator.domain.ansi import plain
from orchestrator.domain.messages import ChannelKind, Message
from orchestrator.domain.metrics import NOTIFICATIONS
from orchestrator.store import logs, notifications, runs, tallies
from orchestrator.store.database import Connection, Database
from orchestrator.store.database import now as clock
from orchestrator.tracing import Trace

ATTEMPTS = 10
"""Tries before a notification is given up: about 16 hours, with the pauses below."""
PAUSES = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
"""Seconds between tries, unless the service asks for more; the last is also the longest that it can ask for."""
JITTER = 0.2
"""The part by which a pause may be longer, so that what failed together is not retried at the same moment."""
COPIES = 2
"""Copies of a message that a channel may show, where receivers cannot tell a repeat: tries whose answer was lost."""
LEAST = 1.0
"""Least seconds to wait for a rate limit."""
PATIENCE = 24 * 3600.0
"""Seconds after which a rate limit counts as a failed try: a service that never takes a message is given up, too."""
TAIL = 20
"""Last lines of the stage that failed which go with the message."""

_FACTS = frozenset(one.name for one in fields(Message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One notification to send; ``previous`` is the channel's reference of the run's first message."""

    row: dict[str, Any]
    message: Message
    previous: str
    trace: Trace | None = None


class Outbox:
    """One transaction before and one after each sending."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, channel: str, kind: ChannelKind, former: Sequence[str] = ()) -> Parcel | None:
        """Lease the next notification of a channel. Looks first without a lock: mostly there is none.

        :param kind: of the channel. :param former: names that it had before.
        """
        spacing = kind.spacing
        with self._database.read() as connection:
            if not notifications.is_due(connection, channel, clock(), spacing):
                return None
        with self._database.write() as connection:
            row = notifications.take_next(connection, channel, clock(), spacing)
            while kind.latest and row is not None and notifications.is_outdated(connection, row):
                notifications.drop(connection, row)
                row = notifications.take_next(connection, channel, clock(), spacing)
            if row is None:
                return None
            previous = notifications.reference(connection, row["run_id"], channel, *former)
            run = runs.load(connection, row["run_id"]) if tracing.is_on() else None
        message = _message(row["message"])
        if kind.tail:
            with self._database.read() as connection:
                message = _with_tail(connection, message)
        trace = Trace(run.id, run.created_at) if run else None
        return Parcel(row=row, message=message, previous=previous, trace=trace)

    def sent(self, parcel: Parcel, reference: str) -> None:
        """Record that it arrived."""
        with self._database.write() as connection:
            notifications.sent(connection, parcel.row, reference, clock())
            _count(connection, parcel, "sent")

    def goes_on(self, parcel: Parcel, reference: str) -> None:
        """Record that a part of it arrived; it is next again, for the rest."""
        with self._database.write() as connection:
            notifications.go_on(connection, parcel.row, reference)

    def postpone(
        self, parcel: Parcel, detail: str, retry_after: float | None, *, limited: bool = False, lost: bool = False
    ) -> None:
        """Record that it could not be delivered now: try later, or give up after the last attempt.

        :param retry_after: seconds that the service asked for. :param limited: a rate limit: we wait as long as it
            says, and that is no failed attempt. :param lost: the message may be there already, and
            another try would show it again.
        """
        attempt, asked = int(parcel.row["attempt"]), min(retry_after or 0.0, PAUSES[-1])
        unknown = int(parcel.row["unknown"]) + lost
        limited = limited and clock() - parcel.row["created_at"] < PATIENCE
        with self._database.write() as connection:
            if unknown >= COPIES or (attempt >= ATTEMPTS and not limited):
                _count(connection, parcel, "failed")
                may = "; it may have arrived" if unknown else ""
                words = f"given up after {attempt} attempts{may}: {detail}"
                notifications.give_up(connection, parcel.row["id"], words)
                return
            # A service in trouble may say "in 5 seconds" for hours; only one that is well is taken at its word.
            pause = max(asked, LEAST if limited else PAUSES[attempt - 1])
            pause *= 1.0 if limited else random.uniform(1, 1 + JITTER)  # noqa: S311
            failed = attempt - 1 if limited else attempt
            notifications.postpone(connection, parcel.row["id"], clock() + pause, detail, failed, unknown)
            _count(connection, parcel, "postponed")

    def refused(self, parcel: Parcel, detail: str) -> None:
        """Record that the channel will never take it."""
        with self._database.write() as connection:
            notifications.give_up(connection, parcel.row["id"], detail)
            _count(connection, parcel, "failed")


def _count(connection: Connection, parcel: Parcel, result: str) -> None:
    tallies.add(connection, {(NOTIFICATIONS.name, (parcel.row["channel"], result)): 1.0})


def _message(values: dict[str, Any]) -> Message:
    """Read a message as it is stored; another version may have written more or fewer facts than this one knows."""
    stages = tuple((name, state, seconds) for name, state, seconds in values["stages"])
    known = {name: value for name, value in values.items() if name in _FACTS}
    return Message(**known | {"stages": stages, "buttons": tuple(values.get("buttons", ())), "tail": ()})


def _with_tail(connection: Connection, message: Message) -> Message:
    """Add the end of the log of the stage that failed: it is masked, and kept in one place only."""
    stage = next((name for name, state, _ in message.stages if state == "failed"), "")
    if message.type != "run.failed" or not stage:
        return message
    after = logs.before_last(connection, message.run, TAIL, stage)
    lines = logs.read(connection, message.run, after=after, stage=stage, limit=TAIL)
    return replace(message, tail=tuple(plain(line.text) for line in lines))
