"""What metrics count: stored increments that are added up, so that no scrape has to count a history.

A row is an increment or the sum of earlier ones. Writers only insert: they never wait for each other, and an
increment is there exactly when the transaction of the thing that it counts is. Readers add up what is there; `fold`
keeps that little. The order of both does not matter, and a sum never becomes smaller.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from orchestrator.domain.metrics import HTTP_REQUESTS, HTTP_SECONDS, REQUEST_SECONDS, REQUESTS, SUM, Labels, Metric
from orchestrator.store.schema import tallies

Sums = dict[tuple[str, Labels], float]
"""Name of a metric and values of its labels (for a histogram also the bucket) -> the number."""
_COUNTED = "pilotage.counted"
_FOLD = 2000
"""Sums that one `fold` renews at most."""
_ROWS = 5 * _FOLD
"""Rows that it takes at most; more than there are sums, so that there are always some that count the same."""
_STEP = 500
"""Rows that one statement names."""


class Counts:
    """Increments in memory, on their way to the table; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: Sums = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def add(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        """Count. :raises ValueError: these are not the labels of the metric."""
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {', '.join(metric.labels)}")
        self._merge({(metric.name, labels): by})

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Add a value to a histogram. :raises ValueError: these are not the labels of the metric."""
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {', '.join(metric.labels)}")
        value = max(0.0, value)  # clocks of two machines may differ
        self._merge({(metric.name, (*labels, metric.bucket(value))): 1.0, (metric.name, (*labels, SUM)): value})

    def requests_to(self, service: str) -> Callable[[str, float], None]:
        """Return what a client calls after each request: its result and the seconds that it took."""

        def observe(result: str, seconds: float) -> None:
            self.add(REQUESTS, service, result)
            self.observe(REQUEST_SECONDS, seconds, service)

        return observe

    def answers_of(self, server: str) -> Callable[[str, int, float], None]:
        """Return what a server calls after each request: the route, the status and the seconds that it took."""

        def observe(route: str, status: int, seconds: float) -> None:
            self.add(HTTP_REQUESTS, server, route, str(status))
            self.observe(HTTP_SECONDS, seconds, server)

        return observe

    def take(self) -> Sums:
        """Return everything and begin anew."""
        with self._lock:
            taken, self._sums = self._sums, {}
        return taken

    @contextmanager
    def handed_over(self) -> Iterator[Callable[[], Sums]]:
        """Yield a function that hands the increments to a transaction; take them back if the block fails."""
        taken: Sums = {}

        def take() -> Sums:
            taken.update(self.take())
            return taken

        try:
            yield take
        except BaseException:
            self._merge(taken)
            raise

    def _merge(self, sums: Sums) -> None:
        with self._lock:
            for key, value in sums.items():
                self._sums[key] = self._sums.get(key, 0.0) + value


def begin(connection: Connection) -> None:
    """Begin a write transaction, which has counted nothing yet."""
    connection.info[_COUNTED] = {}


def add(connection: Connection, sums: Mapping[tuple[str, Labels], float]) -> None:
    """Have increments written at the end of this transaction, all with one statement."""
    counted: Sums = connection.info[_COUNTED]
    for key, value in sums.items():
        counted[key] = counted.get(key, 0.0) + value


def write(connection: Connection) -> None:
    """Write down what this transaction has counted."""
    counted: Sums = connection.info[_COUNTED]
    if counted:
        rows = [{"name": name, "labels": _text(labels), "value": value} for (name, labels), value in counted.items()]
        connection.execute(_ADD, rows)


def read(connection: Connection) -> Sums:
    """Add everything up."""
    return {(name, tuple(json.loads(labels))): float(value) for name, labels, value in connection.execute(_READ)}


def repeated(connection: Connection) -> list[int]:
    """List rows that count the same as others do, for `fold`. It reads the whole table, so no lock should be held."""
    return list(connection.execute(_REPEATED).scalars())


def fold(connection: Connection, ids: Sequence[int]) -> int:
    """Replace those of some rows that count the same by their sum; return how many rows fewer there are.

    Rows that another transaction folds at the same time are left to it.
    """
    found = [row for some in _steps(ids) for row in connection.execute(_TAKE, {"some": some})]
    sums: dict[tuple[str, str], float] = {}
    for row in found:
        sums[row.name, row.labels] = sums.get((row.name, row.labels), 0.0) + row.value
    if len(sums) == len(found):
        return 0
    for some in _steps([row.id for row in found]):
        connection.execute(_DROP, {"some": some})
    connection.execute(
        _ADD, [{"name": name, "labels": labels, "value": value} for (name, labels), value in sums.items()]
    )
    return len(found) - len(sums)


def _steps(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[at : at + _STEP] for at in range(0, len(ids), _STEP))


_many = (
    select(tallies.c.name, tallies.c.labels)
    .group_by(tallies.c.name, tallies.c.labels)
    .having(func.count() > 1)
    .limit(_FOLD)
    .subquery()
)
_REPEATED = (
    select(tallies.c.id)
    .join(_many, (_many.c.name == tallies.c.name) & (_many.c.labels == tallies.c.labels))
    .limit(_ROWS)
)
_some = tallies.c.id.in_(bindparam("some", expanding=True))
_TAKE = select(tallies).where(_some).with_for_update(skip_locked=True)
_DROP = delete(tallies).where(_some)
_ADD = insert(tallies)
_READ = select(tallies.c.name, tallies.c.labels, func.sum(tallies.c.value)).group_by(tallies.c.name, tallies.c.labels)


def _text(labels: Labels) -> str:
    return json.dumps(labels, ensure_ascii=False, separators=(",", ":"))
