"""From a proven delivery to queued runs: recorded once, matched, queued, in one durable transaction.

Deliveries that arrive together share one transaction (group commit): a durable write costs one flush of the disk,
whether it holds one delivery or fifty.
"""

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator import log_writer
from orchestrator.at_once import nothing_to_write
from orchestrator.domain.allowance import Allowance
from orchestrator.domain.ansi import visible
from orchestrator.domain.apps import App, Settings
from orchestrator.domain.events import Delivery, DeliveryOutcome, Ignored, Parsed, Ping, Push, RefChange
from orchestrator.domain.inbox import Answer
from orchestrator.domain.masking import Mask
from orchestrator.domain.metrics import DELIVERIES
from orchestrator.domain.refs import repo_key
from orchestrator.domain.runs import Trigger
from orchestrator.domain.secrets import secrets_in
from orchestrator.engine.matching import Matched, Wanted
from orchestrator.services import story
from orchestrator.services.bell import Bell
from orchestrator.services.pushes import LOCK, Known, Pushes, judge
from orchestrator.store import deliveries, runs, tallies, wakes
from orchestrator.store.database import Connection, Database
from orchestrator.store.database import now as clock
from orchestrator.store.dialect import alone

MAX_BATCH = 100
"""Deliveries in one transaction."""

REFUSALS = 100
REFUSALS_A_SECOND = 2.0
"""Refused deliveries that are recorded at once, and in the long run; `store.deliveries` keeps the newest thousand."""

TURN = 0.05
"""Seconds for which `flush` leaves the interpreter to the writer, at the most; it needs some milliseconds for fifty
deliveries before it waits for the disk. Two busy threads take it from each other at each call into SQLite, five for a
delivery (measured: a fifth of the time); while the disk is at work, the next deliveries are judged (a tenth)."""


@dataclass(slots=True, kw_only=True)
class _Item:
    delivery: Delivery
    parsed: Parsed | None
    matched: Matched | None
    row: dict[str, Any]
    ignored_before: bool = False
    made: list[tuple[int, runs.NewRun, float]] = field(default_factory=list)
    answer: Answer | None = None
    context: Context = field(default_factory=copy_context)
    """What the lines of the log about this request carry."""


class Ingest:
    """Implements `orchestrator.domain.inbox.Inbox` on the tables: one thread writes for all that arrive."""

    def __init__(self, database: Database, settings: Settings, bell: Bell) -> None:
        self._database = database
        self._settings = settings
        self._bell = bell
        self._mask = Mask(secrets_in(settings))
        self._writer = ThreadPoolExecutor(1, "ingest", log_writer.never_wait)
        self._lock = threading.Lock()
        self._refusals = Allowance(REFUSALS, REFUSALS_A_SECOND)
        self._gathered: list[tuple[_Item, Future[Any]]] = []
        self._waiting: list[tuple[_Item, Future[Any]]] = []
        self._writing = False
        self._aside = threading.Event()
        """Set while the writer does not need the interpreter: it has nothing to write, or waits for the disk."""
        self._aside.set()

    def accept(self, delivery: Delivery, parsed: Parsed) -> Future[Answer]:
        """Record a proven delivery and queue what it leads to; a delivery seen before leads to nothing new.

        The future fails with Unavailable if the database does not take the write: then nothing was accepted.
        """
        return self._gather(self._judge(delivery, self._masked(parsed)))

    def refuse(self, delivery: Delivery, reason: str, detail: str) -> Future[None]:
        """Record a refused delivery so that it can be looked up; only the newest are kept.

        Anybody can send one. So of many in a short time most are only counted: they cost no write, and do not push
        the earlier ones out.
        """
        with self._lock:
            recorded = self._refusals.take(time.monotonic())
        if not recorded:
            self._database.counts.add(DELIVERIES, delivery.hook, DeliveryOutcome.REFUSED.value)
            return nothing_to_write()
        row = deliveries.row_of(delivery, clock(), DeliveryOutcome.REFUSED, reason, detail)
        return self._gather(_Item(delivery=delivery, parsed=None, matched=None, row=row))

    def _masked(self, parsed: Parsed) -> Parsed:
        """Mask our secrets in texts of people: these are shown, sent to chats and written into GitOps commits."""
        if not isinstance(parsed, Push):
            return parsed
        return replace(parsed, changes=tuple(map(self._masked_change, parsed.changes)))

    def _masked_change(self, change: RefChange) -> RefChange:
        message, author = self._mask(change.message), self._mask(change.author_name)
        if (message, author) == (change.message, change.author_name):
            return change
        return replace(change, message=message, author_name=author)

    def _judge(self, delivery: Delivery, parsed: Parsed) -> _Item:
        matched = None
        match parsed:
            case Push():
                matched = judge(parsed, self._settings)
                outcome = DeliveryOutcome.ACCEPTED if matched.wanted else DeliveryOutcome.IGNORED
                why = ("", "") if matched.wanted else (matched.ignored, matched.detail)
            case Ping():
                outcome, why = DeliveryOutcome.PINGED, ("", "")
            case Ignored():
                outcome, why = DeliveryOutcome.IGNORED, (parsed.reason, parsed.detail)
        row = deliveries.row_of(delivery, clock(), outcome, *why)
        row["repo"] = parsed.repo.full_name[:500] if parsed.repo else ""
        if isinstance(parsed, Push):
            row["actor"] = parsed.actor[:200]
            row["changes"] = [{"ref": one.ref, "commit": one.commit} for one in parsed.changes[:50]]
        return _Item(delivery=delivery, parsed=parsed, matched=matched, row=row)

    def flush(self) -> None:
        """Have the gathered deliveries written, together with all that wait by the time the writer begins.

        It returns when they are on their way to the disk, or after `TURN`.
        """
        with self._lock:
            self._waiting += self._gathered
            self._gathered = []
            if self._waiting and not self._writing:
                self._writer.submit(self._write_waiting)  # it begins when we leave the lock
                self._writing = True
                self._aside.clear()
        if not self._aside.wait(TURN):
            self._aside.set()  # it waits for something else than the interpreter: nobody waits for it again

    def _gather(self, item: _Item) -> Future[Any]:
        written: Future[Any] = Future()
        written.set_running_or_notify_cancel()  # it will be written, whoever waits for it
        with self._lock:
            self._gathered.append((item, written))
        return written

    def _write_waiting(self) -> None:
        while batch := self._take():
            self._aside.clear()
            try:
                self._commit([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001  # handed on to every request of the batch
                self._aside.set()
                for _, written in batch:
                    written.set_exception(error)
            else:
                for item, written in batch:
                    _tell(item, written)

    def _take(self) -> list[tuple[_Item, Future[Any]]]:
        with self._lock:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            self._writing = bool(batch)
        return batch

    def _commit(self, batch: Sequence[_Item]) -> None:
        with self._database.write() as connection:
            _write_batch(connection, batch)
            self._aside.set()
        if any(item.answer and item.answer.status == 202 for item in batch):
            self._bell.ring()


def _tell(item: _Item, written: Future[Any]) -> None:
    """Report that an item is durable: in the log, as lines of its request, and to whoever waits for it."""
    try:
        item.context.run(_log, item)
    except Exception as error:  # noqa: BLE001  # of this request alone; the forge delivers again what is told as failed
        written.set_exception(error)
    else:
        written.set_result(item.answer)


def _log(item: _Item) -> None:
    for run_id, new, at in item.made:
        story.began(run_id, new, at)
        story.delivered(run_id, at, item.row["received_at"])


def _write_batch(connection: Connection, batch: Sequence[_Item]) -> None:
    """Write a batch: known deliveries are answered from what they led to, new ones are recorded and queued.

    One that was ignored before is judged anew and replaces the earlier one: the app may have been added since.
    """
    alone(connection, LOCK)
    known = _answer_known(connection, [item for item in batch if item.parsed is not None])
    fresh: dict[tuple[str, str], _Item] = {}
    for item in batch:
        if item.parsed is not None and _key(item) not in known:
            fresh.setdefault(_key(item), item)
    refused = [item for item in batch if item.parsed is None]
    written = [*fresh.values(), *refused]
    ids = deliveries.add(connection, [item.row for item in written])
    if refused:
        deliveries.prune_refused(connection)
    _queue_runs(connection, list(zip(fresh.values(), ids, strict=False)))
    for item in batch:
        if item.parsed is not None and item.answer is None:  # the same delivery twice in one batch
            item.answer = _duplicate(fresh[_key(item)].answer)
    _count(connection, batch)


def _count(connection: Connection, batch: Sequence[_Item]) -> None:
    """Count what arrived, as one row for each outcome of the batch."""
    counts = tallies.Counts()
    for item in batch:
        again = item.answer is not None and item.answer.body.get("duplicate")
        counts.add(DELIVERIES, item.delivery.hook, "duplicate" if again else item.row["outcome"])
    tallies.add(connection, counts.take())


def _answer_known(connection: Connection, items: Sequence[_Item]) -> dict[tuple[str, str], dict[str, Any]]:
    seen = deliveries.seen(connection, [_key(item) for item in items])
    ignored = {key: row for key, row in seen.items() if row["outcome"] == DeliveryOutcome.IGNORED}
    _forget_ignored(connection, items, ignored)
    known = {key: row for key, row in seen.items() if key not in ignored}
    led_to = runs.of_deliveries(connection, [row["id"] for row in known.values()])
    for item in items:
        row = known.get(_key(item))
        if row is not None:
            body = {"delivery": row["id"], "duplicate": True, "runs": [*row["runs"], *led_to[row["id"]]]}
            item.answer = Answer(status=200, body=body)
    return known


def _forget_ignored(
    connection: Connection, items: Sequence[_Item], ignored: Mapping[tuple[str, str], dict[str, Any]]
) -> None:
    """Remove ignored deliveries that came again, so that they are recorded anew."""
    deliveries.drop(connection, [row["id"] for row in ignored.values()])
    for item in items:
        row = ignored.get(_key(item))
        if row is not None:
            item.ignored_before = True
            if item.row["outcome"] == DeliveryOutcome.ACCEPTED:
                item.row["detail"] = f"ignored at first ({row['reason']}): {row['detail']}"[:500]


def _queue_runs(connection: Connection, items: Sequence[tuple[_Item, int]]) -> None:
    """Insert the runs of new deliveries, except for pushes that are known already."""
    at = clock()
    news = {delivery: [_new_run(item, one) for one in _wanted(item)] for item, delivery in items}
    told_of = [one for item, _ in items for one in _told(item)]
    pushes = Pushes(connection, told_of, [new for several in news.values() for new in several], at)
    led_to: dict[int, list[Known]] = {}
    for item, delivery in items:
        mine = zip(_wanted(item), news[delivery], strict=True)
        led_to[delivery] = [pushes.take(one.app, one.change, new, delivery) for one, new in mine]
        acted = [(one.app, one.change) for one in _wanted(item)]
        pushes.seen(_told(item), acted, again=item.ignored_before)
    _insert(connection, pushes.fresh, at)
    pushes.remember()
    told: dict[int, list[int]] = {}
    for item, delivery in items:
        known = led_to[delivery]
        item.made = [(one.run, one.new, at) for one in known if one.new and one.delivery == delivery]
        ids = [one.run for one in known]
        if ids and not item.made:
            told[delivery] = ids
        item.answer = _answer(item, delivery, ids, delivery in told)
    deliveries.set_runs(connection, told)


def _insert(connection: Connection, fresh: Sequence[Known], at: float) -> None:
    made = runs.add(connection, [(one.new, one.delivery) for one in fresh if one.new], at)
    wakes.add(connection, made, at, "deploy")
    for one, run_id in zip(fresh, made, strict=True):
        one.run = run_id


def _answer(item: _Item, delivery: int, ids: list[int], known: bool) -> Answer:
    if isinstance(item.parsed, Ping):
        return Answer(status=200, body={"delivery": delivery, "pong": True})
    if known:
        return Answer(status=200, body={"delivery": delivery, "duplicate": True, "runs": ids})
    if ids:
        return Answer(status=202, body={"delivery": delivery, "runs": ids})
    return Answer(
        status=200, body={"delivery": delivery, "ignored": item.row["reason"], "detail": item.row["detail"]}
    )


def _duplicate(answer: Answer | None) -> Answer:
    body = dict(answer.body) if answer else {}
    return Answer(status=200, body={**body, "duplicate": True})


def _new_run(item: _Item, wanted: Wanted) -> runs.NewRun:
    change = wanted.change
    actor = item.parsed.actor if isinstance(item.parsed, Push) else ""
    move = (repo_key(wanted.app.source.url), change.ref, change.before, change.after)
    text = repr((*move, change.commit))
    return runs.NewRun(
        app=wanted.app.name,
        environment=wanted.environment.name,
        trigger=Trigger.PUSH,
        ref=change.ref,
        commit=change.commit or "",
        title=visible(change.message.split("\n", 1)[0])[:200],
        author=visible(change.author_name)[:200],
        actor=actor[:200],
        approved=not wanted.environment.approval,
        dedupe=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
    )


def _wanted(item: _Item) -> tuple[Wanted, ...]:
    return item.matched.wanted if item.matched else ()


def _told(item: _Item) -> tuple[tuple[App, RefChange], ...]:
    return item.matched.told if item.matched else ()


def _key(item: _Item) -> tuple[str, str]:
    return item.delivery.hook, item.row["key"]
