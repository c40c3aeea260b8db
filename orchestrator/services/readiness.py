"""Whether what we cannot work without is there: told within seconds, however long it keeps silent."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from orchestrator import journal
from orchestrator.domain.errors import PilotageError, Unavailable
from orchestrator.domain.reasons import Reason, explain
from orchestrator.domain.wording import sentence
from orchestrator.services.bell import Bell
from orchestrator.services.measures import ALIVE
from orchestrator.store import migrate, processes
from orchestrator.store.database import Database
from orchestrator.store.database import now as clock

PATIENCE = 3.0
"""Seconds in which an answer has to come: who probes us waits for five, as a rule."""
AGAIN = 15.0
"""Seconds after which a question that is still out is asked once more: behind a proxy, a connection may hang for
hours where another one would not."""
MOST = 3
"""Questions that are out at a time: each holds a thread and a connection."""

_log = journal.get(__name__)

T = TypeVar("T")


class Question(Generic[T]):
    """A question that may stay without an answer: it is asked in a thread, by one for all who want to know.

    :param ask: gives the answer, or raises. :param reason: why there is none, where there is none in time.
    :param patience: seconds. :param steady: tells seconds.
    """

    def __init__(
        self,
        ask: Callable[[], T],
        reason: Reason,
        *,
        patience: float = PATIENCE,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._reason = reason
        self._patience = patience
        self._steady = steady
        self._lock = threading.Lock()
        self._out: list[tuple[float, Future[T]]] = []

    def __call__(self) -> T:
        """Return the answer. :raises Unavailable: there is none in time; and whatever asking raises."""
        answer = self._asked()
        wait([answer], self._patience)
        if not answer.done():
            raise Unavailable(self._reason, f"no answer in {self._patience:g} s")
        return answer.result()

    def _asked(self) -> Future[T]:
        """Return the answer to come: to the question that is out already, or to a new one."""
        with self._lock:
            self._out = [one for one in self._out if not one[1].done()]
            if self._out and (len(self._out) >= MOST or self._steady() - self._out[-1][0] < AGAIN):
                return self._out[-1][1]
            answer: Future[T] = Future()
            threading.Thread(target=self._find_out, args=(answer,), name="question", daemon=True).start()
            self._out.append((self._steady(), answer))
            return answer

    def _find_out(self, answer: Future[T]) -> None:
        try:
            answer.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001  # it is for whoever waits
            answer.set_exception(error)


class Readiness:
    """Tells anybody what is missing: part -> one sentence; empty when nothing is.

    :param patience: seconds in which each of the services that we ask has to answer.
    """

    def __init__(self, database: Database, bell: Bell, *, patience: float = PATIENCE) -> None:
        self._database = database
        self._bell = bell
        away = Reason.DATABASE_UNAVAILABLE
        self._answers = Question(self._ping, away, patience=patience)
        self._contents = Question(self._look, away, patience=patience)
        self._broker = Question(self._ring, Reason.BROKER_UNAVAILABLE, patience=patience)

    def unanswering(self) -> dict[str, str]:
        """Say whether the database does not answer, without which no page can be shown."""
        return _missing("database", self._answers)

    def missing(self) -> dict[str, str]:
        """Say what keeps us from doing our work."""
        return _missing("database", self._contents) | _missing("broker", self._broker)

    def _ping(self) -> dict[str, str]:
        self._database.ping()
        return {}

    def _look(self) -> dict[str, str]:
        refusal = migrate.other(self._database)
        if refusal is not None:
            said = sentence(refusal.reason, refusal.evidence)
            return {"schema": f"{said} {explain(refusal.reason).next_step}"}
        with self._database.read() as connection:
            alive = {row["kind"] for row in processes.alive(connection, clock() - ALIVE)}
        if "worker" in alive:
            return {}
        return {"workers": f"No worker was seen in the last {ALIVE:.0f} s; start `pilotage worker`."}

    def _ring(self) -> dict[str, str]:
        self._bell.ping()
        return {}


def _missing(part: str, look: Callable[[], dict[str, str]]) -> dict[str, str]:
    try:
        return look()
    except PilotageError as error:
        _log.warning("not ready", reason=error.reason.value, detail=error.evidence)  # it may name machines and users
        said = explain(error.reason)
        return {part: f"{said.text} {said.next_step}"}
